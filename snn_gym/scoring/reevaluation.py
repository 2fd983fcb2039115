"""Evaluate the rows of a leaderboard again, after the evaluator has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from snn_gym.scoring.architecture import check_tensors
from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.evaluation import EVALUATOR_VERSION
from snn_gym.scoring.manifest import utc_now
from snn_gym.scoring.rerun import VerificationSettings, rerun_in_worker
from snn_gym.scoring.results import Row, list_rows, replace_row, row_path
from snn_gym.scoring.verification import MAX_WEIGHTS_BYTES, different_returns
from snn_gym.scoring.worker import Request, Rerun
from snn_gym.storage import StorageError, parse_tensors, read_regular_file


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
    settings: VerificationSettings | None = None,
    *,
    processes: int = 1,
) -> Iterator[Reevaluation]:
    """Evaluate every row of an earlier evaluator again, and write those that give their returns.

    A row is written as soon as it is done, with the costs that the present evaluator counts, so
    that a call that was interrupted goes on where it stopped. A row whose returns differ by more
    than the verifier's tolerance stays as it was.

    Args:
        leaderboard: Folder of the leaderboard.
        settings: Seeds and limits of the evaluation; those of the official table if None.
        processes: Rows evaluated at the same time, each in a process of its own.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    leaderboard = Path(leaderboard)
    settings = settings or VerificationSettings()
    old = [row for row in list_rows(leaderboard) if row.evaluator_version != EVALUATOR_VERSION]
    # Threads only wait for the processes.
    with ThreadPoolExecutor(processes) as pool:
        jobs = [pool.submit(_reevaluate, leaderboard, row, settings) for row in old]
        for job in as_completed(jobs):
            yield job.result()


def _reevaluate(leaderboard: Path, row: Row, settings: VerificationSettings) -> Reevaluation:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    if len(row.score.returns) != len(settings.seeds):
        episodes, expected = len(row.score.returns), len(settings.seeds)
        return Reevaluation(path, f"returns of {episodes} episodes, expected {expected}")
    try:
        result = _rerun(path.with_suffix(".safetensors"), row, settings)
    except (SubmissionError, StorageError) as error:
        return Reevaluation(path, str(error))
    different = different_returns(row.score, result.score)
    if different:
        episode, stored, found = different[0]
        return Reevaluation(
            path,
            f"other returns in {len(different)} of {len(row.score.returns)} episodes, first in "
            f"episode {episode}: {stored} stored, {found} found",
        )
    changes = {**dict(result), "evaluator_version": EVALUATOR_VERSION, "verified": utc_now()}
    replace_row(leaderboard, row.model_copy(update=changes))
    return Reevaluation(path, None, exact=row.score == result.score)


def _rerun(weights_file: Path, row: Row, settings: VerificationSettings) -> Rerun:
    weights = read_regular_file(weights_file, max_bytes=MAX_WEIGHTS_BYTES)
    if hashlib.sha256(weights).hexdigest() != row.weights_sha256:
        raise SubmissionError(
            "weights-sha256", f"{weights_file.name} is not the file that the row was written for"
        )
    tensors, _ = parse_tensors(weights, where=weights_file.name)
    check_tensors(tensors, row.agent, row.environment)
    request = Request(agent=row.agent, environment=row.environment, seeds=settings.seeds)
    return rerun_in_worker(request, weights, settings)
