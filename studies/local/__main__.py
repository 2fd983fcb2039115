"""Train the missing runs and write the report: ``python -m studies.local COMMAND``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from studies.local import adaptation, dynamics
from studies.local import tasks as four_tasks
from studies.local.adaptation import CHANGES
from studies.local.report import write_report
from studies.local.runs import ARMS, RESULTS, run_missing
from studies.local.tasks import STEPS, rival_rows
from studies.rows import moved_rows, record_rows

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
    for arm in _known(arms, ARMS, "arms"):
        run_missing(arm, results, typer.echo)


@app.command()
def adapt(
    changes: Annotated[
        str, typer.Option(help="Names of the changes, with commas between.")
    ] = ",".join(CHANGES),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Make the lives after a change that have no file yet (half an hour).

    Those of stored agents are made anew if a row of theirs has changed (a minute).
    """
    rows = results.parent / "adaptation.rows"
    if not rows.exists() or moved_rows(rows):
        adaptation.delete_lives(adaptation.STORED, results)
    for change in _known(changes, CHANGES, "changes"):
        adaptation.run_missing(change, results, typer.echo)
    record_rows(rows, adaptation.stored_agents())


@app.command()
def tasks(
    names: Annotated[str, typer.Option(help="Ids of the tasks, with commas between.")] = ",".join(
        STEPS
    ),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Train one setting on the tasks, where a run has no file yet (half an hour)."""
    for task in _known(names, STEPS, "tasks"):
        four_tasks.run_missing(task, results, typer.echo)


@app.command("dynamics")
def ablate(
    starts: Annotated[
        str, typer.Option(help="Names of the starts and other tasks, with commas between.")
    ] = ",".join(dynamics.ALL_STARTS),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Train with each term of regulation alone, where a run has no file yet (half an hour)."""
    for start in _known(starts, dynamics.ALL_STARTS, "starts"):
        dynamics.run_missing(start, results, typer.echo)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = ROOT / "docs",
) -> None:
    """Write docs/local-study.md."""
    typer.echo(f"wrote {write_report(docs, results)}")
    record_rows(results.parent / "report.rows", rival_rows())


def _known(names: str, allowed: Mapping[str, object], kind: str) -> list[str]:
    given = names.split(",")
    for name in given:
        if name not in allowed:
            raise typer.BadParameter(f"{name!r} is unknown; {kind}: {', '.join(allowed)}")
    return given


if __name__ == "__main__":
    app()
