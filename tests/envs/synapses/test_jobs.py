"""Tests of jobs: their scores equal those of the tasks."""

import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.classic_control import BatchedCartPole
from snn_gym.envs.rollout import ObservationLimits, play
from snn_gym.envs.synapses.jobs import SupervisedJob, cross_entropies, make_job, teacher
from snn_gym.envs.synapses.local_measures import LocalDynamics
from snn_gym.envs.synapses.plasticity import LOCAL_MEASURES
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, start_weights

CONTROL = {"CartPole": "CartPole-v1", "Acrobot": "Acrobot-v1", "MountainCar": "MountainCar-v0"}
LIMITS = ObservationLimits.of([-2.4, -3.0, -0.2095, -3.5], [2.4, 3.0, 0.2095, 3.5])
SMALL = NetworkConfig(hidden_sizes=(6,), time_steps=4)


def population_of(job, config=None):
    return Population(config or job.network, job.input_size, job.output_size)


def weights_of(population, networks, seed=0):
    return start_weights(population, np.random.default_rng(seed), networks, head_scale=2.0)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("Teacher", 10, 2), ("XOR", 2, 2), ("Digits", 64, 10), ("CartPole", 4, 2),
        ("Acrobot", 6, 3), ("MountainCar", 2, 3),
    ],
)  # fmt: skip
def test_job_sizes(name, inputs, outputs):
    job = make_job(name)
    assert (job.name, job.input_size, job.output_size) == (name, inputs, outputs)
    assert (job.network.hidden_sizes, job.network.time_steps) == ((16,), 8)
    assert make_job(job) is job


@pytest.mark.parametrize(("name", "classes"), [("Teacher", 2), ("XOR", 2), ("Digits", 10)])
def test_a_network_without_weights_guesses(name, classes):
    job = make_job(name)
    population = population_of(job)
    probe = job.draw_probe(np.random.default_rng(0), job.probe_size)
    judged = job.judge(population, np.zeros((3, population.parameter_count), np.float32), probe)
    assert judged.scores == pytest.approx(np.full(3, -np.log(classes)))
    assert judged.network_steps.tolist() == [job.probe_size] * 3
    assert judged.steps == 3 * job.probe_size
    assert judged.dynamics is None


@pytest.mark.parametrize("name", ["Teacher", "XOR", "Digits"])
def test_scores_are_minus_torchs_cross_entropy(name):
    job = make_job(name)
    population = population_of(job)
    weights = weights_of(population, 3)
    rng = np.random.default_rng(1)
    probes = np.stack([job.draw_probe(rng, 4) for _ in range(3)])
    outputs = torch.from_numpy(population.outputs(weights, job._samples[probes]))
    labels = torch.from_numpy(job._labels[probes])
    judged = job.judge(population, weights, probes)
    for network in range(3):
        loss = torch.nn.functional.cross_entropy(outputs[network], labels[network])
        assert judged.scores[network] == pytest.approx(-loss.item(), rel=1e-5)
    assert np.unique(judged.scores).size == 3


def test_large_outputs_give_finite_scores():
    outputs = np.array([[1e30, -1e30], [0.0, 0.0]], np.float32)
    losses = cross_entropies(outputs, np.array([1, 0]))
    assert losses[0] == pytest.approx(2e30)
    assert losses[1] == pytest.approx(np.log(2.0))


def test_correct_answers():
    xor, digits = make_job("XOR"), make_job("Digits")
    for sample, label in zip(xor._samples, xor._labels, strict=True):
        assert label == (sample[0] != sample[1])
    assert digits._samples.shape == (1797, 64)
    assert (digits._samples.min(), digits._samples.max()) == (-1.0, 1.0)
    counts = np.bincount(digits._labels)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_a_teacher_is_a_perceptron_that_belongs_to_the_job():
    one, same, other = teacher(), teacher(), teacher(seed=1)
    assert np.array_equal(one._samples, same._samples)
    assert not np.array_equal(one._samples, other._samples)
    assert one._samples.shape == (200, 10)
    assert np.abs(one._samples).max() <= 1.0
    # The perceptron rule ends only where a plane separates the labels (Novikoff 1962).
    inputs = np.concatenate([one._samples, np.ones((200, 1))], axis=1)
    signs, plane = 2 * one._labels - 1, np.zeros(11)
    assert 20 < one._labels.sum() < 180
    for _ in range(10_000):
        wrong = np.flatnonzero(signs * (inputs @ plane) <= 0)
        if not wrong.size:
            break
        plane += signs[wrong[0]] * inputs[wrong[0]]
    assert not wrong.size


