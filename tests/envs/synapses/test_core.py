"""Tests of the core of plasticity environments, by hand and in batches."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.synapses.environments import BatchedPlasticityEnv
from snn_gym.envs.synapses.plasticity import PRESETS
from snn_gym.spiking.population import Population, start_weights
from tests.envs.synapses.toy_jobs import SMALL, Broken, Distance

WITH_RULES = [
    {"features": ("weight", "eligibility"), "rule": "r_stdp"},
    {"features": ("dynamics", "eligibility"), "rule": "three_factor"},
]


class Batch(BatchedPlasticityEnv):
    weights = property(lambda self: self.networks.weights.copy())
    scores = property(lambda self: self.networks.scores.copy())
    steps = property(lambda self: self.networks.steps.copy())

    def step(self, actions):
        """Return the rewards alone."""
        return super().step(actions)[1]


def started(job, networks=1, seed=0, **arguments):
    core = Batch(job, networks, **arguments)
    core.reset(seed=seed)
    return core


def moves(*columns):
    return np.array([columns])


def test_an_episode_by_hand():
    core = started(Distance(), renew_probe_every=100, weight_limit=4.0)
    first = core.weights
    assert core.scores[0] == pytest.approx(-np.abs(first - 3.0).sum())
    assert core.steps.tolist() == [10]

    rise = core.step(moves(2, 1, 0, 2))
    assert np.allclose(core.weights, first + 0.5 * np.array([1, 0, -1, 1]))
    # two weights nearer to 3 by 0.5, one farther away
    assert rise.tolist() == [1.0]
    after_rise = core.scores[0]
    assert after_rise == pytest.approx(-np.abs(first - 3.0).sum() + 0.5)
    assert core.steps.tolist() == [20]

    core.step(moves(2, 0, 1, 1))
    assert core.scores[0] == pytest.approx(after_rise)
    before = core.scores[0]
    still = core.step(moves(1, 1, 1, 1))
    assert core.scores[0] == before
    assert still.tolist() == [-1.0]  # ties are punished
    fall = core.step(moves(0, 0, 0, 0))
    assert fall.tolist() == [-1.0]
    assert core.steps.tolist() == [50]


def test_weights_stay_within_their_limit():
    core = started(Distance((9,)), weight_limit=0.75)
    assert np.abs(core.weights).max() <= 0.75
    for _ in range(4):
        core.step(moves(2, 2, 2, 2))
    assert core.weights.tolist() == [[0.75] * 4]
    assert core.step(moves(2, 2, 2, 2)).tolist() == [-1.0]


def test_a_new_probe_judges_old_and_new_weights():
    job = Distance(tuple(range(-50, 50)))
    core = started(job, renew_probe_every=2, reward="difference", weight_limit=99.0)
    before = core.weights
    rewards = [core.step(moves(2, 2, 2, 2))[0] for _ in range(5)]
    # start, then new weights each time, with the old ones beside them at moves 3 and 5
    assert [len(weights) for weights, _ in job.judged] == [1, 1, 1, 2, 1, 2]
    probes = [probes[0, 0] for _, probes in job.judged]
    assert probes[0] == probes[1] == probes[2]
    assert probes[3] == probes[4]
    assert len({probes[2], probes[3], probes[5]}) == 3
    for move, (weights, of) in enumerate(job.judged[1:]):
        assert np.array_equal(of, np.full(of.shape, of[0, 0]))
        old, new = before + 0.5 * move, before + 0.5 * (move + 1)
        assert np.allclose(weights[0], new)
        if len(weights) == 2:
            assert np.allclose(weights[1], old)
        gain = np.abs(old - of[0, 0]).sum() - np.abs(new - of[0, 0]).sum()
        assert rewards[move] == pytest.approx(gain, abs=1e-5)
    assert core.steps.tolist() == [10 * (1 + 1 + 1 + 2 + 1 + 2)]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 8))
def test_differences_add_up_to_the_whole_improvement(seed, count):
    core = started("XOR", seed=seed, reward="difference", network=SMALL)
    first = core.scores[0]
    rng = np.random.default_rng(seed)
    total = sum(core.step(rng.integers(0, 3, (1, core.synapses)))[0] for _ in range(count))
    assert core.scores[0] - first == pytest.approx(total, abs=1e-9)


def test_observed_histories_by_hand():
    core = started(Distance(), features=["action_history", "reward_history"], history=2)
    assert core.observe().tolist() == [[[0.0] * 4] * 4]
    (first,) = core.step(moves(2, 2, 2, 2))
    assert core.observe()[0].tolist() == [[1.0, 0.0, first, 0.0]] * 4
    (second,) = core.step(moves(0, 1, 2, 1))
    expected = [[action, 1.0, second, first] for action in (-1, 0, 1, 0)]
    assert core.observe()[0].tolist() == expected


def test_start_weights_come_from_the_generator_of_each_network():
    core = started("XOR", networks=2, seed=8)
    population = Population(core.job.network, 2, 2)
    for network in range(2):
        rng = gym.utils.seeding.np_random(8 + network)[0]
        assert np.array_equal(core.weights[network], start_weights(population, rng, 1)[0])


@settings(max_examples=8, deadline=None)
@given(
    job=st.sampled_from(["XOR", "Teacher", "CartPole"]),
    networks=st.integers(1, 4),
    seen=st.sampled_from([{"features": name} for name in sorted(PRESETS)] + WITH_RULES),
    reward=st.sampled_from(["sign", "difference"]),
    every=st.integers(1, 4),
    seed=st.integers(0, 2**20),
)
def test_batched_networks_equal_single_networks(job, networks, seen, reward, every, seed):
    arguments = {
        "network": SMALL, **seen, "reward": reward, "renew_probe_every": every, "probe_size": 2,
    }  # fmt: skip
    batch = started(job, networks, seed, **arguments)
    singles = [started(job, 1, seed + k, **arguments) for k in range(networks)]
    rng = np.random.default_rng(seed)
    for step in range(8):
        if step == 5:  # a new episode of every other network
            which = np.arange(0, networks, 2)
            batch.begin(which)
            for k in which:
                singles[k].begin(np.array([0]))
        actions = rng.integers(0, 3, (networks, batch.synapses))
        rewards = batch.step(actions)
        for k, single in enumerate(singles):
            assert rewards[k] == single.step(actions[[k]])[0]
            assert np.array_equal(batch.weights[k], single.weights[0])
            assert batch.scores[k] == single.scores[0]
            assert batch.steps[k] == single.steps[0]
            # measured dynamics are sums, whose order depends on the number of lanes
            assert np.allclose(batch.observe()[k], single.observe()[0], atol=1e-5)
            assert np.abs(batch.observe()).max() <= 1.0


def test_moves_before_the_start_are_refused():
    core = Batch(Distance(), 2)
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before step\(\)"):
        core.step(np.ones((2, 4), np.int64))


@pytest.mark.parametrize(
    "actions",
    [np.ones((2, 4), int), np.ones((1, 3), int), np.ones((1, 4)), np.array([[0, 1, 2, 3]])],
)
def test_invalid_moves_are_refused(actions):
    with pytest.raises(
        ValueError, match=r"integers 0, 1 or 2 of shape \(1, 4\), one for each netw"
    ):
        started(Distance()).step(actions)


def test_non_finite_scores_are_refused():
    with pytest.raises(ValueError, match="job 'Broken' gave the score nan; scores must be finite"):
        started(Broken())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": ["wieght"]}, r"features \['wieght'\] are unknown or repeated; allowed"),
        ({"features": []}, "features are empty, so that synapses see nothing; name at least one"),
        ({"features": ["weight"] * 2}, "unknown or repeated; allowed, each once: action_history, "),
        ({"features": "model 5"}, "features 'model 5' are unknown; allowed: history, weight, "),
        ({"weight_limit": float("inf")}, "weight_limit must be finite, got inf"),
        ({"reward": "gain"}, "reward: got 'gain' .*; allowed values: 'sign', 'difference'"),
        ({"rule": "hebb"}, "rule 'hebb' is unknown; allowed: three_factor, r_stdp; one of your"),
        ({"rule": "r_stdp"}, "do not see what rule='r_stdp' makes of the decisions; add its feat"),
        ({"features": ["eligibility"]}, "'eligibility' is what a rule .* got no rule; give rule="),
        ({"num_envs": 0}, "num_envs and max_episode_steps must be at least 1, got 0 and 100"),
        ({"network": {"recurrent": True}}, "can't run recurrent=True; use recurrent=False"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Batch("XOR", **arguments)
