"""Tests of pendulums at more decisions a second, and of actors that send changes."""

import gymnasium as gym
import numpy as np
import pytest

import snn_gym
from snn_gym.policies import FrozenPolicy
from snn_gym.program import chosen, decide
from studies.floor.rate import Dense, Events, FastPendulum, deviations, maps, play, slowed

SEEDS = range(900, 903)


@pytest.fixture(scope="module")
def relu():
    return snn_gym.make_agent("ppo-relu-8", "Pendulum-v1", 0).policy.program()


def test_twice_the_rate_has_half_the_step():
    """The equations by hand: torque 1 on gymnasium's pendulum."""
    fast, env = FastPendulum(1, 2), gym.make("Pendulum-v1")
    (observation,), _ = fast.reset(seed=[7])
    assert np.array_equal(observation, env.reset(seed=7)[0])
    angle, velocity = env.unwrapped.state
    observations, rewards, _, truncated, _ = fast.step(np.ones((1, 1), np.float32))
    velocity += (15.0 * np.sin(angle) + 3.0) * 0.025
    angle += velocity * 0.025
    np.testing.assert_allclose(observations[0], [np.cos(angle), np.sin(angle), velocity], 1e-5)
    assert rewards[0] == pytest.approx(env.step(np.ones(1, np.float32))[1], rel=1e-6)
    ends = [bool(truncated[0])]
    ends += [bool(fast.step(np.ones((1, 1), np.float32))[3][0]) for _ in range(399)]
    assert ends == [False] * 399 + [True]


def test_a_dense_actor_earns_and_costs_what_the_evaluator_says(relu):
    env = FastPendulum(1, 1)
    frozen = FrozenPolicy(relu, env.single_observation_space, env.single_action_space)
    evaluation = snn_gym.evaluate(frozen, "Pendulum-v1", seeds=list(SEEDS))
    returns, operations = play(Dense(relu), 1, 1, SEEDS)
    np.testing.assert_allclose(returns, evaluation.returns, 1e-6)
    assert operations == pytest.approx(evaluation.operations_per_decision, rel=1e-5)


def test_a_held_action_costs_a_half(relu):
    _, whole = play(Dense(relu), 4, 1, SEEDS)
    _, held = play(Dense(relu), 4, 2, SEEDS)
    assert held == pytest.approx(whole / 2, rel=0.05)


def test_events_without_a_threshold_act_as_the_network_does(relu):
    actor = Events(relu, [np.zeros(1)] * 3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        seen = rng.normal(size=(4, 3)).astype(np.float32)
        expected = chosen(relu.choice, decide(relu, seen).outputs)
        np.testing.assert_allclose(actor(seen)[0], expected, atol=1e-5)


def test_events_are_counted_by_hand(relu):
    weights = [np.count_nonzero(w) for w, _ in maps(relu)]
    actor = Events(relu, [np.full(3, 0.5), np.full(8, np.inf), np.full(8, np.inf)])
    # 19 comparisons, and the two inputs that differ from 0 by more than 0.5 reach 8 units each
    seen = np.array([[1.0, 0.4, -0.6]], np.float32)
    assert weights[0] == 24
    assert actor(seen)[1] == 19 + 16
    assert actor(seen)[1] == 19
    seen[0, 2] = 0.0
    assert actor(seen)[1] == 19 + 8
    np.testing.assert_array_equal(actor.sent[0], [[1.0, 0.0, 0.0]])


def test_deviations_are_those_of_inputs_and_units(relu):
    found = deviations(relu, 1)
    assert [x.shape for x in found] == [(3,), (8,), (8,)]
    assert (found[0] > 0.1).all()
    assert found[0][:2].max() < 1.0


def test_two_half_decisions_leak_as_much_as_one():
    program = snn_gym.make_agent("ppo-lif-tick", "Pendulum-v1", 0).policy.program()
    gain, whole = (x.layers[0].constants[0] for x in (slowed(program, 0.5), program))
    np.testing.assert_allclose((1 - gain) ** 2, 1 - whole, rtol=1e-5)
