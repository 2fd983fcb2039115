"""Play or train the rows of a leaderboard again, or add what is found of them later."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from snn_gym._base.names import did_you_mean
from snn_gym.envs.registry import IMPORTED, load_environment_spec
from snn_gym.leaderboard.chain import RESULTS_FOLDER, read_below
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluate,
    evaluation_seeds,
)
from snn_gym.leaderboard.faults import AbsentPartError, Faults, with_faults
from snn_gym.leaderboard.hidden import describe, play_hidden, submission_digest
from snn_gym.leaderboard.manifest import MAX_ROW_BYTES, FaultMeans, Robustness, Scores, utc_now
from snn_gym.leaderboard.results import (
    Row,
    gives_the_same_weights,
    hash_tensors,
    list_rows,
    parent_of,
    parents,
    replace_row,
    row_path,
    verified_weights,
)
from snn_gym.leaderboard.retraining import train_again
from snn_gym.leaderboard.submission import curve_of_run, keeps_log
from snn_gym.leaderboard.table import line_of, split_rows
from snn_gym.leaderboard.verification import check_weights, different_returns
from snn_gym.leaderboard.weights import trained_tensors
from snn_gym.leaderboard.worker import Request, rerun
from snn_gym.policies.protocols import Acting, ActingPolicy
from snn_gym.policies.raw_observations import raw_policy
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
    """Play an agent with each fault of the results table.

    Args:
        policy: A policy of snn_gym; it stays as it is.
        env_id: Gymnasium id.
        seeds: Seed of each episode.
        seed: Seed of what the faults draw.

    Returns:
        Mean returns.

    Raises:
        ValueError: As in ``evaluate``.
    """
    means = {
        name: _mean(policy, env_id, seeds, replace(faults, seed=seed))
        for name, faults in FAULTS.items()
    }
    return FaultMeans(**means)


def _mean(policy: Acting, env_id: str, seeds: Sequence[int], faults: Faults) -> float | None:
    try:
        made: Any = with_faults(policy, faults)
    except AbsentPartError:
        return None
    # Without `record`, for what it costs is not asked.
    acting = SimpleNamespace(predict=made.predict, reseed_noise=made.reseed_noise)
    return evaluate(acting, env_id, seeds=seeds).mean


# ---- reevaluation --------------------------------------------------------------------------------
ROUNDING_TOLERANCE = 0.01
"""Largest accepted difference of a row's mean return between two versions of the evaluator, which
may round in other ways, in units of the range from random play to ``solved``."""
_EARLIER = "of an earlier evaluator; evaluate it first with --again"


@dataclass(frozen=True)
class Again:
    """Outcome of playing or training a row again, or of playing its hidden seeds."""

    path: Path
    """The row's file."""
    problem: str | None
    """Why the row does not hold, in one line; None if it does."""
    same: str = ""
    """Equality with the row, or returns on hidden seeds, in words."""

    def __str__(self) -> str:
        """Say in one line what came of the row."""
        return f"{self.path}: {self.problem or self.same}"


