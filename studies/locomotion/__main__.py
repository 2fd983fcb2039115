"""Locomotion with spikes: ``python -m studies.locomotion collect RUNS`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.locomotion.curves import EVALUATIONS, collect_runs
from studies.locomotion.report import write_report

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def collect(
    runs: Annotated[Path, typer.Argument(help="Folder of the runs of `make results`.")],
    out: Annotated[Path, typer.Option(help="CSV file of the evaluations.")] = EVALUATIONS,
) -> None:
    """Add the evaluations of finished TD3 runs to docs/locomotion/evaluations.csv."""
    for name in collect_runs(runs, out):
        typer.echo(f"added {name.agent} on {name.environment}, seed {name.seed}")


@app.command()
def report() -> None:
    """Write the page from the rows and evaluations that there are."""
    typer.echo(f"wrote {write_report()}")


if __name__ == "__main__":
    app()
