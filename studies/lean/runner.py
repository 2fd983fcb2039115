"""Train the arms of the study: all of a task and seed from the checkpoints of one training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.learners.lean_rules import learning_is_over, sums_of_episodes
from snn_gym.learners.shedding import Shedding
from snn_gym.training.checkpoint import restore_checkpoint
from snn_gym.training.logs import EpisodeLog
from snn_gym.training.run import SegmentCallback
from snn_gym.zoo import make_agent, make_lean
from snn_gym.zoo.build import make_environments
from studies.lean.controls import CONTROLS
from studies.lean.outcome import Outcome
from studies.lean.tasks import (
    CHECKPOINT_INTERVAL,
    LEAN,
    OFF,
    SECOND_TASKS,
    SMALL,
    SYNAPSE_TASKS,
    TASKS,
    Task,
    settings_of,
)
from studies.runs import Planned, Runs

SCRATCH = Path("runs") / "lean"
"""Folder of checkpoints."""
WIDTHS = (8, 16, 32)
"""Neurons of each of the two hidden layers of the students of ``small``, tried in this order."""


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


def shedding_runs(table: Runs) -> Iterator[Planned]:
    """Yield all arms of all tasks, those of a task and seed together."""
    for task in (*TASKS, *SECOND_TASKS, *SYNAPSE_TASKS):
        for seed in task.seed_range():
            for arm in task.arms:
                yield Planned(task.run_name(arm, seed), partial(train, table, task, arm, seed))


def train(table: Runs, task: Task, arm: str, seed: int, scratch: Path = SCRATCH) -> Outcome:
    """Train an arm; all but ``off`` branch from its checkpoints, which are made if missing."""
    folder = scratch / task.env_id.replace("/", "__") / task.variant / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with one_thread():
        if arm == OFF or not (folder / "done").exists():
            off = _train_off(task, seed, folder)
        if arm == OFF:
            return judge(off, task, task.label(arm), seed)
        found = table.read(Outcome, task.run_name(LEAN, seed))
        return (_train_small if arm == SMALL else _train_arm)(
            task, arm, seed, folder, found[0] if found else None
        )


def _train_off(task: Task, seed: int, folder: Path) -> Trained:
    """Train an agent that goes on learning, from its last checkpoint; keep all of these."""
    model = make_agent(task.agent, task.env_id, seed)
    kept = _kept(folder)
    episodes = restore_checkpoint(kept[-1], model) if kept else EpisodeLog()
    branched_at = model.num_timesteps
    seconds = _learn_in_segments(model, task, seed, partial(_KeptSegments, folder), episodes)
    (folder / "done").touch()
    return Trained(model, branched_at, seconds)


def _train_arm(task: Task, arm: str, seed: int, folder: Path, known: Outcome | None) -> Outcome:
    """Train an arm from the last checkpoint before learning was over."""
    settings = settings_of(arm, task, None if known is None else known.last_bound)
    # The rules under which the arms were registered: all shed, at nine tenths at the latest.
    given = {name: x for name, x in settings.items() if x not in CONTROLS}
    network = {"regulation": {"lean": {"largest_rise": None, **given}}}
    model: Any = make_agent(task.agent, task.env_id, seed, network=network)
    model.shedding_kind = CONTROLS.get(arm, Shedding)
    episodes = _restore_before(_learned_at(model, task, folder), model, folder)
    model.remember_episodes(*_course(episodes, task))
    branched_at = model.num_timesteps
    seconds = _learn_arm(model, task, seed, folder / arm, episodes)
    trained = Trained(model, branched_at, seconds)
    outcome = replace(judge(trained, task, task.label(arm), seed), settings=settings)
    if arm != LEAN:
        return outcome
    frozen = evaluate(model.shedding.teacher, task.env_id)
    return replace(outcome, frozen_mean=float(np.mean(frozen.returns)))


def _train_small(task: Task, arm: str, seed: int, folder: Path, known: Outcome | None) -> Outcome:
    """Train the agent that ``lean`` began to shed from, and teach it to smaller networks."""
    settings = settings_of(arm, task, None if known is None else known.last_bound)
    assert known is not None  # or it would have been refused
    assert known.begun_at is not None  # lean always begins
    frozen_at = round(known.begun_at * task.steps)
    trained = make_agent(task.agent, task.env_id, seed)
    episodes = _restore_before(frozen_at, trained, folder)
    branched_at = trained.num_timesteps
    begin = time.process_time()
    _learn_arm(trained, task, seed, folder / arm, episodes, until=frozen_at)
    student = smallest_student(trained, task.steps - frozen_at, settings)
    seconds = time.process_time() - begin
    judged, steps, network = trained, frozen_at, {}
    if student is not None:
        policy: Any = student.policy
        network = {"hidden_sizes": list(policy.network.hidden_sizes)}
        judged, steps = student, frozen_at + student.num_timesteps
    outcome = judge(Trained(judged, branched_at, seconds), task, task.label(arm), seed)
    return replace(
        outcome, steps=steps, begun_at=known.begun_at, last_bound=known.last_bound,
        settings=settings, network=network,
    )  # fmt: skip


def smallest_student(
    trained: BaseAlgorithm, steps: int, settings: dict[str, Any]
) -> LeanAlgorithm | None:
    """Return the smallest student that keeps the bound, no spike costing; None if none does."""
    for width in WIDTHS:
        student = make_lean(trained, steps, network={"hidden_sizes": [width, width]}, **settings)
        shedding = student.shedding
        assert shedding is not None  # it was taught
        if shedding.strength.smoothed <= shedding.bound.bound:
            return student
    return None


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


def _learn_arm(
    model: BaseAlgorithm,
    task: Task,
    seed: int,
    own: Path,
    episodes: EpisodeLog,
    until: int | None = None,
) -> float:
    """Train in the segments of ``off`` to the end of the budget; return the CPU time (s)."""
    checkpoint = own.with_name(f"{own.name}.safetensors")
    segments = partial(SegmentCallback, checkpoint, own.with_name(f"{own.name}.csv"))
    seconds = _learn_in_segments(model, task, seed, segments, episodes, until)
    checkpoint.unlink(missing_ok=True)
    return seconds


def _learn_in_segments(
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
    """Train to the end of a budget, from wherever a model is; return the CPU time (s)."""
    begin, done = time.process_time(), model.num_timesteps
    model.learn(steps - done, callback=callback, reset_num_timesteps=done == 0)
    return time.process_time() - begin


def judge(trained: Trained, task: Task, label: str, seed: int) -> Outcome:
    """Return the outcome of a training."""
    model = trained.model
    evaluation = evaluate(model, task.env_id)
    shedding = model.shedding if isinstance(model, LeanAlgorithm) else None
    return Outcome(
        task=task.env_id,
        arm=label,
        seed=seed,
        agent=task.agent,
        steps=model.num_timesteps,
        branched_at=trained.branched_at,
        settings={},
        begun_at=None if shedding is None else shedding.counters.begun_at,
        last_bound=None if shedding is None else shedding.bound.bound,
        mean=float(np.mean(evaluation.returns)),
        synops=evaluation.synops_per_decision,
        macs=evaluation.total("macs_per_decision") or 0.0,
        neuron_updates=evaluation.total("neuron_updates_per_decision") or 0.0,
        seconds=trained.seconds,
        version=snn_gym.__version__,
    )