def reevaluate(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Evaluate every row of an earlier evaluator again, and write those that hold.

    A row is written as soon as it is done, with the returns and costs that the present evaluator
    finds, so that a call that was interrupted goes on where it stopped. A row whose mean return
    differs by more than ``ROUNDING_TOLERANCE`` stays as it was.

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
    yield from _each(_play_and_write, Path(leaderboard), old, seeds, processes)


def play_again(
    leaderboard: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
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
    yield from _each(_play, leaderboard, list_rows(leaderboard), seeds, processes)


Choice = Literal["all", "parents", "lines"]
"""Rows that are trained again: all; those without the mark that others were made lean from; or of
each line of the table whose costs do not rank the first one without it, with its parent."""


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
    """Train rows again by their recipes, and write into those that hold that they do.

    Args:
        leaderboard: As in ``reevaluate``; imported agents were trained elsewhere and are left out.
        choice: Which rows.
        agents: Agents whose rows these are; all if there are none.
        share: Share of them that is drawn at random, in (0, 1]; at least one.
        seed: Seed of the draw.
        seeds: As in ``reevaluate``; for rows that other machines trained.
        processes: As in ``reevaluate``.

    Yields:
        What came of each row, in the order in which they are done.

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
        if row.budget_class != IMPORTED
    ]
    rows = [row for row in rows if not agents or row.agent in agents]
    if not rows:
        return
    drawn = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(share * len(rows)))]
    chosen = [rows[index] for index in sorted(drawn)]
    yield from _each(retrain_row, Path(leaderboard), chosen, seeds, processes)


def chosen_rows(leaderboard: Path, rows: Sequence[Row], choice: Choice) -> list[Row]:
    """Return the rows that a choice names.

    Args:
        leaderboard: Folder of the leaderboard.
        rows: All of its rows.
        choice: As in ``retrain_rows``.
    """
    if choice == "all":
        return list(rows)
    known = parents(rows)
    unmarked = [row for row in rows if not gives_the_same_weights(row, parent_of(row, known))]
    if choice == "lines":
        ranked, _ = split_rows(leaderboard, rows)
        marked = {line_of(row) for row in ranked if row not in unmarked}
        firsts = {line_of(row): row for row in reversed(ranked) if line_of(row) not in marked}
        wanted = list(firsts.values())
        wanted += [x for x in (parent_of(row, known) for row in wanted) if x is not None]
    else:
        wanted = [x for x in (parent_of(row, known) for row in rows) if x is not None]
    return [
        row
        for row in rows
        if row in wanted and (row.trained_again is None or row.trained_again.same != "weights")
    ]


def _check_have_rows(agents: Collection[str], rows: Sequence[Row]) -> None:
    known = sorted({row.agent for row in rows}) if agents else []
    for agent in agents:
        if agent not in known:
            meant = did_you_mean(agent, known)
            raise ValueError(f"there is no row of {agent!r}{meant} there are: {', '.join(known)}")


def play_hidden_seeds(
    leaderboard: str | os.PathLike[str], salt: bytes, *, processes: int = 1
) -> Iterator[Again]:
    """Play the hidden seeds of the rows that lack their scores, and write these into them.

    Args:
        leaderboard: As in ``reevaluate``.
        salt: The maintainer's secret, at least 32 bytes.
        processes: As in ``reevaluate``.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    rows = [row for row in list_rows(Path(leaderboard)) if row.hidden is None]
    what = functools.partial(_play_hidden, salt=salt)
    yield from _each(what, Path(leaderboard), rows, None, processes)


def add_robustness(
    leaderboard: str | os.PathLike[str],
    agents: Collection[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    processes: int = 1,
) -> Iterator[Again]:
    """Play the rows that were not played with faults yet, and write what they earn into them.

    What a fault draws has the training seed of the row.

    Args:
        leaderboard: As in ``reevaluate``.
        agents: Agents whose rows are played; all if there are none.
        seeds: Seed of each episode, as many as the rows have; the public seeds if None.
        processes: As in ``reevaluate``.

    Yields:
        What came of each row, in the order in which they are done.

    Raises:
        SubmissionError: A row does not fit the schema.
        ValueError: An agent has no row.
    """
    rows = list_rows(Path(leaderboard))
    _check_have_rows(agents, rows)
    lacking = [x for x in rows if x.robustness is None and (not agents or x.agent in agents)]
    yield from _each(_play_with_faults, Path(leaderboard), lacking, seeds, processes)


def add_curves(
    leaderboard: str | os.PathLike[str], runs: str | os.PathLike[str]
) -> Iterator[Again]:
    """Write the learning curves of runs into the rows that came of them and have none.

    As in submissions, they are claims until a row is trained again.

    Args:
        leaderboard: As in ``reevaluate``.
        runs: Folder of finished runs, each as ``RUNS/AGENT/ENVIRONMENT/SEED``, where ``snn-gym
            sweep`` has them; rows without a run there are passed over.

    Yields:
        What came of each row.

    Raises:
        SubmissionError: A row does not fit the schema.
    """
    leaderboard = Path(leaderboard)
    for row in list_rows(leaderboard):
        place = row_path(Path(), row.agent, row.environment, row.seed).with_suffix("")
        run = Path(runs) / place.relative_to(RESULTS_FOLDER)
        bare = row.learning_curve is None and keeps_log(row.recipe)
        if bare and (run / MANIFEST).exists():
            yield _add_curve(leaderboard, row, run)


def _add_curve(leaderboard: Path, row: Row, run: Path) -> Again:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    try:
        policy: ActingPolicy = raw_policy(load_agent(run))
        trained = trained_tensors(policy.acting_state_dict(), row.agent, row.environment)
        if hash_tensors(trained) != row.content_sha256:
            return Again(path, f"{run} holds other weights; expected the run that it came of")
        curve = curve_of_run(run, row.steps)
        replace_row(leaderboard, row, curve=curve)
    except ValueError as error:
        return Again(path, str(error))
    points = 0 if curve is None else len(curve.steps)
    return Again(path, None, f"a learning curve of {points} points")


def _each(
    what: Callable[[Path, Row, tuple[int, ...]], Again],
    leaderboard: Path,
    rows: Sequence[Row],
    seeds: Sequence[int] | None,
    processes: int,
) -> Iterator[Again]:
    seeds = evaluation_seeds(OFFICIAL_EPISODES) if seeds is None else tuple(seeds)
    if processes == 1:
        for row in rows:
            yield what(leaderboard, row, seeds)
        return
    # Fresh processes: PyTorch's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        jobs = [pool.submit(what, leaderboard, row, seeds) for row in rows]
        for job in as_completed(jobs):
            yield job.result()
    finally:  # also where the caller stops: no further row is begun
        pool.shutdown(cancel_futures=True)


def retrain_row(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    """Train a row again by its recipe, and write into it that it holds if it does.

    Args:
        leaderboard: As in ``reevaluate``.
        row: The row.
        seeds: As in ``reevaluate``; for a row that another machine trained.
    """
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    try:
        weights = verified_weights(leaderboard, row)
        again = train_again(row, check_weights(weights, row), seeds, leaderboard)
    except ValueError as error:
        return Again(path, str(error))
    replace_row(leaderboard, row, trained_again=again)
    return Again(path, None, f"the same {again.same}")


def _play_hidden(leaderboard: Path, row: Row, _: tuple[int, ...], *, salt: bytes) -> Again:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    if row.evaluator_version != EVALUATOR_VERSION:
        return Again(path, _EARLIER)
    try:
        weights = verified_weights(leaderboard, row)
        check_weights(weights, row)
        digest = submission_digest(
            read_below(leaderboard, path.relative_to(leaderboard).as_posix(), MAX_ROW_BYTES),
            weights,
        )
        hidden = play_hidden(row, digest, salt, functools.partial(rerun, weights=weights))
    except ValueError as error:
        return Again(path, str(error))
    replace_row(leaderboard, row, hidden=hidden)
    return Again(path, None, describe(dataclasses.replace(row, hidden=hidden)))


def _play_with_faults(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    if row.evaluator_version != EVALUATOR_VERSION:
        return Again(path, _EARLIER)
    if len(row.score.returns) != len(seeds):
        return Again(path, _other_number(row, seeds))
    try:
        tensors = check_weights(verified_weights(leaderboard, row), row)
        policy = build_policy(row.agent, row.environment)
        policy.load_acting_state_dict(tensors)
        means = play_with_faults(policy, row.environment, seeds, row.seed)
    except ValueError as error:
        return Again(path, str(error))
    replace_row(leaderboard, row, robustness=Robustness(means=means, date=utc_now()))
    shown = ", ".join(f"{name} {x:.6g}" for name, x in vars(means).items() if x is not None)
    return Again(path, None, f"mean {row.score.mean:.6g}, {shown}")


def _other_number(row: Row, seeds: tuple[int, ...]) -> str:
    return f"returns of {len(row.score.returns)} episodes, expected {len(seeds)}"


def _play_and_write(leaderboard: Path, row: Row, seeds: tuple[int, ...]) -> Again:
    return _play(leaderboard, row, seeds, write=True)


def _play(leaderboard: Path, row: Row, seeds: tuple[int, ...], *, write: bool = False) -> Again:
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    stored = row.score.returns
    if len(stored) != len(seeds):
        return Again(path, _other_number(row, seeds))
    try:
        weights = verified_weights(leaderboard, row)
        check_weights(weights, row)
        result = rerun(Request(agent=row.agent, environment=row.environment, seeds=seeds), weights)
    except ValueError as error:
        return Again(path, str(error))
    different = different_returns(row.score, result.score)
    if different and not (write and _round_alike(row, result.score)):
        episode, claimed, found = different[0]
        return Again(
            path,
            f"other returns in {len(different)} of {len(stored)} episodes, first in episode "
            f"{episode}: {claimed} stored, {found} found",
        )
    exact = row.score == result.score
    if write:
        changes = {**vars(result), "evaluator_version": EVALUATOR_VERSION, "verified": utc_now()}
        # Faults were played by the earlier evaluator, which earned the same only if all is equal.
        changes["robustness"] = row.robustness if exact else None
        replace_row(leaderboard, row, **changes)
    if different:
        means = f"{row.score.mean:.6g} before, {result.score.mean:.6g} now"
        return Again(path, None, f"other returns in {len(different)} episodes, mean {means}")
    return Again(path, None, "the same returns" if exact else "returns within the tolerance")


def _round_alike(row: Row, found: Scores) -> bool:
    """Tell whether the evaluators' arithmetic may have made the difference of a row's returns."""
    tolerance = load_environment_spec(row.environment).reference.loss(ROUNDING_TOLERANCE)
    return abs(row.score.mean - found.mean) <= tolerance
