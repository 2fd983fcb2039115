"""Run the study and write its report.

python -m studies.dynamics run [--part NAME] [--seeds 0-9] [--only TEXT] [--workers N]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_gym._base.names import parse_seeds
from studies.dynamics.outcome import Result
from studies.dynamics.plan import PARTS
from studies.dynamics.report import write_report
from studies.dynamics.runner import run_part

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[2] / "docs"

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def study() -> None:
    """Run the study and write its report."""


@app.command()
def run(
    part: Annotated[
        str | None, typer.Option(help="Part of the study; all of them if none.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Such as 0-9 or 3; the reported ones.")] = None,
    only: Annotated[str, typer.Option(help="Text that a case's labels contain.")] = "",
    workers: Annotated[int, typer.Option(help="Processes, each with one thread.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Run the missing runs; a run whose file exists is skipped."""
    try:
        for name in PARTS if part is None else (part,):
            run_part(name, out, _show, seeds=parse_seeds(seeds), only=only, workers=workers)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = DOCS,
) -> None:
    """Write the report and its figures from the runs there are."""
    try:
        paths = write_report(results, docs)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for path in paths:
        typer.echo(f"wrote {path}")


def _show(result: Result) -> None:
    outcome = result.outcome
    name = "/".join((result.part, *result.case, str(result.seed)))
    solved = "" if outcome.solved_episodes is None else f", solved in {outcome.solved_episodes}"
    typer.echo(
        f"{name}: mean {result.mean:.4g}, {outcome.episodes} episodes, {outcome.steps} steps"
        f"{solved}"
    )


if __name__ == "__main__":
    app()
