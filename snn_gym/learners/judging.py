"""Judges, which play episodes with networks and return the return of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from snn_gym.envs.batch import check_finite
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import env_ids, load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, Observer, Rollouts, Samples, play
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv, spec_of
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.population import Population

Weights = NDArray[np.float32]
"""(P, W), a network in each row."""
Seeds = Sequence[int]
"""(E,), of the episodes that every network plays."""


class BatchedJudge:
    """Judge that plays all networks and episodes as one batch of a task of ``BATCHED_TASKS``."""

    def __init__(self, env_id: str, population: Population, limits: ObservationLimits) -> None:
        self._env_id = env_id
        self._population = population
        self._limits = limits
        self._task = BATCHED_TASKS[env_id](1)

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play, with every network, the first episode after a reset with each seed."""
        # A batched task is made for a number of episodes, which seldom changes.
        if self._task.num_envs != len(seeds):
            self._task.close()
            self._task = BATCHED_TASKS[self._env_id](len(seeds))
        return play(self._task, self._population, weights, seeds, self._limits, observer=observer)


class SequentialJudge:
    """Judge that plays one network after the other in any Stable-Baselines3 ``VecEnv``."""

    def __init__(self, env: VecEnv, policy: SpikingControllerPolicy) -> None:
        self._env = env
        self._policy = policy

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play like ``BatchedJudge``; raise ValueError for an observer or non-finite values."""
        if observer is not None:
            raise ValueError(
                "the activity within episodes can be observed in batched tasks only: "
                f"{', '.join(sorted(BATCHED_TASKS))}, without wrappers or arguments"
            )
        # Callbacks and users act with the policy between judgements.
        own_weights = self._policy.parameters_to_vector()
        returns = np.zeros((len(weights), len(seeds)))
        lengths = np.zeros(returns.shape, np.int64)
        samples = Samples()
        try:
            for network, flat in enumerate(weights):
                self._policy.load_from_vector(flat)
                for group in _groups(seeds, self._env.num_envs):
                    lanes = network * len(seeds) + np.arange(group.start, group.stop)
                    returns[network, group], lengths[network, group] = self._episodes(
                        seeds[group.start], lanes, samples
                    )
        finally:
            self._policy.load_from_vector(own_weights)
        return Rollouts(returns, lengths, samples.joined())

    def _episodes(
        self, seed: int, lanes: NDArray[np.int64], samples: Samples
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Play an episode of each lane, with seeds from ``seed`` on; return returns and lengths."""
        count = lanes.size
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        running = np.ones(count, np.bool_)
        self._env.seed(seed)
        observations: Any = self._env.reset()
        name, seeds = environment_name(self._env), np.arange(seed, seed + self._env.num_envs)
        playing = np.arange(self._env.num_envs) < count
        step = 0
        while running.any():
            playing[:count] = running
            check_finite("observation", observations, name, step, playing, seeds)
            step += 1
            samples.add(step, lanes, observations, running)
            actions, _ = self._policy.predict_by_torch(observations, deterministic=True)
            observations, rewards, dones, _ = self._env.step(actions)
            check_finite("reward", rewards, name, step, playing, seeds)
            # A VecEnv steps all its environments: those beyond the lanes, and those that ended.
            returns += np.where(running, rewards[:count].astype(np.float64), 0.0)
            lengths += running
            running &= ~dones[:count]
        return returns, lengths


def _groups(seeds: Sequence[int], size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` seeds that rise by 1, as ``VecEnv.seed`` sets them."""
    start = 0
    for index in range(1, len(seeds) + 1):
        ends = index == len(seeds) or seeds[index] != seeds[index - 1] + 1
        if ends or index - start == size:
            yield slice(start, index)
            start = index


def environment_name(env: VecEnv) -> str:
    """Return the gymnasium id of the first environment, or the ``repr`` of all without one."""
    spec = spec_of(env)
    return repr(env) if spec is None else spec.id


def batched_id(env: VecEnv) -> str | None:
    """Return the key of ``BATCHED_TASKS`` that plays the same episodes, or None."""
    spec = spec_of(env)
    if spec is None or spec.id not in BATCHED_TASKS:
        return None
    if type(env) is StableBaselinesVecEnv:
        is_plain = type(env.vector_env) is BATCHED_TASKS[spec.id]
    else:  # a subclass may do anything
        is_plain = type(env) in (DummyVecEnv, CheckedVecEnv)
    same_limit = spec.max_episode_steps == gym.spec(spec.id).max_episode_steps
    # Rendering does not change the task.
    has_arguments = bool(spec.kwargs.keys() - {"render_mode"})
    plays_same = is_plain and same_limit and not has_arguments and _sees_the_task(env, spec)
    return spec.id if plays_same else None


def find_observation_limits(
    env: VecEnv, given: tuple[Sequence[float], Sequence[float]] | None
) -> ObservationLimits:
    """Return limits: given (low, high), a task's in snn_gym, or a bounded Box's; or ValueError."""
    if given is not None:
        return ObservationLimits.of(*given)
    spec = spec_of(env)
    # Many tasks have no bounds that observations come near to.
    if spec is not None and f"snn/{spec.id}" in env_ids() and _sees_the_task(env, spec):
        spikes = load_spike_settings(spec.id)
        return ObservationLimits.of(spikes.low, spikes.high)
    space = env.observation_space
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return ObservationLimits.of(space.low.ravel().tolist(), space.high.ravel().tolist())
    example = ""
    if spec is not None and _sees_the_task(env, spec):
        example = f", such as snn_gym.estimate_limits({spec.id!r})"
    raise ValueError(
        f"the observations {space} of {environment_name(env)} have no limits; give "
        f"observation_limits=(low, high), with a number for each value{example}"
    )


def _sees_the_task(env: VecEnv, spec: gym.envs.registration.EnvSpec) -> bool:
    """Return whether no wrapper changes the task's observations."""
    if isinstance(env, VecEnvWrapper) and type(env) is not VecMonitor:
        return False
    # Stable-Baselines3 puts a Monitor around every environment.
    return {wrapper.name for wrapper in spec.additional_wrappers} <= {"Monitor"}
