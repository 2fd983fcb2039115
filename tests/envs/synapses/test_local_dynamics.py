"""Tests of local measures: by hand on a tiny network, and against autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.rollout import LaneStep, ObservationLimits, play
from snn_gym.envs.synapses.local_measures import (
    LocalDynamics,
    _covariance,
    local_measures,
    standardised,
)
from snn_gym.envs.synapses.plasticity import LOCAL_MEASURES, RULES
from snn_gym.spiking.layer_neurons import spike
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, start_weights

ELIGIBILITY = LOCAL_MEASURES.index("eligibility")
GAIN = 0.5  # of a step of 1 ms in the default membrane's 2 ms


def population_of(hidden, inputs=2, outputs=2, time_steps=1, slope=2.0):
    config = NetworkConfig(hidden_sizes=hidden, time_steps=time_steps, surrogate_slope=slope)
    return Population(config, inputs, outputs)


def decide(population, weights, observations, owners=None):
    owners = np.zeros(len(observations), np.int64) if owners is None else owners
    return population.run(population.arrange(weights), owners, observations)


def column(values, name):
    return values[0, :, LOCAL_MEASURES.index(name)]


def test_a_tiny_network_by_hand():
    # Input 2 x + 1, head (r, -r). Two time steps from rest: x = 1 fires twice (potentials 1.5 and
    # 1.5), x = -1 never (-0.5, -0.75), x = 0.5 once (1, which is no more than the threshold, 1.5).
    population = population_of((1,), inputs=1, time_steps=2)
    weights = np.array([[2, 1, 1, -1, 0, 0]], np.float32)
    activity = decide(population, weights, np.array([[1], [-1], [0.5]], np.float32))
    assert activity.features[:, 0].tolist() == [1.0, 0.0, 0.5]
    owners, advantages = np.zeros(3, np.int64), np.array([1.0, -1.0, 0.0])
    actions = np.array([0, 1, 0])
    values = local_measures(population, weights, owners, activity, actions, advantages)
    assert values.shape == (1, 6, 6)
    # order: input weight, hidden bias, two head weights, two head biases
    expected = {
        "pre_rate": [2.5 / 3, 1, 0.5, 0.5, 1, 1],
        "post_rate": [0.5, 0.5, 2 / 3, 1 / 3, 2 / 3, 1 / 3],
        "coincidence": [1.25 / 3, 0.5, 0.5, 0, 2 / 3, 1 / 3],
        "drive": [0.625, 0.375, 1, 1, 0, 0],
    }
    for name, by_hand in expected.items():
        np.testing.assert_allclose(column(values, name), by_hand, rtol=1e-6, err_msg=name)
    # 1 / (1 + 2 |v - 1|)²: 1/4, 1/4; 1/16, 1/20.25; 1, 1/4
    hidden = np.array([0.25, (1 / 16 + 1 / 20.25) / 2, 0.625])
    p = 1 / (1 + np.exp(-2 * np.array([1.0, 0.0, 0.5])))
    near = np.mean(4 * p * (1 - p))
    windows = [hidden.mean()] * 2 + [near] * 4
    np.testing.assert_allclose(column(values, "window"), windows, rtol=1e-5)
    # Covariances with the rates 1, 0, 0.5 of 1 (1 - p) and -1 (-0.5) and 0 (…).
    head = (0.5 * (1 - p[0]) - 0.5 * 0.5) / 3
    inner = (5 / 6 * 2 * (1 - p[0]) * hidden[0] - 7 / 6 * 1.0 * hidden[1]) / 3
    assert head < 0 > inner
    # The root mean square counts the bias's 0: half the entries are as large as each other.
    size = np.tanh(np.sqrt(2))
    np.testing.assert_allclose(
        column(values, "eligibility"), [-size, 0, -size, size, 0, 0], rtol=1e-5, atol=1e-7
    )


def test_box_actions_use_their_values_as_scores():
    population = population_of((1,), inputs=1, outputs=1)
    weights = np.array([[4, 1, 1, 0.5]], np.float32)
    activity = decide(population, weights, np.array([[1], [-1]], np.float32))
    done = np.tanh([1.5, 0.5])
    values = local_measures(
        population, weights, np.zeros(2, np.int64), activity, done[:, None], np.array([1.0, -1.0])
    )
    np.testing.assert_allclose(column(values, "post_rate")[2:], done.mean(), rtol=1e-6)
    np.testing.assert_allclose(column(values, "window")[2:], 1 - np.mean(done**2), rtol=1e-6)
    np.testing.assert_allclose(column(values, "coincidence")[2:], [done[0] / 2, done.mean()], 1e-6)
    # covariance of rates 1, 0 with done[0] and -done[1]: above 0
    assert column(values, "eligibility")[2] == pytest.approx(np.tanh(np.sqrt(2)))


def batch(population, samples, seed):
    rng = np.random.default_rng(seed)
    weights = start_weights(population, rng, 1, head_scale=2.0)
    observations = rng.uniform(-1, 1, (samples, population.sizes[0])).astype(np.float32)
    actions = rng.integers(0, population.sizes[-1], samples)
    return weights, observations, actions, rng.standard_normal(samples)


def score_gradients(population, weights, pres, actions, advantages, differentiable):
    """Return autograd's gradients (post, pre + 1) of the mean of A log p, one for each layer.

    Each layer reads its input less the input's mean; what is missing is in the bias, so that the
    network decides as before and the gradient is a covariance. Layers from ``differentiable`` on
    are run, by spikes with surrogate gradients; the one before is data.
    """
    layers = population.arrange(weights)
    signal = torch.from_numpy(pres[differentiable].astype(np.float64))
    matrices = []
    for index in range(differentiable, len(layers)):
        weight, bias = (torch.from_numpy(part[0].astype(np.float64)) for part in layers[index])
        is_head = index == len(layers) - 1
        matrix = (weight if is_head else weight.T).clone().requires_grad_()
        mean = signal.detach().mean(0)
        current = (signal - mean) @ matrix.T + (bias + mean @ matrix.detach().T)
        slope = population.config.surrogate_slope
        signal = current if is_head else spike(GAIN * current - 1.0, "superspike", slope)
        matrices.append(matrix)
    taken = signal.log_softmax(1)[torch.arange(len(actions)), torch.from_numpy(actions)]
    (torch.from_numpy(advantages) * taken).mean().backward()
    return [np.pad(matrix.grad.numpy(), ((0, 0), (0, 1))) for matrix in matrices]


def squashed(gradient):
    size = np.sqrt(np.square(gradient).mean())
    return np.tanh(gradient / size) if size > 0 else gradient


def flat(gradients):
    """Return gradients (post, pre + 1) in the order of a network's flat weights."""
    return np.concatenate([part for g in gradients for part in (g[:, :-1].ravel(), g[:, -1])])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), time_steps=st.integers(1, 9), outputs=st.integers(2, 4))
