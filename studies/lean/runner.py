"""Train the arms of the study: all of a task and seed from the checkpoints of one training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback

import snn_gym
from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.evaluation import Evaluation, evaluate
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.spiking.regulation.lean import (
    learning_is_over,
    sums_of_episodes,
)
from snn_gym.training.checkpoint import remove_checkpoints, restore_checkpoint
from snn_gym.training.logs import EpisodeLog
from snn_gym.training.run import SegmentCallback
from snn_gym.zoo import make_agent
from snn_gym.zoo.build import make_environments
from studies.lean.outcome import Outcome, outcome_path, read_outcome, write_outcome
from studies.lean.plan import (
    ARMS,
    CHECKPOINT_INTERVAL,
    FIXED,
    LEAN,
    OFF,
    SMALL,
    Task,
    chosen_strength,
    settings_of,
)
from studies.lean.small import smallest_student

Report = Callable[[Outcome], None]
"""Called with every arm as it ends."""


@dataclass(frozen=True)
class Trained:
    """An agent and the cost of its training."""

    model: BaseAlgorithm
    """The agent."""
    branched_at: int = 0
    """Environment steps of the checkpoint it was trained from; 0 for the start."""
    seconds: float = 0.0
    """CPU time of the training (s)."""


class _KeptSegments(SegmentCallback):
    """Segments of a training each of whose checkpoints is a file of its own."""

    def __init__(self, folder: Path, *args: Any, **kwargs: Any) -> None:
        self._folder = folder
        super().__init__(folder, folder / "episodes.csv", *args, **kwargs)

    def _on_rollout_start(self) -> None:
        self._checkpoint = self._folder / f"{self.model.num_timesteps}.safetensors"
        super()._on_rollout_start()


class _Until(BaseCallback):
    """Ends a training in the rollout before an update that is not to be made."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self._steps


def run_seed(
    task: Task, seed: int, arms: Sequence[str], results: Path, scratch: Path, report: Report
) -> None:
    """Train the missing arms of a task with one seed."""
    for arm in arms:
        if arm not in ARMS:
            raise ValueError(f"arm {arm!r} is unknown; arms: {', '.join(ARMS)}")
    missing = [
        arm
        for arm in arms
        if not outcome_path(results, task.env_id, task.label(arm), seed).exists()
    ]
    if not missing:
        return
    if FIXED in missing:
        chosen_strength(task)  # refused before anything is trained
    folder = scratch_folder(scratch, task, seed)
    with one_thread():
        if OFF in missing or not (folder / "done").exists():
            off = trained_off(task, seed, folder)
            if OFF in missing:
                outcome = judge(off, task, OFF, seed, {})
                write_outcome(results, outcome)
                report(outcome)
        for arm in (x for x in ARMS if x in missing and x != OFF):
            if arm == SMALL:
                outcome = _train_small(task, seed, folder, results)
            else:
                outcome = _train_arm(task, arm, seed, folder, results)
            write_outcome(results, outcome)
            report(outcome)


def scratch_folder(scratch: Path, task: Task, seed: int) -> Path:
    """Return the folder, which is made, of the checkpoints of a task and seed."""
    folder = scratch / task.env_id.replace("/", "__") / task.variant / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def trained_off(task: Task, seed: int, folder: Path) -> Trained:
    """Train an agent that goes on learning, from its last checkpoint; keep all of these."""
    model = make_agent(task.agent, task.env_id, seed, network=task.network)
    kept = _kept(folder)
    episodes = restore_checkpoint(kept[-1], model) if kept else EpisodeLog()
    branched_at = model.num_timesteps
    seconds = learn_in_segments(model, task, seed, partial(_KeptSegments, folder), episodes)
    (folder / "done").touch()
    return Trained(model, branched_at, seconds)


def trained_arm(
    task: Task, arm: str, settings: Mapping[str, Any], seed: int, folder: Path
) -> Trained:
    """Train an arm from the last checkpoint before learning was over."""
    # The rules under which the arms were registered: all shed, at nine tenths at the latest.
    shedding = {"largest_rise": None, **settings}
    network = {**task.network, "regulation": {"lean": shedding}}
    model = make_agent(task.agent, task.env_id, seed, network=network)
    assert isinstance(model, LeanAlgorithm)  # as its network asks
    episodes = _restore_before(_learned_at(model, task, folder), model, folder)
    model.remember_episodes(*_course(episodes, task))
    branched_at = model.num_timesteps
    return Trained(model, branched_at, learn_arm(model, task, seed, folder / arm, episodes))


def _train_arm(task: Task, arm: str, seed: int, folder: Path, results: Path) -> Outcome:
    known = None if arm == LEAN else _known(task, seed, results)
    strength = chosen_strength(task) if arm == FIXED else None
    settings = settings_of(arm, None if known is None else known.last_bound, strength)
    assert settings is not None  # only off has none
    settings = {**task.lean, **settings}
    trained = trained_arm(task, arm, settings, seed, folder)
    model: Any = trained.model
    outcome = judge(trained, task, arm, seed, settings)
    if arm != LEAN:
        return outcome
    frozen = evaluate(model.shedding.teacher, task.env_id)
    return replace(outcome, frozen_mean=float(np.mean(frozen.returns)))


