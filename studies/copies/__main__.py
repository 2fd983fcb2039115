"""Run the study: ``python -m studies.copies`` trains the missing runs, measures and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.copies.measured import Measured, measure
from studies.copies.report import write_report
from studies.copies.trained import train_branches, train_further, train_short
from studies.files import read_run, write_run

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.json"


def main(
    leaderboard: Annotated[Path, typer.Option(help="Folder of the rows.")] = ROOT / "leaderboard",
    trained: Annotated[Path, typer.Option(help="Folder of trained agents.")] = Path("runs/copies"),
    report_only: Annotated[bool, typer.Option(help="Write the report alone.")] = False,
) -> None:
    """Train the missing runs, measure all distances and write docs/copies.md."""
    if not report_only:
        trained.mkdir(parents=True, exist_ok=True)
        train_short(trained)
        train_further(leaderboard / "results" / "ppo-lif" / "CartPole-v1", trained)
        train_branches(trained)
        write_run(RESULTS, measure(leaderboard, trained))
    typer.echo(f"wrote {write_report(read_run(Measured, RESULTS), ROOT / 'docs')}")


if __name__ == "__main__":
    typer.run(main)
