"""Populations without gradients: networks and tasks together, beside one network at a time."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import vector_to_parameters

from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster, measured
from benchmarks.timing import Run, Samples, per_step, race
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, output_size, play
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.population import Population, start_weights

TOGETHER, ONE_BY_ONE = "together", "one by one"
NETWORKS = 1024
EPISODES = 4
"""Episodes of each network."""
NETWORK = NetworkConfig(hidden_sizes=(16,), time_steps=8)
TASKS = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")
_RATE = "steps/s, one core"
_MILLION = 1e6

Weights = NDArray[np.float32]


def _balancing_weights(population: Population, networks: int) -> Weights:
    """Return weights (P, W) that balance CartPole's pole, each network's a little different.

    Half of the hidden neurons fire the more the further the pole falls to the right, half to the
    left; the cart is pushed to the side of the more active half.
    """
    inputs, hidden, outputs = population.sizes
    side = np.repeat([1.0, -1.0], hidden // 2)
    fall = np.array([0.3, 1.0, 3.0, 3.5])  # of position, velocity, angle, its velocity
    push = np.stack([np.zeros(hidden), 2.0 * side / hidden])
    parts = (np.outer(side, fall), np.ones(hidden), push, np.zeros(outputs))
    weights = np.concatenate([part.ravel() for part in parts])
    assert inputs == fall.size
    noise = np.random.default_rng(0).standard_normal((networks, weights.size))
    return (weights + 0.05 * noise).astype(np.float32)


def _prepare(env_id: str, networks: int) -> tuple[Population, Weights, ObservationLimits]:
    task = BATCHED_TASKS[env_id](1)
    observations, actions = task.single_observation_space, task.single_action_space
    assert observations.shape is not None
    population = Population(NETWORK, observations.shape[0], output_size(actions))
    if env_id == "CartPole-v1":
        weights = _balancing_weights(population, networks)
    else:
        weights = start_weights(population, np.random.default_rng(0), networks)
    spikes = load_spike_settings(env_id)
    return population, weights, ObservationLimits.of(spikes.low, spikes.high)


def _batched(env_id: str, networks: int) -> tuple[Run, int]:
    """Return a function that plays all networks together, and the steps that it makes."""
    population, weights, limits = _prepare(env_id, networks)
    task = BATCHED_TASKS[env_id](EPISODES)

    def run() -> int:
        seeds = range(EPISODES)
        return play(task, population, weights, seeds, limits).steps

    return run, run()


def _one_by_one(env_id: str) -> tuple[Run, int]:
    """Return a function that plays an episode of one network, and the steps that it makes."""
    population, weights, limits = _prepare(env_id, 1)
    network = SpikingNetwork(NETWORK, population.sizes[0], population.sizes[-1])
    vector_to_parameters(torch.from_numpy(weights[0]), network.parameters())
    env = gym.make(env_id)

    def run() -> int:
        observation, _ = env.reset(seed=0)
        steps, over = 0, False
        while not over:
            scaled = torch.from_numpy(limits.scale(observation[np.newaxis]))
            with torch.no_grad():
                action = int(network(scaled)[0].argmax())
            observation, _, terminated, truncated, _ = env.step(action)
            steps, over = steps + 1, terminated or truncated
        return steps

    return run, run()


def _run(env_id: str) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        made = {
            TOGETHER: _batched(env_id, NETWORKS),
            ONE_BY_ONE: _one_by_one(env_id),
        }
        calls = {name: call for name, (call, _) in made.items()}
        samples: Samples = per_step(
            race(calls, effort.seconds, 2 if effort.quick else 5),
            {name: steps for name, (_, steps) in made.items()},
        )
        rates = tuple(1 / seconds / _MILLION for seconds in samples[TOGETHER])
        note = "Seconds of one environment step with its decision, whole episodes."
        return Readings(samples, {_RATE: rates}, notes=(note,))

    return run


def _name(env_id: str) -> str:
    return f"populations-{env_id}"


EXPERIMENTS = tuple(
    Experiment(
        _name(env_id),
        f"{NETWORKS:,} networks of 16 neurons, T = 8, {env_id}",
        _run(env_id),
        quick=env_id == "CartPole-v1",
    )
    for env_id in TASKS
)
MEASUREMENTS = tuple(
    found
    for env_id in TASKS
    for found in (
        Measurement(
            f"{_name(env_id)}-rate",
            _name(env_id),
            f"populations without gradients, {env_id}, one core",
            "",
            "M steps/s",
            measured(_RATE),
            *((3.5, 7.0) if env_id == "CartPole-v1" else (None, None)),
        ),
        Measurement(
            f"{_name(env_id)}-ratio",
            _name(env_id),
            f"populations without gradients, {env_id}, one core",
            "one network after the other",
            "×",
            faster(TOGETHER, ONE_BY_ONE),
        ),
    )
)