def _train_small(task: Task, seed: int, folder: Path, results: Path) -> Outcome:
    """Train the agent that ``lean`` began to shed from, and teach it to smaller networks."""
    known = _known(task, seed, results)
    settings = settings_of(SMALL, None if known is None else known.last_bound)
    assert settings is not None  # only off has none
    settings = {**task.lean, **settings}
    assert known is not None  # or it would have been refused
    assert known.begun_at is not None  # lean always begins
    frozen_at = round(known.begun_at * task.steps)
    trained = make_agent(task.agent, task.env_id, seed, network=task.network)
    episodes = _restore_before(frozen_at, trained, folder)
    branched_at = trained.num_timesteps
    begin = time.process_time()
    learn_arm(trained, task, seed, folder / SMALL, episodes, until=frozen_at)
    student = smallest_student(trained, task.steps - frozen_at, settings)
    seconds = time.process_time() - begin
    own, judged, steps = task, trained, frozen_at
    if student is not None:
        policy: Any = student.policy
        sizes = {"hidden_sizes": list(policy.network.hidden_sizes)}
        own, judged = replace(task, network={**task.network, **sizes}), student
        steps += student.num_timesteps
    outcome = judge(Trained(judged, branched_at, seconds), own, SMALL, seed, settings)
    return replace(outcome, steps=steps, begun_at=known.begun_at, last_bound=known.last_bound)


def _known(task: Task, seed: int, results: Path) -> Outcome | None:
    """Return how ``lean`` went, None if it has not been run."""
    path = outcome_path(results, task.env_id, task.label(LEAN), seed)
    return read_outcome(path) if path.exists() else None


def _learned_at(model: LeanAlgorithm, task: Task, folder: Path) -> int:
    """Return the environment steps after which ``off`` had learned, as ``lean`` will find it."""
    episodes = restore_checkpoint(_kept(folder)[-1], model)
    sums = sums_of_episodes(*_course(episodes, task))
    # Later episodes than the last checkpoint's are not needed: no arm branches after it.
    rollout = max(1, model.rollout_steps)
    return next(
        steps
        for steps in range(rollout, task.steps + rollout, rollout)
        if learning_is_over(sums, min(1.0, steps / task.steps), model.lean_parameters)
    )


def _course(episodes: EpisodeLog, task: Task) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when episodes ended, as shares of the training, and their returns."""
    columns = episodes.to_arrays()
    return columns["timestep"] / task.steps, columns["return"]


def _restore_before(steps: float, model: BaseAlgorithm, folder: Path) -> EpisodeLog:
    """Restore the last checkpoint before a number of environment steps; return its episodes."""
    # At the number itself the checkpoint has an update of learning where the arm begins to shed.
    before = [path for path in _kept(folder) if int(path.stem) < steps]
    return restore_checkpoint(before[-1], model)


def _kept(folder: Path) -> list[Path]:
    """Return the checkpoints of a training, oldest first."""
    found = (path for path in folder.glob("*.safetensors") if path.stem.isdigit())
    return sorted(found, key=lambda path: int(path.stem))


def learn_arm(
    model: BaseAlgorithm,
    task: Task,
    seed: int,
    own: Path,
    episodes: EpisodeLog | None = None,
    until: int | None = None,
) -> float:
    """Train to the end of a task's budget, in the segments that ``off`` is trained in.

    Returns:
        The CPU time that it took (s).
    """
    checkpoint = own.with_name(f"{own.name}.safetensors")
    segments = partial(SegmentCallback, checkpoint, own.with_name(f"{own.name}.csv"))
    episodes = EpisodeLog() if episodes is None else episodes
    seconds = learn_in_segments(model, task, seed, segments, episodes, until)
    remove_checkpoints(checkpoint)
    return seconds


def learn_in_segments(
    model: BaseAlgorithm,
    task: Task,
    seed: int,
    segments: Callable[..., SegmentCallback],
    episodes: EpisodeLog,
    until: int | None = None,
) -> float:
    """Train to the end of the budget, with a checkpoint after each segment."""
    make = partial(make_environments, task.env_id, model.n_envs, seed)
    callbacks: list[BaseCallback] = [
        segments(episodes, seed, CHECKPOINT_INTERVAL, make, "disjoint")
    ]
    if until is not None:
        callbacks.append(_Until(until))
    return learn(model, task.steps, callbacks)


def learn(model: BaseAlgorithm, steps: int, callback: MaybeCallback = None) -> float:
    """Train to the end of a budget, from wherever a model is.

    Returns:
        The CPU time that it took (s).
    """
    begin, done = time.process_time(), model.num_timesteps
    model.learn(steps - done, callback=callback, reset_num_timesteps=done == 0)
    return time.process_time() - begin


def judge(
    trained: Trained,
    task: Task,
    arm: str,
    seed: int,
    settings: Mapping[str, Any],
    evaluation: Evaluation | None = None,
) -> Outcome:
    """Return the outcome of a training."""
    model = trained.model
    evaluation = evaluate(model, task.env_id) if evaluation is None else evaluation
    shedding = model.shedding if isinstance(model, LeanAlgorithm) else None
    return Outcome(
        task=task.env_id,
        arm=task.label(arm),
        seed=seed,
        agent=task.agent,
        steps=model.num_timesteps,
        branched_at=trained.branched_at,
        settings=dict(settings),
        begun_at=None if shedding is None else shedding.counters.begun_at,
        last_bound=None if shedding is None else shedding.bound.bound,
        returns=evaluation.returns,
        mean=float(np.mean(evaluation.returns)),
        synops=evaluation.synops_per_decision,
        macs=evaluation.total("macs_per_decision") or 0.0,
        neuron_updates=evaluation.total("neuron_updates_per_decision") or 0.0,
        seconds=trained.seconds,
        version=snn_gym.__version__,
        network=dict(task.network),
    )
