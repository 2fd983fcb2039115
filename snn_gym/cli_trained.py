"""Commands on trained agents, those of the results table and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_gym.cli_printing import print_columns
from snn_gym.seeds import shown_seeds

Trained = Annotated[
    Path | None,
    typer.Option(
        "--leaderboard",
        help="Folder of the results table.",
        show_default="that of the checkout, or the part of it in the wheel",
    ),
]


def pretrained(
    env: Annotated[
        str | None, typer.Option(help="Only on this environment.", show_default="all")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent.", show_default="all")] = None,
    leaderboard: Trained = None,
) -> None:
    """List the trained agents that `snn_gym.load_pretrained` gives."""
    from snn_gym.scoring.pretrained import list_trained, weights_bytes
    from snn_gym.scoring.table import count, summarise

    found = list_trained(agent, env, leaderboard)
    lines = []
    for held in (trained for trained in found if trained.rows):
        row = held.row()
        line = summarise([row])
        lines.append(
            (
                held.agent,
                held.environment,
                shown_seeds(x.seed for x in held.rows),
                str(row.seed),
                line.score(line.mean),
                count(line.synops_per_decision),
                f"{weights_bytes(row, leaderboard) / 1000:.1f} kB",
            )
        )
    header = ("agent", "environment", "seeds", "median", "return", "SynOps per decision", "size")
    print_columns(header, lines)
    typer.echo("\nReturn, SynOps and size are those of the seed of the median return.")
    absent = [trained for trained in found if trained.elsewhere]
    if absent:
        seeds = sum(len(trained.elsewhere) for trained in absent)
        typer.echo(
            f"{seeds} more seeds, and with them {sum(not x.rows for x in absent)} more pairs of "
            "agent and environment, are in a checkout of snn_gym, under leaderboard/results."
        )
