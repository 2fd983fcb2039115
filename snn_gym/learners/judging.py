"""Judges, which play episodes with networks and return what each earned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from snn_gym.envs.batch import check_finite
from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedTask
from snn_gym.envs.registry import env_ids, load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, Observer, Rollouts, Samples, play
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.population import Population

Weights = NDArray[np.float32]
"""(P, W), a network in each row."""
Seeds = Sequence[int]
"""(E,), of the episodes that every network plays."""

# Environments stepped one after the other as they are; of a subclass nobody knows what it does.
_PLAIN = (DummyVecEnv, CheckedVecEnv)
# What Stable-Baselines3 puts around every environment, and changes nothing that a network sees.
_HARMLESS_WRAPPERS = {"Monitor"}


class Judge(Protocol):
    """Something that plays the same episodes with every network."""

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Return what networks (P, W) earn in the first episode after a reset with each seed."""


class BatchedJudge:
    """Play all networks and episodes as one batch, in a task that has a batched form.

    Args:
        env_id: A key of ``BATCHED_TASKS``.
        population: Architecture of the networks.
        limits: Limits that scale the observations.
    """

    def __init__(self, env_id: str, population: Population, limits: ObservationLimits) -> None:
        self._env_id = env_id
        self._population = population
        self._limits = limits
        self._task = BATCHED_TASKS[env_id](1)

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play; see ``Judge``."""
        if self._task.num_envs != len(seeds):
            self._task.close()
            self._task = BATCHED_TASKS[self._env_id](len(seeds))
        return play(self._task, self._population, weights, seeds, self._limits, observer=observer)


class SequentialJudge:
    """Play one network after the other in any Stable-Baselines3 ``VecEnv``.

    Environments that are stepped together play episodes whose seeds follow one another, as
    ``VecEnv.seed`` seeds them.

    Args:
        env: Environments to play in.
        policy: Policy that takes the weights of each network in turn.
    """

    def __init__(self, env: VecEnv, policy: SpikingControllerPolicy) -> None:
        self._env = env
        self._policy = policy

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play; see ``Judge``.

        Raises:
            ValueError: An observer is given, for whom there is no activity to see here, or an
                observation or a reward is not finite.
        """
        if observer is not None:
            raise ValueError(
                "the activity within episodes can be observed in batched tasks only: "
                f"{', '.join(sorted(BATCHED_TASKS))}, without wrappers or arguments"
            )
        kept = self._policy.parameters_to_vector()
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
            self._policy.load_from_vector(kept)
        return Rollouts(returns, lengths, samples.joined())

    def _episodes(
        self, seed: int, lanes: NDArray[np.int64], samples: Samples
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return returns and lengths of the lanes' episodes, whose seeds go on from ``seed``."""
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
            # Environments that have ended play on, and environments beyond the count play along.
            returns += np.where(running, rewards[:count].astype(np.float64), 0.0)
            lengths += running
            running &= ~dones[:count]
        return returns, lengths


def _groups(seeds: Sequence[int], size: int) -> Iterator[slice]:
    """Cut seeds into runs of at most ``size`` that follow one another."""
    start = 0
    for index in range(1, len(seeds) + 1):
        ends = index == len(seeds) or seeds[index] != seeds[index - 1] + 1
        if ends or index - start == size:
            yield slice(start, index)
            start = index


def environment_name(env: VecEnv) -> str:
    """Return the gymnasium id of environments, or what they are where they have none."""
    spec = _spec(env)
    return repr(env) if spec is None else spec.id


def batched_id(env: VecEnv) -> str | None:
    """Return the id of the batched task that plays what these environments play, if there is one.

    Args:
        env: Environments of a learner.

    Returns:
        A key of ``BATCHED_TASKS``; None for other tasks, and for wrapped environments and such
        with arguments, which the batched task does not have.
    """
    spec = _spec(env)
    if spec is None or spec.id not in BATCHED_TASKS or not _is_plain(env, BATCHED_TASKS[spec.id]):
        return None
    same = spec.max_episode_steps == gym.spec(spec.id).max_episode_steps
    arguments = {key for key, value in spec.kwargs.items() if key != "render_mode"}
    return spec.id if same and not arguments and _sees_the_task(env, spec) else None


def find_observation_limits(
    env: VecEnv, given: tuple[Sequence[float], Sequence[float]] | None
) -> ObservationLimits:
    """Return the limits that scale the observations of environments.

    Those given; else those of our description of the task; else those of a bounded Box.

    Args:
        env: Environments whose observations are a Box.
        given: Limits (low, high) that the user chose, or None.

    Raises:
        ValueError: The limits do not fit, or none are known.
    """
    if given is not None:
        return ObservationLimits.of(*given)
    spec = _spec(env)
    if spec is not None and f"snn/{spec.id}" in env_ids() and _sees_the_task(env, spec):
        spikes = load_spike_settings(spec.id)
        return ObservationLimits.of(spikes.low, spikes.high)
    space = env.observation_space
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return ObservationLimits.of(space.low.ravel().tolist(), space.high.ravel().tolist())
    estimated = ""
    if spec is not None and _sees_the_task(env, spec):
        estimated = f", such as snn_gym.estimate_limits({spec.id!r})"
    raise ValueError(
        f"the observations {space} of {environment_name(env)} have no limits; give "
        f"observation_limits=(low, high), with a number for each value{estimated}"
    )


def _spec(env: VecEnv) -> gym.envs.registration.EnvSpec | None:
    try:
        spec: gym.envs.registration.EnvSpec | None = env.get_attr("spec")[0]
    except AttributeError:
        return None
    return spec


def _is_plain(env: VecEnv, task: type[BatchedTask]) -> bool:
    if type(env) is StableBaselinesVecEnv:
        return type(env.vector_env) is task
    return type(env) in _PLAIN


def _sees_the_task(env: VecEnv, spec: gym.envs.registration.EnvSpec) -> bool:
    """Tell whether observations are the task's own, changed by no wrapper."""
    if isinstance(env, VecEnvWrapper) and type(env) is not VecMonitor:
        return False
    return {wrapper.name for wrapper in spec.additional_wrappers} <= _HARMLESS_WRAPPERS
