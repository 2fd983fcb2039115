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
from snn_gym.scoring.manifest import utc_now
from snn_gym.scoring.results import Row, list_rows, replace_row, row_path
from snn_gym.scoring.verification import MAX_WEIGHTS_BYTES, check_weights, different_returns
from snn_gym.scoring.worker import Request, rerun
from snn_gym.storage import read_regular_file


@dataclass(frozen=True)
class Reevaluation:
    """What evaluating a row again has shown."""

    path: Path
    """The row's file."""
    problem: str | None
    """Why the row was left as it was, in one line; None if it was written anew."""
    exact: bool = False
    """Whether every return is the stored one, bit for bit."""


def reevaluate(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Reevaluation]:
    """Evaluate every row of an earlier evaluator again, and write those that give their returns.

    A row is written as soon as it is done, with the costs that the present evaluator counts, so
    that a call that was interrupted goes on where it stopped. A row whose returns differ by more
    than the verifier's tolerance stays as it was. Rows were verified once, so that they are played
    without the verifier's limits on time and memory.

    Args:
        leaderboard: Folder of the leaderboard.
        seeds: Seed of each episode; the public seeds if None, as the official table has them.
        processes: Rows evaluated at the same time; one is played in this process.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    leaderboard = Path(leaderboard)
    seeds = evaluation_seeds(OFFICIAL_EPISODES) if seeds is None else tuple(seeds)
    old = [row for row in list_rows(leaderboard) if row.evaluator_version != EVALUATOR_VERSION]
    if processes == 1:
        for row in old:
            yield _reevaluate(leaderboard, row, seeds)
        return
    # Fresh processes: PyTorch's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        for job in as_completed(pool.submit(_reevaluate, leaderboard, row, seeds) for row in old):
            yield job.result()
    finally:  # also where the caller stops: no further row is begun
        pool.shutdown(cancel_futures=True)


def _reevaluate(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Reevaluation:
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
    changes = {**vars(result), "evaluator_version": EVALUATOR_VERSION, "verified": utc_now()}
    replace_row(leaderboard, dataclasses.replace(row, **changes))
    return Reevaluation(path, None, exact=row.score == result.score)
