"""Evaluate the rows of a leaderboard again, after the evaluator has changed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from snn_gym.scoring.evaluation import EVALUATOR_VERSION, OFFICIAL_EPISODES, evaluation_seeds
from snn_gym.scoring.manifest import MAX_WEIGHTS_BYTES, utc_now
from snn_gym.scoring.results import Row, list_rows, replace_row, row_path
from snn_gym.scoring.verification import check_weights, different_returns
from snn_gym.scoring.worker import Request, rerun
from snn_gym.storage import read_regular_file


@dataclass(frozen=True)
class Reevaluation:
    """What evaluating a row again has shown."""

    path: Path
    """The row's file."""
    problem: str | None
    """Why the row does not hold, in one line; None if it does."""
    exact: bool = False
    """Whether every return is the stored one, bit for bit."""

    def __str__(self) -> str:
        """Say in one line what came of the row."""
        same = "the same returns" if self.exact else "returns within the tolerance"
        return f"{self.path}: {self.problem or same}"


def reevaluate(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Reevaluation]:
    """Evaluate every row of an earlier evaluator again, and write those that give their returns.

    A row is written as soon as it is done, with the costs that the present evaluator counts, so
    that a call that was interrupted goes on where it stopped. A row whose returns differ by more
    than the verifier's tolerance stays as it was.

    Args:
        leaderboard: Folder of the leaderboard.
        seeds: Seed of each episode; the public seeds if None, as the official table has them.
        processes: Rows evaluated at the same time; one is played in this process.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    rows = list_rows(Path(leaderboard))
    old = [row for row in rows if row.evaluator_version != EVALUATOR_VERSION]
    yield from _play_rows(Path(leaderboard), old, seeds, processes, write=True)


def play_again(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Reevaluation]:
    """Evaluate every row again, and write nothing.

    Args:
        leaderboard: As in ``reevaluate``.
        seeds: As in ``reevaluate``.
        processes: As in ``reevaluate``.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    leaderboard = Path(leaderboard)
    yield from _play_rows(leaderboard, list_rows(leaderboard), seeds, processes, write=False)


def _play_rows(
    leaderboard: Path,
    rows: Sequence[Row],
    seeds: Sequence[int] | None,
    processes: int,
    *,
    write: bool,
) -> Iterator[Reevaluation]:
    seeds = evaluation_seeds(OFFICIAL_EPISODES) if seeds is None else tuple(seeds)
    if processes == 1:
        for row in rows:
            yield _play(leaderboard, row, seeds, write)
        return
    # Fresh processes: PyTorch's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        jobs = [pool.submit(_play, leaderboard, row, seeds, write) for row in rows]
        for job in as_completed(jobs):
            yield job.result()
    finally:  # also where the caller stops: no further row is begun
        pool.shutdown(cancel_futures=True)


def _play(leaderboard: Path, row: Row, seeds: tuple[int, ...], write: bool) -> Reevaluation:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    stored = row.score.returns
    if len(stored) != len(seeds):
        return Reevaluation(path, f"returns of {len(stored)} episodes, expected {len(seeds)}")
    try:
        weights = read_regular_file(path.with_suffix(".safetensors"), max_bytes=MAX_WEIGHTS_BYTES)
        check_weights(weights, row)
        result = rerun(Request(agent=row.agent, environment=row.environment, seeds=seeds), weights)
    except ValueError as error:
        return Reevaluation(path, str(error))
    different = different_returns(row.score, result.score)
    if different:
        episode, claimed, found = different[0]
        return Reevaluation(
            path,
            f"other returns in {len(different)} of {len(stored)} episodes, first in episode "
            f"{episode}: {claimed} stored, {found} found",
        )
    if write:
        changes = {**vars(result), "evaluator_version": EVALUATOR_VERSION, "verified": utc_now()}
        replace_row(leaderboard, dataclasses.replace(row, **changes))
    return Reevaluation(path, None, exact=row.score == result.score)
