"""Rollouts of a population of networks against the same networks one by one, in turn."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.timing import Paired, paired
from snn_gym.registry import load_spike_settings
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.population import Population, start_weights
from snn_gym.tasks.classic_control import BATCHED_TASKS
from snn_gym.tasks.rollout import ObservationLimits, output_size, play

NETWORKS = 1024
EPISODES = 4
"""Episodes of each network."""
NETWORK = NetworkConfig(hidden_sizes=(16,), time_steps=8)
TASKS = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")
_PAIRS = 5

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


def _batched(env_id: str, networks: int, workers: int) -> tuple[Callable[[], object], int]:
    """Return a function that plays all networks as a batch, and the steps that it makes."""
    population, weights, limits = _prepare(env_id, networks)
    task = BATCHED_TASKS[env_id](EPISODES)

    def run() -> int:
        seeds = range(EPISODES)
        return play(task, population, weights, seeds, limits, workers=workers).steps

    return run, run()


def _one_by_one(env_id: str) -> tuple[Callable[[], object], int]:
    """Return a function that plays an episode of one network, and the steps that it makes."""
    population, weights, limits = _prepare(env_id, 1)
    network = SpikingNetwork(NETWORK, population.sizes[0], population.sizes[-1])
    population.unflatten(weights[0], network)
    env = gym.make(env_id)

    def run() -> int:
        observation, _ = env.reset(seed=0)
        steps, over = 0, False
        while not over:
            scaled = torch.from_numpy(limits.scale(observation[np.newaxis]))
            with torch.no_grad():
                action = int(network.decide(scaled).argmax())
            observation, _, terminated, truncated, _ = env.step(action)
            steps, over = steps + 1, terminated or truncated
        return steps

    return run, run()


def measure(workers: int = 1, networks: int = NETWORKS) -> dict[str, Paired]:
    """Return the times of one environment step by task, in a batch and one by one.

    Args:
        workers: Threads that share a batch.
        networks: Networks of a batch.
    """
    torch.set_num_threads(1)
    results = {}
    for env_id in TASKS:
        (ours, our_steps), (other, other_steps) = (
            _batched(env_id, networks, workers),
            _one_by_one(env_id),
        )
        pair = paired(ours, other, _PAIRS)
        results[env_id] = Paired(
            tuple(seconds / our_steps for seconds in pair.seconds_a),
            tuple(seconds / other_steps for seconds in pair.seconds_b),
        )
    return results