def test_an_outputs_eligibility_is_the_policy_gradient(seed, time_steps, outputs):
    population = population_of((5,), 3, outputs, time_steps)
    weights, observations, actions, advantages = batch(population, 30, seed)
    activity = decide(population, weights, observations)
    values = local_measures(
        population, weights, np.zeros(30, np.int64), activity, actions, advantages
    )
    pres = [observations, activity.spikes[0].mean(axis=1)]
    gradients = score_gradients(population, weights, pres, actions, advantages, 1)
    head = population.synapses.layer == 1
    np.testing.assert_allclose(
        column(values, "eligibility")[head], flat([squashed(g) for g in gradients]), atol=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), hidden=st.sampled_from([(5,), (4, 5), (3, 3, 3)]))
def test_a_hidden_neurons_eligibility_is_the_surrogate_gradient(seed, hidden):
    # At one time step the membrane filter that the measure leaves out is the factor GAIN, the same
    # for a whole layer (and once more for each layer above), which dividing by the root mean
    # square takes away. At more time steps it depends on when a neuron last fired.
    population = population_of(hidden, inputs=3)
    weights, observations, actions, advantages = batch(population, 40, seed)
    activity = decide(population, weights, observations)
    values = local_measures(
        population, weights, np.zeros(40, np.int64), activity, actions, advantages
    )
    pres = [observations]
    gradients = score_gradients(population, weights, pres, actions, advantages, 0)
    np.testing.assert_allclose(
        column(values, "eligibility"), flat([squashed(g) for g in gradients]), atol=2e-3
    )


