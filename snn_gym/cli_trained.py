"""Commands on trained agents, those of the results table and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_gym.cli_options import MOST_EPISODES
from snn_gym.cli_printing import print_columns, print_lines, say
from snn_gym.seeds import shown_seeds

if TYPE_CHECKING:
    from snn_gym.scoring.sides import Side

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
    from snn_gym.scoring.origins import parents
    from snn_gym.scoring.pretrained import list_trained, weights_bytes
    from snn_gym.scoring.table import summarise

    found = list_trained(agent, env, leaderboard)
    lines = []
    for held in (trained for trained in found if trained.rows):
        row = held.row()
        line = summarise([row])
        whole = summarise(held.ranked or held.rows, parents(held.parents))
        lines.append(
            (
                held.agent,
                held.environment,
                shown_seeds(x.seed for x in held.rows),
                str(row.seed),
                line.score(line.mean),
                whole.cost(line.operations_per_decision),
                whole.cost(line.synops_per_decision),
                f"{weights_bytes(row, leaderboard) / 1000:.1f} kB",
            )
        )
    costs = ("operations per decision", "SynOps per decision")
    header = ("agent", "environment", "seeds", "median", "return", *costs, "size")
    print_columns(header, lines)
    say(
        "\nReturn, costs and size are those of the seed of the median return; costs are in "
        "brackets where no seed was trained again."
    )
    absent = [trained for trained in found if trained.elsewhere]
    if absent:
        seeds = sum(len(trained.elsewhere) for trained in absent)
        say(
            f"{seeds} more seeds, and with them {sum(not x.rows for x in absent)} more pairs of "
            "agent and environment, are in a checkout of snn_gym, under leaderboard/results."
        )


def compare(
    one: Annotated[str, typer.Argument(help="Agent of the table, or folder of a run or of runs.")],
    other: Annotated[str, typer.Argument(help="What to compare it with, likewise.")],
    env: Annotated[str, typer.Option(help="Environment, such as CartPole-v1.")],
    save: Annotated[
        Path | None, typer.Option(help="Picture to write, PNG or SVG.", show_default="none")
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes that each run plays.")
    ] = 100,
    leaderboard: Trained = None,
) -> None:
    """Compare two agents, or runs: returns, operations, learning curves."""
    from snn_gym.plotting.comparison import check_picture, save_comparison
    from snn_gym.scoring.sides import MEASURES, describe_difference, find_sides

    if save is not None:
        check_picture(save)
    sides = find_sides((one, other), env, episodes=episodes, leaderboard=leaderboard)
    cells = [side.cells() for side in sides]
    lines = [*zip(MEASURES, *cells, strict=True), *_curve_lines(sides)]
    print_columns((env, *(side.name for side in sides)), lines)
    say()
    print_lines(describe_difference(*sides))
    if save is not None:
        say(f"picture: {save_comparison(sides, save)}")


def _curve_lines(sides: tuple[Side, Side]) -> list[tuple[str, str, str]]:
    """Return what the learning curves say at each quarter of the longer training, if there are."""
    from snn_gym.plotting.comparison import QUARTERS, at_quarters

    if not any(side.runs for side in sides):
        return []
    steps = max(step for side in sides for step in side.line.steps)
    one, other = (
        [side.shown(values, side.line.score) for values in at_quarters(side, steps)]
        for side in sides
    )
    names = [f"training return at {round(share * steps):,}" for share in QUARTERS]
    return list(zip(names, one, other, strict=True))
