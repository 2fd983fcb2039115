"""Batched environments, beside gymnasium's SyncVectorEnv."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

import snn_gym
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from benchmarks.timing import Run, per_step, race
from snn_gym.envs.classic_control import BATCHED_TASKS

ENVIRONMENTS = 1024
"""Environments of a batch."""
BATCHED, SYNC = "batched", "SyncVectorEnv"
_SYNC_STEPS = 5
_NOISE_STEPS = 64


def stepper(env: VectorEnv[Any, Any, Any], steps: int) -> Run:
    """Return a function that makes steps with random actions that were drawn before."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(20)]

    def run() -> None:
        for step in range(steps):
            env.step(actions[step % len(actions)])

    return run


def _native_ids() -> tuple[str, ...]:
    """Return the ids of the native spiking tasks at their lowest level."""
    specs = {env_id: gym.spec(env_id) for env_id in snn_gym.env_ids()}
    levels: dict[str, list[str]] = {}
    for env_id, spec in specs.items():
        if str(spec.entry_point).startswith("snn_gym.envs.native."):
            levels.setdefault(str(spec.entry_point), []).append(env_id)
    # A higher level is named after its task's id.
    return tuple(min(ids, key=len) for ids in levels.values())


def _against_sync(
    env_id: str, make: Callable[[int], Any], at_least: int, effort: Effort
) -> Readings:
    """Race one step of 1,024 environments, batched and sync.

    A batched stretch is as long as the longest episode, so that it holds a new start of every
    environment, and as the noise that is drawn at once; a stretch of SyncVectorEnv, which is
    shorter, mostly holds none.
    """
    limit = gym.spec(env_id).max_episode_steps
    assert limit is not None
    steps = {BATCHED: max(limit, at_least), SYNC: _SYNC_STEPS}
    sync = gym.make_vec(
        env_id,
        ENVIRONMENTS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    contenders = {
        BATCHED: stepper(make(ENVIRONMENTS), steps[BATCHED]),
        SYNC: stepper(sync, steps[SYNC]),
    }
    samples = race(contenders, effort.seconds / 3, 2 if effort.quick else 5)
    sync.close()
    per_environment = {name: count * ENVIRONMENTS for name, count in steps.items()}
    return Readings(
        per_step(samples, per_environment), notes=("Seconds of a step of one environment.",)
    )


_MAKERS: dict[str, tuple[Callable[[int], Any], int]] = {
    **{env_id: (task, 1) for env_id, task in BATCHED_TASKS.items()},
    **{env_id: (functools.partial(gym.make_vec, env_id), _NOISE_STEPS) for env_id in _native_ids()},
}


def _run(env_id: str) -> Callable[[Effort], Readings]:
    make, at_least = _MAKERS[env_id]
    return lambda effort: _against_sync(env_id, make, at_least, effort)


EXPERIMENTS = tuple(
    Experiment(
        f"environments-{env_id}",
        f"{ENVIRONMENTS:,} environments, {env_id}",
        _run(env_id),
        quick=env_id == "CartPole-v1",
    )
    for env_id in _MAKERS
)
MEASUREMENTS = tuple(
    Measurement(
        experiment.name,
        experiment.name,
        f"stepping, {experiment.title}",
        SYNC,
        "×",
        faster(BATCHED, SYNC),
    )
    for experiment in EXPERIMENTS
)
