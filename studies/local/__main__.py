"""Run what is missing and write the report: ``python -m studies.local {run,report}``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.local.report import write_report
from studies.local.runs import ARMS, RESULTS, run_missing

ROOT = Path(__file__).parents[2]
app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def run(
    arms: Annotated[str, typer.Option(help="Names of the arms, with commas between.")] = ",".join(
        ARMS
    ),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Make the runs that have no file yet (an hour)."""
    for arm in arms.split(","):
        if arm not in ARMS:
            raise typer.BadParameter(f"{arm!r} is unknown; arms: {', '.join(ARMS)}")
        run_missing(arm, results, typer.echo)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = ROOT / "docs",
) -> None:
    """Write docs/local-study.md."""
    typer.echo(f"wrote {write_report(docs, results)}")


if __name__ == "__main__":
    app()