@pytest.mark.parametrize("name", CONTROL)
@pytest.mark.parametrize("action", [0, 1])
def test_constant_action_returns_equal_gymnasium(name, action):
    job = make_job(name)
    population = population_of(job, SMALL)
    weights = np.zeros((1, population.parameter_count), np.float32)
    weights[0, -job.output_size + action] = 1.0  # the head's biases come last
    seeds = np.array([3, 14])
    judged = job.judge(population, weights, seeds)
    returns, steps = [], 0
    for seed in seeds.tolist():
        env = gym.make(CONTROL[name])
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(action)
            total, steps, over = total + reward, steps + 1, terminated or truncated
        returns.append(total)
    assert judged.scores[0] == np.mean(returns)
    assert judged.steps == steps


@settings(max_examples=10, deadline=None)
@given(
    name=st.sampled_from(["CartPole", "XOR", "Teacher"]),
    networks=st.integers(1, 4),
    size=st.integers(1, 3),
    measure=st.booleans(),
    data=st.data(),
)
def test_networks_with_separate_probes_score_as_single_networks(
    name, networks, size, measure, data
):
    job = make_job(name)
    population = population_of(job, SMALL)
    weights = weights_of(population, networks)
    probes = np.stack([job.draw_probe(np.random.default_rng(i), size) for i in range(networks)])
    # some share a probe
    probes = probes[data.draw(st.lists(st.integers(0, networks - 1), min_size=networks,
                                       max_size=networks))]  # fmt: skip
    together = job.judge(population, weights, probes, measure=measure)
    for index in range(networks):
        alone = job.judge(population, weights[[index]], probes[index], measure=measure)
        assert together.scores[index] == alone.scores[0]
        assert together.network_steps[index] == alone.network_steps[0]
        if measure:
            assert together.dynamics.shape == (networks, len(population.synapses), 6)
            assert np.allclose(together.dynamics[index], alone.dynamics[0], atol=1e-5)
        else:
            assert together.dynamics is None


def test_measured_dynamics_equal_the_rollout():
    job = make_job("CartPole")
    population = population_of(job, SMALL)
    weights, seeds = weights_of(population, 3), [4, 5]
    observer = LocalDynamics(population, weights, 2)
    play(BatchedCartPole(2), population, weights, seeds, LIMITS, observer=observer)
    judged = job.judge(population, weights, np.array(seeds), measure=True)
    assert np.array_equal(judged.dynamics, observer.per_synapse())
    assert judged.dynamics.shape[-1] == len(LOCAL_MEASURES)


def test_the_eligibility_of_right_answers_points_uphill():
    # With a silent head, p is 1/2 and 1[label] - p has mean 0 over XOR's balanced answers, so that
    # the covariance of a head's synapse is the gradient of the score.
    job = make_job("XOR")
    population = population_of(job, SMALL)
    weights, table = weights_of(population, 1), population.synapses
    weights[0, table.layer == 1] = 0.0
    judged = job.judge(population, weights, np.arange(4), measure=True)
    eligibility = judged.dynamics[0, :, LOCAL_MEASURES.index("eligibility")]
    tried = np.flatnonzero((table.layer == 1) & ~table.is_bias & (np.abs(eligibility) > 0.1))
    assert tried.size >= 4
    for synapse in tried:
        moved = weights.copy()
        moved[0, synapse] += 0.01 * np.sign(eligibility[synapse])
        assert job.judge(population, moved, np.arange(4)).scores[0] > judged.scores[0]


def test_a_probe_of_a_wrong_shape_is_refused():
    job = make_job("XOR")
    population = population_of(job)
    weights = weights_of(population, 2)
    for shape in [(0,), (3, 4), (1, 4), (2, 0), (2, 1, 1)]:
        with pytest.raises(
            ValueError, match=r"probe of 2 networks must have shape \(E,\) or \(2, E"
        ):
            job.judge(population, weights, np.zeros(shape, np.int64))


def test_a_probe_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="job 'XOR' has 4 samples, fewer than probe_size=5"):
        make_job("XOR").draw_probe(np.random.default_rng(0), 5)


def test_a_probe_holds_each_sample_at_most_once():
    probe = make_job("Digits").draw_probe(np.random.default_rng(0), 1797)
    assert np.array_equal(np.sort(probe), np.arange(1797))


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r'pip install -e "\.\[digits\]"'):
        gym.make("snn/Plasticity-Digits-v0")


def test_supervised_job_from_user_data():
    samples = np.array([[0.0], [1.0], [-1.0]], np.float32)
    job = SupervisedJob("Three", samples, np.array([0, 1, 2]), probe_size=3)
    assert (job.input_size, job.output_size, job.step_size) == (1, 3, 0.1)
