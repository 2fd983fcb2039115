"""Tests of evolution: against the package cmaes, torch's Adam and closed forms."""

import numpy as np
import pytest
import torch
from cmaes import CMA, SepCMA
from scipy.stats import rankdata

from snn_gym.learners.evolution import centred_ranks
from snn_gym.spiking import NetworkConfig
from tests.learners.cases import SMALL, make
from tests.learners.scripted import attach


def sphere(flat, seed):
    return -float(np.square(flat).sum())


def test_ranks_are_centred_and_ties_share_them():
    assert centred_ranks(np.array([3.0, 1.0, 2.0])).tolist() == [0.5, -0.5, 0.0]
    assert centred_ranks(np.array([7.0, 7.0, 7.0])).tolist() == [0.0, 0.0, 0.0]
    assert centred_ranks(np.array([5.0])).tolist() == [-0.5 + 0.0]
    scores = np.random.default_rng(0).integers(0, 5, 40).astype(float)
    np.testing.assert_allclose(centred_ranks(scores), (rankdata(scores) - 1) / 39 - 0.5)


def test_gradient_of_a_linear_return_has_its_direction():
    model = make("EvolutionStrategies", network=SMALL, pairs=2_000, noise_std=0.1)
    direction = np.random.default_rng(0).normal(size=model.weights.size)
    seen = []
    model._step = lambda gradient: seen.append(gradient) or np.zeros_like(gradient)
    attach(model, lambda flat, seed: float(flat @ direction))
    model._iterate()
    cosine = seen[0] @ direction / np.linalg.norm(seen[0]) / np.linalg.norm(direction)
    assert cosine > 0.98


def test_networks_come_in_antithetic_pairs_on_the_same_episodes():
    model = make("EvolutionStrategies", network=SMALL, pairs=3, probe_episodes=2, noise_std=0.5)
    seen, mean = [], model.weights
    judge = attach(model, sphere)
    play = judge.play
    judge.play = lambda weights, seeds, observer: seen.append(weights) or play(weights, seeds)
    model._iterate()
    assert [(networks, len(seeds)) for networks, seeds in judge.asked] == [(6, 2)]
    np.testing.assert_allclose((seen[0][:3] + seen[0][3:]) / 2, np.tile(mean, (3, 1)), atol=1e-6)


def test_adam_equals_torchs():
    model = make("EvolutionStrategies", network=SMALL, learning_rate=0.3)
    parameter = torch.zeros(model.weights.size, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([parameter], lr=0.3, maximize=True)
    position = np.zeros(model.weights.size)
    generator = np.random.default_rng(0)
    for _ in range(5):
        gradient = generator.normal(size=position.size)
        position += model._step(gradient)
        parameter.grad = torch.from_numpy(gradient)
        optimiser.step()
        np.testing.assert_allclose(position, parameter.detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize(("neurons", "kind"), [(4, CMA), (40, SepCMA)])
def test_cma_es_equals_the_cmaes_package(neurons, kind):
    network = NetworkConfig(hidden_sizes=(neurons,), time_steps=3)
    model = make("CMAES", network=network, population_size=9, initial_std=0.3)
    attach(model, sphere)
    whole = kind(model.weights.astype(np.float64), 0.3, population_size=9)
    seeds = np.random.default_rng(5)
    model.reseed(5)
    for _ in range(4):
        model._iterate()
        whole.reseed_rng(int(seeds.integers(2**32)))
        seeds.integers(2**31 - 1)  # which names the episodes
        asked = [whole.ask() for _ in range(9)]
        whole.tell([(x, -sphere(x.astype(np.float32), 0)) for x in asked])
        # The policy holds float32.
        np.testing.assert_allclose(model.weights, whole.mean, rtol=1e-4, atol=1e-5)
        whole._mean = model.weights.astype(np.float64)
    np.testing.assert_allclose(model.memory.C, whole._C)
    assert model.memory.sigma == pytest.approx(whole._sigma)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("EvolutionStrategies", {"noise_std": 0.1, "learning_rate": 0.05}), ("CMAES", {})],
)
def test_evolution_climbs_a_sphere(name, arguments):
    model = make(name, network=SMALL, **arguments)
    attach(model, sphere)
    start = sphere(model.weights, 0)
    for _ in range(200):
        model._iterate()
    assert sphere(model.weights, 0) > 0.2 * start


def test_update_with_weight_decay_by_hand():
    model = make(
        "EvolutionStrategies", network=SMALL, pairs=1, noise_std=0.25, weight_decay=0.5,
        learning_rate=0.125,
    )  # fmt: skip
    mean, seen = model.weights, []
    attach(model, lambda flat, seed: seen.append(flat) or float(-len(seen)))  # the first is better
    model._iterate()
    noise = (seen[0] - mean.astype(np.float64)) / 0.25
    # g = (0.5 noise - 0.5 (-noise)) / (2 * 0.25), less the share of the weights
    gradient = noise / 0.5 - 0.5 * mean
    np.testing.assert_allclose(model.memory.moment_1, 0.1 * gradient, rtol=1e-3, atol=1e-5)
    # Adam's first step is the rate along the gradient's sign.
    np.testing.assert_allclose(model.weights - mean, 0.125 * np.sign(gradient), atol=1e-5)
