"""Rows of a leaderboard again: check what is stored, play or train the rows again.

All of it runs in this process, or in further processes without limits, because the weights were
verified.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from snn_gym._base.names import did_you_mean
from snn_gym._base.numerics import Numerics, numerics
from snn_gym._base.storage import StorageError
from snn_gym.envs.registry import IMPORTED, load_environment_spec
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluation_seeds,
)
from snn_gym.leaderboard.limited_process import Request, rerun_here
from snn_gym.leaderboard.manifest import SubmissionError, shorten, utc_now
from snn_gym.leaderboard.rendering import TABLE_NAME, read_table, render_table
from snn_gym.leaderboard.results import (
    RESULTS_FOLDER,
    WEIGHTS_FOLDER,
    Row,
    batch_of,
    is_reproduced,
    list_rows,
    replace_row,
    sound_rows,
    verified_weights,
)
from snn_gym.leaderboard.retraining import find_parent, in_processes, train_again
from snn_gym.leaderboard.submission import check_curve
from snn_gym.leaderboard.verification import check_claim, different_returns
from snn_gym.leaderboard.weights import check_weights, hash_tensors, trained_tensors
from snn_gym.zoo import load_agent_spec


# ---- check ---------------------------------------------------------------------------------------
def check_board(leaderboard: str | os.PathLike[str]) -> tuple[str, ...]:
    """List the differences between a stored leaderboard and its verified state.

    Checks the digests and the order of lines, files without a row, digests and architecture of
    weights, budget classes, aggregates of returns, learning curves, parents of lean rows, and, if
    all these agree, the table README.md. No episode is played. Somebody may edit a line and its
    digest; only the history of the file, as in git, shows that.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        A line for each problem, which names the row or file; empty if there is none.

    Raises:
        ValueError: The folder is missing.
    """
    leaderboard = Path(leaderboard)
    for folder in (leaderboard, leaderboard / RESULTS_FOLDER):
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; expected a leaderboard; verify a row first")
    rows, found = sound_rows(leaderboard)
    problems = [*found, *_batch_problems(leaderboard, rows)]
    for row in rows:
        try:
            _check_row(leaderboard, row)
            find_parent(leaderboard, row, rows)
        except (SubmissionError, StorageError) as error:
            text = " ".join(str(error).split())
            problems.append(text if row.name in text else f"{row.name}: {text}")
    return tuple(problems or _table_problems(leaderboard))


def _check_row(leaderboard: Path, row: Row) -> None:
    check_claim(row.score, len(row.lengths))
    check_curve(row)
    weights = verified_weights(leaderboard, row)
    trained = trained_tensors(check_weights(weights, row), row.agent, row.environment)
    for name, stored, actual in (
        ("content_sha256", row.content_sha256, hash_tensors(trained)),
        ("parameters", row.parameters, sum(x.numel() for x in trained.values())),
        ("budget_class", row.budget_class, load_agent_spec(row.agent).budget_class),
    ):
        if stored != actual:
            raise SubmissionError(
                "row-weights",
                f"{name} is {stored}, but that of its agent and weights is {actual}; submit "
                "the run again",
            )


def _batch_problems(leaderboard: Path, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a message for each file below weights/ that has the weights of no row."""
    used = {batch_of(leaderboard, row) for row in rows}
    for path in sorted((leaderboard / WEIGHTS_FOLDER).rglob("*")):
        if path not in used and (path.is_symlink() or not path.is_dir()):
            place = shorten(path.relative_to(leaderboard).as_posix())
            yield f"{place} has the weights of no row; remove it, or verify its submission"


def _table_problems(leaderboard: Path) -> Iterator[str]:
    try:
        text = render_table(leaderboard)
        written = read_table(leaderboard / TABLE_NAME)
    except ValueError as error:  # StorageError included
        yield str(error)
        return
    if written is not None and written != text.encode():
        yield f"{TABLE_NAME} is not the table of the rows; write it with `snn-gym table`"


# ---- again ---------------------------------------------------------------------------------------
ROUNDING_TOLERANCE = 0.01
"""Largest accepted difference of a row's mean return between two versions of the evaluator.

Its unit is the range from random play to ``solved``.
"""
Result = tuple[Mapping[str, Any], str]
"""Changed fields of a row, and a message."""
Action = Callable[[Path, Row, tuple[int, ...]], Result]
"""Action on a row of a leaderboard with seeds; raises ValueError if the row does not hold."""


@dataclass(frozen=True)
class Again:
    """Outcome of playing or training a row again."""

    name: str
    """The row, in words."""
    problem: str | None
    """Reason why the row does not hold, in one line; None if it holds."""
    same: str = ""
    """Equality with the row, or returns, in words."""

    def __str__(self) -> str:
        """Return the outcome as one line."""
        return f"{self.name}: {self.problem or self.same}"


