"""Train the missing runs, measure and report: ``python -m studies.eprop {run,measure,report}``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.eprop.angle import measure_angles
from studies.eprop.cost import COSTS, measure_all
from studies.eprop.report import memoryless_rows, write_report
from studies.eprop.runs import ARMS, RESULTS, TASKS, run_missing
from studies.rows import record_rows

ROOT = Path(__file__).parents[2]
app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def run(
    arms: Annotated[str, typer.Option(help="Names of the arms, with commas between.")] = ",".join(
        ARMS
    ),
    tasks: Annotated[str, typer.Option(help="Ids of the tasks, with commas between.")] = ",".join(
        TASKS
    ),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Make the runs that have no file yet (an hour)."""
    for kind, asked, known in (("arm", arms, ARMS), ("task", tasks, TASKS)):
        for name in asked.split(","):
            if name not in known:
                raise typer.BadParameter(
                    f"{kind} {name!r} is unknown; there are {', '.join(known)}"
                )
    for env_id in tasks.split(","):
        run_missing(env_id, arms.split(","), results, typer.echo)


@app.command()
def measure(costs: Annotated[Path, typer.Option(help="File of the costs.")] = COSTS) -> None:
    """Measure a gradient's time and memory by its sequence's length, and angles (minutes)."""
    measure_all(costs)
    measure_angles()


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = ROOT / "docs",
) -> None:
    """Write docs/eprop-study.md."""
    typer.echo(f"wrote {write_report(docs, results)}")
    record_rows(results.parent / "report.rows", memoryless_rows())


if __name__ == "__main__":
    app()
