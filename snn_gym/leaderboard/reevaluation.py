"""Play or train the rows of a leaderboard again."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym._base.names import did_you_mean
from snn_gym.envs.registry import IMPORTED, load_environment_spec
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluation_seeds,
)
from snn_gym.leaderboard.manifest import (
    Scores,
    utc_now,
)
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.results import (
    Row,
    is_reproduced,
    list_rows,
    replace_row,
    rows_by_weights,
    verified_weights,
)
from snn_gym.leaderboard.table import read_instructions
from snn_gym.leaderboard.verification import check_weights, different_returns, train_again
from snn_gym.leaderboard.worker import Request, rerun
from snn_gym.program.prices import Price

# ---- reevaluation --------------------------------------------------------------------------------
ROUNDING_TOLERANCE = 0.01
"""Largest accepted difference of a row's mean return between two versions of the evaluator.

Its unit is the range from random play to ``solved``.
"""
COUNT_TOLERANCE = 0.1
"""Largest accepted relative difference of two counts of instructions: compilers differ."""
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


def recount(leaderboard: Path, prices: Iterable[Price]) -> Iterator[Again]:
    """Measure the rows that ``instructions.csv`` names again, by the ``recount`` of each price.

    Yields:
        Outcome of each row and price; one that cannot be repeated here holds, and says so.

    Raises:
        ValueError: A row or a line of the file does not fit its schema.
    """
    rows, counts = rows_by_weights(list_rows(leaderboard)), read_instructions(leaderboard)
    for price in prices:
        # `verify --check` reports counts of no row.
        for (key, name), stored in counts.items():
            if name != price.name or key not in rows or price.recount is None:
                continue
            row = rows[key]
            try:
                found = price.recount(load_row(leaderboard, row), row.environment)
                text = f"{price.name}: {found:.9g} counted, {stored:.9g} stored"
            except ValueError as error:
                found, text = stored, f"{price.name} not counted again: {error}"
            differs = abs(found / stored - 1) > COUNT_TOLERANCE
            yield Again(row.name, text if differs else None, text)


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
    share: float = 1.0,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Train rows again by their recipes, and record in each row that holds that it does.

    Args:
        leaderboard: As in ``reevaluate``; rows of imported agents are skipped.
        missing: Whether to train the rows alone that no training has reproduced.
        agents: Agents whose rows are trained; all if empty.
        share: Share of these rows that is drawn at random, in (0, 1]; at least one row.
        seed: Seed of the draw.
        seeds: As in ``reevaluate``, for rows that give other weights here.
        processes: As in ``reevaluate``.

    Yields:
        Outcome of each row, in the order in which they end.

    Raises:
        SubmissionError: A row does not fit the schema.
        ValueError: The share is out of range, or an agent has no row.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"the share of the rows must be above 0 and at most 1, got {share}")
    stored = list_rows(Path(leaderboard))
    _check_have_rows(agents, stored)
    rows = [
        row
        for row in stored
        if row.budget_class != IMPORTED
        and (not agents or row.agent in agents)
        and not (missing and is_reproduced(row))
    ]
    if not rows:
        return
    drawn = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(share * len(rows)))]
    chosen = [rows[index] for index in sorted(drawn)]
    yield from _for_each(_retrain, leaderboard, chosen, seeds, processes)


def _check_have_rows(agents: Collection[str], rows: Sequence[Row]) -> None:
    known = sorted({row.agent for row in rows}) if agents else []
    for agent in agents:
        if agent not in known:
            meant = did_you_mean(agent, known)
            raise ValueError(f"there is no row of {agent!r}{meant} there are: {', '.join(known)}")


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
    if processes == 1:
        yield from map(run, rows)
        return
    # Spawned processes, because PyTorch's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        for job in as_completed([pool.submit(run, row) for row in rows]):
            yield job.result()
    finally:  # also if the caller stops early: no further row begins
        pool.shutdown(cancel_futures=True)


def _outcome(action: Action, leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    """Run an action on a row and write its changes; return its ValueError as the row's problem."""
    try:
        changes, text = action(leaderboard, row, seeds)
    except ValueError as error:
        return Again(row.name, str(error))
    if changes:
        replace_row(leaderboard, row, **changes)
    return Again(row.name, None, text)


def _retrain(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Result:
    tensors = check_weights(verified_weights(leaderboard, row), row)
    again = train_again(row, tensors, seeds, leaderboard)
    return {"trained_again": again}, f"the same {again.same}" + ", not proven" * (
        not is_reproduced(replace(row, trained_again=again))
    )


def _check_number(row: Row, seeds: tuple[int, ...]) -> None:
    if len(row.score.returns) != len(seeds):
        raise ValueError(f"returns of {len(row.score.returns)} episodes, expected {len(seeds)}")


def _play(leaderboard: Path, row: Row, seeds: tuple[int, ...], *, write: bool = False) -> Result:
    _check_number(row, seeds)
    weights = verified_weights(leaderboard, row)
    check_weights(weights, row)
    result = rerun(Request(agent=row.agent, environment=row.environment, seeds=seeds), weights)
    different = different_returns(row.score, result.score)
    if different and not (write and _is_rounding(row, result.score)):
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


def _is_rounding(row: Row, scores: Scores) -> bool:
    """Return whether rounding of another evaluator version may explain a difference of means."""
    tolerance = load_environment_spec(row.environment).reference.loss(ROUNDING_TOLERANCE)
    return abs(row.score.mean - scores.mean) <= tolerance