def reevaluate(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Evaluate every row of an earlier evaluator again, and write those that hold.

    Each row is written at once with the returns and costs of the current evaluator, so that an
    interrupted call can continue. A row whose mean return differs by more than
    ``ROUNDING_TOLERANCE`` does not change.

    Args:
        leaderboard: Folder of the leaderboard.
        seeds: Seed of each episode; the public seeds if None, as the official table has them.
        processes: Rows evaluated at the same time; one is played in this process.

    Yields:
        Outcome of each row, in the order in which they end.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    rows = list_rows(Path(leaderboard))
    old = [row for row in rows if row.evaluator_version != EVALUATOR_VERSION]
    yield from _for_each(functools.partial(_play, write=True), leaderboard, old, seeds, processes)


def play_again(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Evaluate every row again, yield whether its returns agree, and write nothing."""
    yield from _for_each(_play, leaderboard, list_rows(Path(leaderboard)), seeds, processes)


def retrain_rows(
    leaderboard: str | os.PathLike[str],
    *,
    missing: bool = False,
    agents: Collection[str] = (),
    environments: Collection[str] = (),
    share: float = 1.0,
    seed: int = 0,
    processes: int = 1,
) -> Iterator[Again]:
    """Train rows again by their recipes, and record in each row that holds that it does.

    Args:
        leaderboard: As in ``reevaluate``; rows of imported agents are skipped.
        missing: Whether to train the rows alone that no training has reproduced.
        agents: Agents whose rows are trained; all if empty.
        environments: Environments whose rows are trained; all if empty.
        share: Share of these rows that is drawn at random, in (0, 1]; at least one row.
        seed: Seed of the draw.
        processes: As in ``reevaluate``.

    Yields:
        Outcome of each row, in the order in which they end.

    Raises:
        SubmissionError: A row does not fit the schema.
        ValueError: The share is out of range, or an agent or environment has no row.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"the share of the rows must be above 0 and at most 1, got {share}")
    stored = list_rows(Path(leaderboard))
    for asked, kind in ((agents, "agent"), (environments, "environment")):
        known = sorted({getattr(row, kind) for row in stored})
        for name in set(asked).difference(known):
            meant = did_you_mean(name, known)
            raise ValueError(f"there is no row of {name!r}{meant} there are: {', '.join(known)}")
    rows = [
        row
        for row in stored
        if row.budget_class != IMPORTED
        and (not agents or row.agent in agents)
        and (not environments or row.environment in environments)
        and not (missing and is_reproduced(row))
    ]
    if not rows:
        return
    drawn = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(share * len(rows)))]
    chosen = [rows[index] for index in sorted(drawn)]
    yield from _for_each(_retrain, leaderboard, chosen, None, processes)


def _for_each(
    action: Action,
    leaderboard: str | os.PathLike[str],
    rows: Sequence[Row],
    seeds: Sequence[int] | None,
    processes: int,
) -> Iterator[Again]:
    """Yield the outcome of an action on each row, in the order in which they end."""
    seeds = evaluation_seeds(OFFICIAL_EPISODES) if seeds is None else tuple(seeds)
    run = functools.partial(_outcome, action, Path(leaderboard), seeds=seeds)
    for kind in get_args(Numerics):
        chosen = [row for row in rows if row.numerics == kind]
        if processes == 1 and kind == numerics():
            yield from map(run, chosen)
        elif chosen:
            yield from in_processes(run, chosen, kind, processes)


def _outcome(action: Action, leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    """Run an action on a row and write its changes; return its ValueError as the row's problem."""
    try:
        changes, text = action(leaderboard, row, seeds)
    except ValueError as error:
        return Again(row.name, str(error))
    if changes:
        replace_row(leaderboard, row, **changes)
    return Again(row.name, None, text)


def _retrain(leaderboard: Path, row: Row, _: tuple[int, ...]) -> Result:
    tensors = check_weights(verified_weights(leaderboard, row), row)
    again = train_again(row, hash_tensors(tensors), leaderboard)
    return {"trained_again": again}, "the same weights"


def _play(leaderboard: Path, row: Row, seeds: tuple[int, ...], *, write: bool = False) -> Result:
    if len(row.score.returns) != len(seeds):
        raise ValueError(f"returns of {len(row.score.returns)} episodes, expected {len(seeds)}")
    weights = verified_weights(leaderboard, row)
    check_weights(weights, row)
    result = rerun_here(Request(agent=row.agent, environment=row.environment, seeds=seeds), weights)
    different = different_returns(row.score, result.score)
    # Rounding of another evaluator version may change the mean.
    tolerance = load_environment_spec(row.environment).reference.loss(ROUNDING_TOLERANCE)
    if different and not (write and abs(row.score.mean - result.score.mean) <= tolerance):
        episode, stored, actual = different[0]
        raise ValueError(
            f"other returns in {len(different)} of {len(seeds)} episodes, first in episode "
            f"{episode}: {stored} stored, {actual} found"
        )
    # An earlier evaluator may have counted costs on other samples of the same episodes.
    spent, found = (x.costs.operations_per_decision or 0.0 for x in (row, result))
    if not write and (row.lengths != result.lengths or not np.isclose(spent, found, rtol=0.05)):
        raise ValueError(
            f"the same returns of other lengths or costs: {row.costs.in_words()} stored, "
            f"{result.costs.in_words()} found"
        )
    is_exact = row.score == result.score
    changes: dict[str, Any] = {}
    if write:
        changes = {
            **vars(result),
            "evaluator_version": EVALUATOR_VERSION,
            "verified": utc_now(),
            # The earlier evaluator played the faults; their returns hold if all scores are equal.
            "robustness": row.robustness if is_exact else None,
        }
    if different:
        means = f"{row.score.mean:.6g} before, {result.score.mean:.6g} now"
        return changes, f"other returns in {len(different)} episodes, mean {means}"
    return changes, "the same returns" if is_exact else "returns within the tolerance"
