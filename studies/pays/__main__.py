"""Where spikes pay: ``python -m studies.pays instructions``, ``episodes`` and ``report``."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from snn_gym.leaderboard.table import INSTRUCTIONS_NAME
from snn_gym_deploy.instructions import Target
from studies.pays.contenders import EPISODES
from studies.pays.measure import count_rows, play_by_events
from studies.pays.report import write_report
from studies.pays.tables import read_judged
from studies.rows import LEADERBOARD

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def instructions(
    target: Annotated[str, typer.Option(help="host or cortex-m4.")] = "cortex-m4",
    question: Annotated[
        str, typer.Option(help="Registered question: pays or locomotion.")
    ] = "pays",
) -> None:
    """Count instructions of the agents that keep the return into leaderboard/instructions.csv."""
    path = LEADERBOARD / INSTRUCTIONS_NAME
    for line in count_rows(read_judged(question), path, cast(Target, target)):
        typer.echo(line)


@app.command()
def episodes() -> None:
    """Play event-driven executions on silent levels and Recall."""
    for line in play_by_events(read_judged(), EPISODES):
        typer.echo(line)


@app.command()
def report() -> None:
    """Write the page from the rows that there are."""
    typer.echo(f"wrote {write_report()}")


if __name__ == "__main__":
    app()
