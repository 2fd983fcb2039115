"""Play or train the rows of a leaderboard again, or add later findings to them."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from snn_gym._base.names import did_you_mean
from snn_gym.envs.registry import IMPORTED, load_environment_spec
from snn_gym.leaderboard.evaluation import (
    COMPARED_VERSIONS,
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluate,
    evaluation_seeds,
)
from snn_gym.leaderboard.faults import AbsentPartError, Faults, with_faults
from snn_gym.leaderboard.manifest import (
    FaultMeans,
    Robustness,
    Scores,
    utc_now,
)
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.results import (
    Row,
    file_name,
    gives_the_same_weights,
    hash_tensors,
    is_reproduced,
    list_rows,
    parent_of,
    replace_row,
    rows_by_weights,
    verified_weights,
)
from snn_gym.leaderboard.submission import curve_of_run, keeps_log
from snn_gym.leaderboard.table import line_of, read_instructions, split_rows
from snn_gym.leaderboard.verification import check_weights, different_returns, train_again
from snn_gym.leaderboard.weights import trained_tensors
from snn_gym.leaderboard.worker import Request, rerun
from snn_gym.policies.protocols import Acting, ActingPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.prices import Price
from snn_gym.zoo import build_policy, load_agent
from snn_gym.zoo.files import MANIFEST

# ---- faults --------------------------------------------------------------------------------------
FAULTS: Mapping[str, Faults] = {
    "observation_noise": Faults(observation_noise=0.1),
    "spike_loss": Faults(spike_loss=0.1),
    "dead_neurons": Faults(dead_neurons=0.1),
    "weights_8_bits": Faults(weights_bits=8),
    "weights_4_bits": Faults(weights_bits=4),
}
"""The faults of the results table, by the names of `FaultMeans`."""


def play_with_faults(policy: Acting, env_id: str, seeds: Sequence[int], seed: int) -> FaultMeans:
    """Return the mean return with each fault of the table, drawn by ``seed``; None if undefined."""
    means = {
        name: _mean(policy, env_id, seeds, replace(faults, seed=seed))
        for name, faults in FAULTS.items()
    }
    return FaultMeans(**means)


def _mean(policy: Acting, env_id: str, seeds: Sequence[int], faults: Faults) -> float | None:
    try:
        faulty: Any = with_faults(policy, faults)
    except AbsentPartError:
        return None
    # Without `record`, so that the evaluation does not count costs.
    acting = SimpleNamespace(predict=faulty.predict, reseed_noise=faulty.reseed_noise)
    return evaluate(acting, env_id, seeds=seeds).mean


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


Choice = Literal["all", "parents", "lines"]
"""Rows that are trained again.

``parents``: rows that others were made lean from. ``lines``: of each line of the table without a
reproduced seed, the first row, with its parent. Both without rows whose weights were reproduced.
"""


def retrain_rows(
    leaderboard: str | os.PathLike[str],
    *,
    choice: Choice = "all",
    agents: Collection[str] = (),
    share: float = 1.0,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Train rows again by their recipes, and record in each row that holds that it does.

    Args:
        leaderboard: As in ``reevaluate``; rows of imported agents are skipped.
        choice: Rows to train.
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
        for row in chosen_rows(Path(leaderboard), stored, choice)
        if row.budget_class != IMPORTED and (not agents or row.agent in agents)
    ]
    if not rows:
        return
    drawn = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(share * len(rows)))]
    chosen = [rows[index] for index in sorted(drawn)]
    yield from _for_each(_retrain, leaderboard, chosen, seeds, processes)


def chosen_rows(leaderboard: Path, rows: Sequence[Row], choice: Choice) -> list[Row]:
    """Return the rows of a `Choice`, in their order."""
    if choice == "all":
        return list(rows)
    known = rows_by_weights(rows)
    wanted: list[Row] = []
    children = rows
    if choice == "lines":
        ranked, _ = split_rows(leaderboard, rows)
        proven = {
            line_of(row) for row in ranked if gives_the_same_weights(row, parent_of(row, known))
        }
        firsts = {line_of(row): row for row in reversed(ranked) if line_of(row) not in proven}
        wanted += firsts.values()
        children = list(wanted)
    wanted += [x for x in (parent_of(row, known) for row in children) if x is not None]
    return [row for row in rows if row in wanted and not is_reproduced(row)]


def _check_have_rows(agents: Collection[str], rows: Sequence[Row]) -> None:
    known = sorted({row.agent for row in rows}) if agents else []
    for agent in agents:
        if agent not in known:
            meant = did_you_mean(agent, known)
            raise ValueError(f"there is no row of {agent!r}{meant} there are: {', '.join(known)}")


def add_robustness(
    leaderboard: str | os.PathLike[str],
    agents: Collection[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Play with faults the rows that lack such returns, and write the mean returns into them.

    The row's training seed draws random faults.

    Args:
        leaderboard: As in ``reevaluate``.
        agents: Agents whose rows are played; all if empty.
        seeds: Seed of each episode, as many as the rows have; the public seeds if None.
        processes: As in ``reevaluate``.

    Yields:
        Outcome of each row, in the order in which they end.

    Raises:
        SubmissionError: A row does not fit the schema.
        ValueError: An agent has no row.
    """
    rows = list_rows(Path(leaderboard))
    _check_have_rows(agents, rows)
    lacking = [x for x in rows if x.robustness is None and (not agents or x.agent in agents)]
    yield from _for_each(_play_with_faults, leaderboard, lacking, seeds, processes)


