"""The commands ``pretrained``, ``compare``, ``plot`` and ``watch``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_gym._base.names import shown_seeds
from snn_gym.cli.options import (
    MOST_EPISODES,
    Cost,
    Run,
    Shown,
    ShownEnvironment,
    check_out,
    load_shown,
    print_columns,
    print_lines,
    say,
)

if TYPE_CHECKING:
    from snn_gym.leaderboard.comparison import Side


# ---- pretrained and compare ----------------------------------------------------------------------
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
        str | None,
        typer.Option(
            help="Only on this environment.",
            show_default="all",
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Only this agent.", show_default="all"),
    ] = None,
    leaderboard: Trained = None,
) -> None:
    """List the trained agents that `snn_gym.load_pretrained` loads."""
    from snn_gym.leaderboard.pretrained import leaderboard_path, list_trained
    from snn_gym.leaderboard.results import batch_of, rows_by_weights
    from snn_gym.leaderboard.table import summarise

    board, lines, absent = leaderboard_path(leaderboard), [], 0
    for trained in list_trained(agent, env, leaderboard):
        row = trained.row()
        if batch_of(board, row) is None:
            absent += 1
            continue
        line = summarise([row], rows_by_weights(trained.parents))
        lines.append(
            (
                trained.agent,
                trained.environment,
                shown_seeds(x.seed for x in trained.rows),
                str(row.seed),
                line.score(line.mean),
                line.cost(line.operations_per_decision),
                line.cost(line.synops_per_decision),
                f"{row.parameters:,}",
            )
        )
    costs = ("operations per decision", "SynOps per decision")
    print_columns(
        ("agent", "environment", "seeds", "median", "return", *costs, "parameters"), lines
    )
    say(
        "\nReturn, costs and parameters are those of the seed of the median return; costs are in "
        "brackets where that seed was not trained again."
    )
    if absent:
        say(
            f"The weights of {absent} more pairs of agent and environment are in a checkout of "
            "snn_gym, under leaderboard/weights."
        )


def compare(
    one: Annotated[
        str,
        typer.Argument(
            help="Agent of the table, or folder of a run or of runs.",
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            help="Second agent of the table, or folder of a run or of runs.",
            show_default="the second agent in the first folder",
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            help="Environment, such as CartPole-v1.",
            show_default="that of the runs",
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Picture to write, PNG or SVG.", show_default="none")
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes that each run plays.")
    ] = 100,
    leaderboard: Trained = None,
    cost: Cost = "operations",
) -> None:
    """Compare two agents, or runs: returns, costs, learning curves."""
    from snn_gym.leaderboard.comparison import describe_difference, find_sides
    from snn_gym.plots.run import check_picture, save_comparison
    from snn_gym.program.prices import MEASURED

    if save is not None:
        check_picture(save)
    sides = find_sides(
        (one,) if other is None else (one, other), env,
        episodes=episodes, leaderboard=leaderboard, cost=cost,
    )  # fmt: skip
    one_cells, other_cells = (side.cells() for side in sides)
    cells = [(heading, text, other_cells[heading]) for heading, text in one_cells.items()]
    lines = [*cells, *_curve_lines(sides)]
    print_columns((sides[0].line.environment, *(side.name for side in sides)), lines)
    say()
    print_lines(describe_difference(*sides))
    if cost in MEASURED:
        say('"–": not measured')
    if save is not None:
        say(f"picture: {save_comparison(sides, save)}")


def _curve_lines(sides: tuple[Side, Side]) -> list[tuple[str, str, str]]:
    """Return table lines of training returns at quarters of the longer training; none for rows."""
    from snn_gym.plots.run import QUARTERS, at_quarters

    if not any(side.runs for side in sides):
        return []
    steps = max(step for side in sides for step in side.line.steps)
    columns = (
        [side.shown(values, side.line.score) for values in at_quarters(side, steps)]
        for side in sides
    )
    names = [f"training return at {round(share * steps):,}" for share in QUARTERS]
    return list(zip(names, *columns, strict=True))


# ---- plot and watch ------------------------------------------------------------------------------
def plot(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures.", show_default="RUN/plots")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Formats: png, svg or both, with a comma between.")
    ] = "png,svg",
) -> None:
    """Draw a run: spikes, membrane traces, the learning curve, dynamics over training."""
    from snn_gym.plots import plot_run

    check_out(run, out)
    pictures = plot_run(run, out, [name.strip() for name in formats.split(",")])
    for line in (*pictures.paths, *pictures.notes):
        say(line)


def watch(
    agent: Shown,
    env: ShownEnvironment = None,
    save: Annotated[Path, typer.Option(help="Film to write, .gif or .mp4.")] = Path("film.gif"),
    episodes: Annotated[int, typer.Option(min=1, help="Episodes, one seed each.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the first episode.")] = 0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Most decisions of an episode.", show_default="all")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 25,
) -> None:
    """Film an agent's episodes and the spikes of its network."""
    from snn_gym.plots import FilmSettings, record_film
    from snn_gym.plots.films import check_film_path, shown_return

    settings = FilmSettings(episodes, seed, max_steps, fps)
    check_film_path(save)
    # Tasks are drawn with pygame, which would warn that there is no screen.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    model, env_id, name, arguments = load_shown("watch", agent, env)
    film = record_film(model, env_id, save, settings, env_kwargs=arguments, name=name)
    for played in film.episodes:
        spikes = played.spikes_per_decision
        each = "" if spikes is None else f", {spikes:,.1f} spikes each"
        say(
            f"seed {played.seed}: return {shown_return(played.episode_return)}, "
            f"{played.decisions:,} decisions{each}"
        )
    say(f"film: {save}, {film.frames} frames, {save.stat().st_size / 1000:,.0f} kB")