def test_surrogate_window_covers_all_time_steps():
    population = population_of((3,), 2, 2, time_steps=4, slope=3.0)
    weights, observations, actions, advantages = batch(population, 12, 5)
    activity = decide(population, weights, observations)
    values = local_measures(
        population, weights, np.zeros(12, np.int64), activity, actions, advantages
    )
    (_, _), (head, _) = population.arrange(weights)
    exponent = np.exp(activity.outputs.astype(float))
    score = np.eye(2)[actions] - exponent / exponent.sum(1, keepdims=True)
    gradient = np.zeros((3, 3))
    for j in range(3):
        for m in range(12):
            psi = np.mean([1 / (1 + 3 * abs(v - 1)) ** 2 for v in activity.voltages[0][m, :, j]])
            signal = sum(head[0, k, j] * score[m, k] for k in range(2))
            for i in range(2):
                centred = observations[m, i] - observations[:, i].mean()
                gradient[j, i] += advantages[m] * psi * signal * centred / 12
    np.testing.assert_allclose(column(values, "eligibility")[:9], flat([squashed(gradient)]), 1e-3)


def feed(dynamics, population, weights, lanes, rewards, terminated, truncated):
    lanes = np.array(lanes)
    observations = np.linspace(-1, 1, 2 * len(lanes), dtype=np.float32).reshape(-1, 2)
    activity = decide(population, weights, observations, lanes // 2)
    flags = np.array(terminated, bool), np.array(truncated, bool)
    actions = activity.outputs.argmax(axis=1)
    dynamics.step(LaneStep(lanes, activity, actions, np.array(rewards, float), *flags))


def test_advantages_by_hand():
    population = population_of((2,))
    weights = start_weights(population, np.random.default_rng(0), 2)
    dynamics = LocalDynamics(population, weights, episodes=2, discount=0.5)
    # Network 0: episode 0 ends with its rewards 1, 2; episode 1 is cut after 0, 3 and goes on at
    # the mean reward 1.5, which is worth 1.5 / (1 - 0.5) = 3. Network 1 earns the same always.
    feed(dynamics, population, weights, range(4), [1, 0, 7, 7], [0] * 4, [0] * 4)
    feed(dynamics, population, weights, range(4), [2, 3, 7, 7], [1, 0, 0, 0], [0, 1, 1, 1])
    # A lane that is over plays on unseen.
    feed(dynamics, population, weights, [0], [50], [1], [0])
    returns = np.array([1 + 0.5 * 2, 0 + 0.5 * (3 + 0.5 * 3), 2, 3 + 0.5 * 3])
    expected = (returns - returns.mean()) / returns.std()
    found = dynamics._advantages()
    np.testing.assert_allclose(found[[0, 1, 4, 5]], expected)
    assert found[[2, 3, 6, 7]].tolist() == [0.0] * 4


def test_values_are_standardised_per_network():
    values = np.array([1.0, 5.0, 3.0, 5.0, 5.0])
    owners = np.array([0, 1, 0, 1, 3])
    assert standardised(values, owners, 4).tolist() == [-1.0, 0.0, 1.0, 0.0, 0.0]


def rollout(env_id, weights, population, seeds, discount=0.95, rule=None):
    limits = {
        "CartPole-v1": ObservationLimits.of([-2.4, -3, -0.21, -3.5], [2.4, 3, 0.21, 3.5]),
        "Pendulum-v1": ObservationLimits.of([-1, -1, -8], [1, 1, 8]),
    }
    observer = LocalDynamics(population, weights, len(seeds), discount, rule)
    task = BATCHED_TASKS[env_id](len(seeds))
    rollouts = play(task, population, weights, seeds, limits[env_id], observer=observer)
    return rollouts, observer


@pytest.mark.parametrize("name", [None, *RULES])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_batched_measures_equal_single_networks(env_id, name):
    inputs, outputs = (4, 2) if env_id == "CartPole-v1" else (3, 1)
    population = population_of((6, 4), inputs, outputs, time_steps=4)
    weights = start_weights(population, np.random.default_rng(1), 3, head_scale=2.0)
    rule = None if name is None else RULES[name]
    together = rollout(env_id, weights, population, [4, 5, 9], rule=rule)[1].per_synapse()
    assert together.shape == (3, population.parameter_count, 6 if rule is None else 7)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert np.abs(together).max() <= 1.0
    for column in range(ELIGIBILITY, together.shape[-1]):
        assert np.abs(together[..., column]).max() > 0.5
    plain = rollout(env_id, weights, population, [4, 5, 9])[1].per_synapse()
    assert np.array_equal(together[..., :6], plain)
    for network in range(3):
        lone = rollout(env_id, weights[[network]], population, [4, 5, 9], rule=rule)[1]
        assert np.array_equal(lone.per_synapse()[0], together[network])


@pytest.mark.parametrize("name", [None, *RULES])
def test_rollout_measures_equal_measures_of_its_decisions(name):
    # One episode, watched step by step, against all its decisions given at once.
    population = population_of((4,), 4, time_steps=3)
    weights = start_weights(population, np.random.default_rng(2), 1, head_scale=2.0)
    rule = None if name is None else RULES[name]
    rollouts, observer = rollout("CartPole-v1", weights, population, [3], 0.9, rule)
    length = int(rollouts.lengths[0, 0])
    seen = np.concatenate([samples.pre[0] for samples in observer._samples])
    actions = np.concatenate([samples.post[1] for samples in observer._samples]).argmax(axis=1)
    assert len(seen) == length
    # rewards are 1, so what follows decision k is 1 + 0.9 + … of the steps that are left
    left = length - np.arange(length)
    returns = (1 - 0.9**left) / (1 - 0.9)
    advantages = (returns - returns.mean()) / returns.std()
    activity = decide(population, weights, seen)
    values = local_measures(
        population, weights, np.zeros(length, np.int64), activity, actions, advantages, rule
    )
    np.testing.assert_allclose(observer.per_synapse(), values, atol=1e-5)


def test_zero_advantages_give_zero_eligibility():
    population = population_of((3,))
    weights, observations, actions, _ = batch(population, 8, 0)
    activity = decide(population, weights, observations)
    values = local_measures(
        population, weights, np.zeros(8, np.int64), activity, actions, np.zeros(8)
    )
    assert (column(values, "eligibility") == 0).all()
    # A network without decisions, and one whose synapses all are 0, have measures too.
    owners = np.ones(8, np.int64)
    both = np.concatenate([np.zeros_like(weights), weights])
    values = local_measures(population, both, owners, activity, actions, np.ones(8))
    assert np.isfinite(values).all()
    assert (values[0, :, LOCAL_MEASURES.index("drive")] == 0).all()


def test_covariances_equal_numpy():
    rng = np.random.default_rng(0)
    factor, pre = rng.normal(size=(7, 2)), rng.normal(size=(7, 3))
    expected = np.cov(factor, pre, rowvar=False, bias=True)[:2, 2:]
    np.testing.assert_allclose(_covariance(factor, pre), expected)
    assert _covariance(factor[:0], pre[:0]).tolist() == [[0.0] * 3] * 2
    each = np.stack([pre, pre**2], axis=2)  # other values for every synapse
    expected[1] = np.cov(factor[:, 1], pre**2, rowvar=False, bias=True)[0, 1:]
    np.testing.assert_allclose(_covariance(factor, each), expected)
