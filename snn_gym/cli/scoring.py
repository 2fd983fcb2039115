"""The commands ``submit`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_gym.cli.options import (
    ELSEWHERE,
    Leaderboard,
    Run,
    check_out,
    leaderboard_folder,
    print_played,
    say,
    with_options,
)


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
    recount: Annotated[
        bool, typer.Option("--recount", help="Count the measured prices of rows again.")
    ] = False
    agent: Annotated[
        list[str] | None,
        typer.Option(
            help="With --retrain: only rows of this agent; may be repeated.",
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
        return self.check + self.again + self.recount


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
            "--again, --retrain and --recount"
        )
    elif (options.agent or options.missing) and not options.retrain:
        raise ValueError("--agent and --missing are for --retrain alone; leave them out")
    elif options.play > options.check:
        raise ValueError("--play is for --check alone; leave it out")
    elif options.check:
        _check(board, options)
    else:
        print_played(*_played(board, options))


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


def _check(board: Path, options: VerifyOptions) -> None:
    from snn_gym.leaderboard import check_board
    from snn_gym.leaderboard.stored_rows import play_again
    from snn_gym.leaderboard.table import read_instructions

    problems = check_board(board)
    if problems:
        say(*problems)
        raise ValueError(f"problems in {board}: {len(problems)}; see the lines above")
    if options.play:
        print_played(play_again(board, processes=options.processes), "hold, {} do not")
    say(f"{board} is as it was verified")
    if counts := read_instructions(board):
        say(f"instructions not counted again: {len(counts)}; `snn-gym verify --recount` does")


def _played(board: Path, options: VerifyOptions) -> tuple[Iterable[Any], str]:
    """Return the results of stored rows as they come, and their summary for `print_played`."""
    from snn_gym.leaderboard import stored_rows as rows

    processes = options.processes
    if options.recount:
        from snn_gym.program.prices import installed_prices

        prices = [x for x in installed_prices().values() if x.recount is not None]
        if not prices:
            raise ValueError(ELSEWHERE.format("verify --recount"))
        return rows.recount(board, prices), "hold or were not counted again, {} do not hold"
    if options.again:
        return rows.reevaluate(board, processes=processes), "written, {} left as they were"
    played = rows.retrain_rows(
        board,
        missing=options.missing,
        agents=options.agent or (),
        share=options.sample / 100,
        seed=options.seed,
        processes=processes,
    )
    return played, "trained again, {} do not hold"