def add_curves(
    leaderboard: str | os.PathLike[str], runs: str | os.PathLike[str]
) -> Iterator[Again]:
    """Write the learning curves of runs into their rows without a curve.

    They are claims until a row is trained again.

    Args:
        leaderboard: As in ``reevaluate``.
        runs: Folder of finished runs, each as ``RUNS/AGENT/ENVIRONMENT/SEED`` as from ``snn-gym
            sweep``; rows without a run there are skipped.

    Yields:
        Outcome of each row.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    leaderboard = Path(leaderboard)
    for row in list_rows(leaderboard):
        run = Path(runs) / row.agent / file_name(row.environment) / str(row.seed)
        if row.learning_curve is None and keeps_log(row.recipe) and (run / MANIFEST).exists():
            yield _outcome(functools.partial(_add_curve, run=run), leaderboard, row, ())


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


def retrain_row(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    """Train a row again by its recipe, record in the row if it holds, and return the outcome."""
    return _outcome(_retrain, leaderboard, row, seeds)


def _retrain(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Result:
    tensors = check_weights(verified_weights(leaderboard, row), row)
    again = train_again(row, tensors, seeds, leaderboard)
    return {"trained_again": again}, f"the same {again.same}" + ", not proven" * (
        not is_reproduced(replace(row, trained_again=again))
    )


def _add_curve(leaderboard: Path, row: Row, _: tuple[int, ...], *, run: Path) -> Result:
    policy: ActingPolicy = raw_policy(load_agent(run))
    trained = trained_tensors(policy.acting_state_dict(), row.agent, row.environment)
    if hash_tensors(trained) != row.content_sha256:
        raise ValueError(f"{run} holds other weights; expected the run that it came of")
    curve = curve_of_run(run, row.steps)
    replace_row(leaderboard, row, curve=curve)  # here, so that its errors are problems, too
    return {}, f"a learning curve of {0 if curve is None else len(curve.steps)} points"


def _play_with_faults(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Result:
    _check_is_current(row)
    _check_number(row, seeds)
    tensors = check_weights(verified_weights(leaderboard, row), row)
    policy = build_policy(row.agent, row.environment, tensors)
    policy.load_acting_state_dict(tensors)
    means = play_with_faults(policy, row.environment, seeds, row.seed)
    shown = ", ".join(f"{name} {x:.6g}" for name, x in vars(means).items() if x is not None)
    robustness = Robustness(means=means, date=utc_now())
    return {"robustness": robustness}, f"mean {row.score.mean:.6g}, {shown}"


def _check_is_current(row: Row) -> None:
    if row.evaluator_version not in COMPARED_VERSIONS:
        raise ValueError("of an earlier evaluator; evaluate it first with --again")


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
