"""The commands about trained agents: pretrained, compare, plot, watch, submit and verify."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_gym._base.names import shown_seeds
from snn_gym.cli.options import (
    MOST_EPISODES,
    Leaderboard,
    Run,
    Shown,
    ShownEnvironment,
    check_out,
    leaderboard_folder,
    load_shown,
    print_columns,
    say,
    with_options,
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
        str | None, typer.Option(help="Only on this environment.", show_default="all")
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
    say("\nReturn, costs and parameters are those of the seed of the median return.")
    if absent:
        say(
            f"The weights of {absent} more pairs of agent and environment are in a checkout of "
            "snn_gym, under leaderboard/weights."
        )


def compare(
    one: Annotated[str, typer.Argument(help="Agent of the table, or folder of a run or of runs.")],
    other: Annotated[
        str, typer.Argument(help="Second agent of the table, or folder of a run or of runs.")
    ],
    env: Annotated[
        str | None,
        typer.Option(help="Environment, such as CartPole-v1.", show_default="that of the runs"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Picture to write, PNG or SVG.", show_default="none")
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes that each run plays.")
    ] = 100,
    leaderboard: Trained = None,
    cost: Annotated[
        str, typer.Option(help="Price of a decision: operations, cmos45 or loihi.")
    ] = "operations",
    threshold: Annotated[
        float | None,
        typer.Option(help="Training return that counts as learned.", show_default="the task's"),
    ] = None,
) -> None:
    """Compare two agents, or runs: returns, costs, learning curves."""
    from snn_gym.leaderboard.comparison import describe_difference, find_sides
    from snn_gym.plots.run import check_picture, save_comparison

    if save is not None:
        check_picture(save)
    sides = find_sides(
        (one, other), env, episodes=episodes, leaderboard=leaderboard, cost=cost,
        threshold=threshold,
    )  # fmt: skip
    one_cells, other_cells = (side.cells() for side in sides)
    cells = [(heading, text, other_cells[heading]) for heading, text in one_cells.items()]
    lines = [*cells, *_curve_lines(sides)]
    print_columns((sides[0].line.environment, *(side.name for side in sides)), lines)
    say("", *describe_difference(*sides))
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
    say(*pictures.paths, *pictures.notes)


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


# ---- submit --------------------------------------------------------------------------------------
def submit(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="RUN/submission")
    ] = None,
) -> None:
    """Evaluate a run and write its submission."""
    from snn_gym.leaderboard import submit as submit_run

    check_out(run, out)
    say(f"submission: {submit_run(run, out)}")


# ---- verify --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class VerifyOptions:
    """Options of ``verify``."""

    leaderboard: Leaderboard = None
    again: Annotated[
        bool, typer.Option("--again", help="Evaluate rows of an earlier evaluator again.")
    ] = False
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train the submission, or the rows, again.")
    ] = False
    check: Annotated[
        bool,
        typer.Option("--check", help="Check that rows, weights and table are as verified."),
    ] = False
    play: Annotated[
        bool, typer.Option("--play", help="With --check: also play all rows again.")
    ] = False
    agent: Annotated[
        list[str] | None,
        typer.Option(
            help="With --retrain: only rows of this agent; may be repeated.",
            show_default="all",
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(
            help="With --retrain: only rows on this environment; may be repeated.",
            show_default="all",
        ),
    ] = None
    missing: Annotated[
        bool,
        typer.Option("--missing", help="With --retrain: rows that no training has reproduced."),
    ] = False
    sample: Annotated[
        float,
        typer.Option(min=0, max=100, help="With --retrain: percentage of rows, drawn at random."),
    ] = 100.0
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0
    processes: Annotated[int, typer.Option(min=1, help="Rows at a time, without a folder.")] = 1

    @property
    def row_tasks(self) -> int:
        """Number of the options given that are for stored rows alone."""
        return self.check + self.again


@with_options(VerifyOptions)
def verify(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder that `snn-gym submit` wrote.")
    ] = None,
    *,
    options: VerifyOptions,
) -> None:
    """Run a submission again and add its row if its claims hold; or check or extend stored rows."""
    board = leaderboard_folder(options.leaderboard)
    if folder is not None and not options.row_tasks:
        _verify_submission(folder, board, options.retrain)
    elif folder is not None or options.row_tasks + options.retrain != 1:
        raise ValueError(
            "verify takes a submission's folder, or for the rows there are one of --check, "
            "--again and --retrain"
        )
    elif (options.agent or options.env or options.missing) and not options.retrain:
        raise ValueError("--agent, --env and --missing are for --retrain alone; leave them out")
    elif options.play > options.check:
        raise ValueError("--play is for --check alone; leave it out")
    elif options.check:
        _check(board, options)
    else:
        _print_played(*_played(board, options))


def _verify_submission(folder: Path, board: Path, retrain: bool) -> None:
    from snn_gym.leaderboard import VerificationSettings
    from snn_gym.leaderboard import verify as verify_submission
    from snn_gym.leaderboard.rendering import render_line

    is_new = not board.exists()
    row = verify_submission(folder, board, retrain=retrain)
    if is_new:
        say(f"new leaderboard: {board}")
    say(f"verified: {row.name}\nre-run {VerificationSettings().describe()}")
    say(render_line(board, row))
    if row.recipe is not None and row.trained_again is None:
        again = f"snn-gym verify --leaderboard {board} --retrain --missing"
        say(f"the row ranks once a second training gave its weights: `{again}`")


def _check(board: Path, options: VerifyOptions) -> None:
    from snn_gym.leaderboard import check_board
    from snn_gym.leaderboard.stored_rows import play_again

    problems = check_board(board)
    if problems:
        say(*problems)
        raise ValueError(f"problems in {board}: {len(problems)}; see the lines above")
    if options.play:
        _print_played(play_again(board, processes=options.processes), "hold, {} do not")
    say(f"{board} is as it was verified")


def _played(board: Path, options: VerifyOptions) -> tuple[Iterable[Any], str]:
    """Return the results of stored rows as they come, and their summary for `_print_played`."""
    from snn_gym.leaderboard import stored_rows as rows

    processes = options.processes
    if options.again:
        return rows.reevaluate(board, processes=processes), "written, {} left as they were"
    played = rows.retrain_rows(
        board,
        missing=options.missing,
        agents=options.agent or (),
        environments=options.env or (),
        share=options.sample / 100,
        seed=options.seed,
        processes=processes,
    )
    return played, "trained again, {} do not hold"


def _print_played(results: Iterable[Any], summary: str) -> None:
    """Print results of `snn_gym.leaderboard.stored_rows` as they come, and count the rows.

    The summary says what happened to the good rows, with ``{}`` for the number of bad ones.
    ValueError if there are bad ones.
    """
    good = bad = 0
    for result in results:
        say(result)
        good += result.problem is None
        bad += result.problem is not None
    say(f"{good} rows {summary.format(bad)}")
    if bad:
        raise ValueError(f"{bad} rows do not hold; see the lines above")
