"""TD-STDP, against its equations written out in float64."""

import math

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_allclose

from studies.local.td_stdp import ACTORS, CRITICS, TDSTDP, decide, episode, fourier


def copies(population):
    return [array.astype(float) for array in population]


def written_out(inputs, critic, actor, q, last, before, gates, reward, ends, learns):
    """The order of the module's docstring, in matrices (D, N)."""
    size = inputs.shape[1]
    gamma = math.exp(-1 / 1000)
    populations = [
        [x.reshape(size, -1) for x in population[:2]] + population[2:]
        for population in (critic, actor)
    ]
    q = q.reshape(size, -1)
    for t, spikes in enumerate(inputs):
        fired = []
        for population in populations:
            v = math.exp(-1 / 100) * population[2] + last @ population[0]
            fired.append((v >= 13.0).astype(float))
            population[2] = np.where(v >= 13.0, 0.0, v)
            population[3] = math.exp(-1 / 20) * population[3] + fired[-1]
        value = -0.2 + 2 * populations[0][3].mean() / 20
        alive = 0.0 if ends and t >= len(inputs) - 2 else 1.0
        delta = math.sqrt(gamma) * reward + gamma * value * alive - before
        before, delta = value, delta if learns else 0.0
        critic, actor = populations
        critic[0] = critic[0] + delta * critic[1]
        q = math.exp(-1 / 40) * q + gates * actor[1] / 40
        actor[0] = actor[0] + delta * q
        for population, rate, s in zip(populations, (0.005, 0.01), fired, strict=True):
            population[4] = math.exp(-1 / 20) * population[4] + rate * spikes
            population[1] = math.exp(-1 / 20) * population[1] + np.outer(population[4], s) / 20
        last = spikes
    return populations, q, before


@pytest.mark.parametrize(("ends", "learns"), [(False, True), (True, True), (False, False)])
def test_a_decision_follows_the_equations(ends, learns):
    rng = np.random.default_rng(0)
    agent = TDSTDP(rng)
    for population in (agent.critic, agent.actor):
        population[0][:] += 0.4  # so that neurons fire
    gates = rng.normal(size=2 * ACTORS).astype(np.float32)
    for _ in range(3):
        inputs = (rng.random((20, 81)) < 0.6).astype(np.float32)
        before = copies(agent.critic), copies(agent.actor)
        expected = written_out(
            inputs.astype(float), *before, agent._q.astype(float), agent._last.astype(float),
            float(agent._value[0]), gates, 0.02, ends, learns,
        )  # fmt: skip
        decide(
            inputs, agent.critic, agent.actor, agent._q, agent._last, agent._value, gates, 0.02,
            ends, learns,
        )  # fmt: skip
        found = agent.critic, agent.actor
        for population, wanted in zip(found, expected[0], strict=True):
            for array, want in zip(population, wanted, strict=True):
                assert_allclose(array, want.ravel(), rtol=1e-3, atol=1e-5)
        assert_allclose(agent._q, expected[1].ravel(), rtol=1e-3, atol=1e-5)
        assert_allclose(agent._value[0], expected[2], rtol=1e-5)
    assert agent.critic[3].max() > 0.5
    changed = not np.array_equal(agent.actor[0], before[1][0].astype(np.float32))
    assert changed == learns


def test_inputs_are_fourier_features_of_second_order():
    middle = fourier(np.zeros(4))
    assert middle.shape == (81,)
    assert_allclose(middle[0], 1.0)  # all coefficients 0
    assert_allclose(middle[1:3], [0.5, 0.0], atol=1e-12)  # 1 and 2 of the last value, at 1/2
    beyond = fourier(np.array([0.0, 0.0, 0.0, 9.0]))
    assert_allclose(beyond[1:3], [0.0, 1.0], atol=1e-12)


def test_an_episode_without_learning_changes_no_weight():
    agent, env = TDSTDP(np.random.default_rng(0)), gym.make("CartPole-v1")
    weights = agent.critic[0].copy(), agent.actor[0].copy()
    assert 5 <= episode(agent, env, 0, learns=False) <= 500
    assert np.array_equal(agent.critic[0], weights[0])
    episode(agent, env, None, learns=True)
    assert not np.array_equal(agent.actor[0], weights[1])
    assert (agent.critic[0].size, CRITICS) == (81 * 40, 40)
