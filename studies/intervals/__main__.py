"""Measure and write the report: ``python -m studies.intervals [--no-measure]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.files import read_run, write_run
from studies.intervals.coverage import Results, measure
from studies.intervals.populations import groups_of_ten, real, synthetic
from studies.intervals.report import write_report
from studies.rows import record_rows

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.json"


def study(
    anew: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Measure, or report the stored measurements."),
    ] = True,
    results: Annotated[Path, typer.Option(help="File of the measurements.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = ROOT / "docs",
) -> None:
    """Measure the coverage of the intervals (minutes), and write the report."""
    if anew:
        trained = real(ROOT / "leaderboard", ROOT / "studies" / "lean" / "results")
        write_run(results, measure([*synthetic(), *trained]))
        measured_from = (row for group in groups_of_ten(ROOT / "leaderboard") for row in group)
        record_rows(results.with_suffix(".rows"), measured_from)
    typer.echo(f"wrote {write_report(read_run(Results, results), docs)}")


if __name__ == "__main__":
    typer.run(study)
