"""Tests of synapse agents with scripted judges: moves, memory, observations and learning."""

import itertools

import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

from snn_gym import evaluate
from snn_gym.envs.synapses.local_measures import LocalDynamics
from snn_gym.envs.synapses.plasticity import LOCAL_MEASURES, RULES
from snn_gym.learners.base import SequentialJudge
from tests.learners.cases import SMALL, make
from tests.learners.scripted import attach
from tests.learners.toy_envs import Steady

WATCHING = {"preset": "weight+topology+dynamics", "reward": "local"}


# All settings that these tests depend on, independent of the defaults.
FIXED = {"step_size": 0.3, "exploration": 0.2, "weight_limit": 4.0}


def learner(env="CartPole-v1", **arguments):
    arguments = {"network": SMALL, "probe_episodes": 1, **FIXED, **arguments}
    return make("SynapseAgents", env, **arguments)


def scores(*values):
    """Return a score that gives these values in turn, and the list of scored networks."""
    given, seen = iter(values), []

    def score(flat, seed):
        seen.append(flat.copy())
        return float(next(given))

    return score, seen


def distance(flat, seed):
    return -float(np.square(flat).sum())


def run(model, iterations):
    for _ in range(iterations):
        model._iterate()


def test_past_moves_and_rewards_are_observed_latest_first():
    model = learner(step_size=0.25, history=3, weight_limit=1e3)
    start = model.weights
    # present, better; new episodes: present, worse; equal
    score, seen = scores(1, 2, 5, 4, 5)
    attach(model, score)
    run(model, 3)
    better = seen[1]
    moves = [(seen[4] - better) / 0.25, (seen[3] - better) / 0.25, (better - start) / 0.25]
    np.testing.assert_allclose(model.memory.moves[0], np.round(moves), atol=0)
    np.testing.assert_allclose(moves, np.round(moves), atol=1e-5)
    # No change is punished too.
    assert model.memory.rewards[0].tolist() == [-1, -1, 1]
    assert np.array_equal(seen[2], better)


def test_tables_move_by_the_learning_rate_towards_the_reward():
    model = learner(gamma=0.0)
    attach(model, scores(2, 1)[0])
    run(model, 1)
    assert model.memory.rewards[0, 0] == -1
    values = model.rule.memory.values
    assert -1 < values.min() < 0 == values.max()


def test_worse_moves_are_reverted_and_equal_moves_are_kept():
    model = learner()
    start = model.weights
    score, seen = scores(3, 2, 3)
    attach(model, score)
    run(model, 1)
    assert np.array_equal(model.weights, start)
    run(model, 1)
    assert np.array_equal(model.weights, seen[2])
    assert not np.array_equal(model.weights, start)
    assert np.array_equal(model.memory.weights[0], model.weights)


def test_returns_never_decrease_without_randomness():
    model = learner(probe_renewal="always")
    attach(model, distance)
    found = [distance(model.weights, 0)]
    for _ in range(150):
        run(model, 1)
        found.append(distance(model.weights, 0))
    assert (np.diff(found) >= 0).all()
    assert found[-1] > found[0] + 1.0


TRENDS = {
    "falling": lambda: iter(range(100, 0, -1)),
    "level": lambda: itertools.repeat(0),
    "rising": lambda: iter(range(100)),
}
JUDGEMENTS = {
    # Judgements in three iterations: of the present network, where it has no score, and of one
    # candidate each.
    ("always", "falling"): 6,
    ("always", "level"): 6,
    ("always", "rising"): 6,
    ("improved", "falling"): 4,
    ("improved", "level"): 4,
    ("improved", "rising"): 6,
    ("never", "falling"): 4,
    ("never", "level"): 4,
    ("never", "rising"): 4,
}


@pytest.mark.parametrize(("renewal", "trend"), JUDGEMENTS)
def test_probe_renewal_decides_when_episodes_are_drawn(renewal, trend):
    model = learner(probe_renewal=renewal, probe_episodes=3)
    values = TRENDS[trend]()
    judge = attach(model, lambda flat, seed: next(values))
    run(model, 3)
    expected = JUDGEMENTS[renewal, trend]
    assert [(networks, len(seeds)) for networks, seeds in judge.asked] == [(1, 3)] * expected
    assert model.num_episodes == 3 * expected == model.num_timesteps  # episodes of one step
    probes = [tuple(seeds) for _, seeds in judge.asked]
    assert len(set(probes)) == (3 if expected == 6 else 1)
    # Old and new weights play the same episodes.
    assert expected == 4 or all(probes[i] == probes[i + 1] for i in (0, 2, 4))


class Notebook:
    """Rule that records its arguments and moves all weights up."""

    memory = {}  # noqa: RUF012 - nothing is learned

    def __init__(self):
        self.acted, self.learned = [], []

    def act(self, features, exploration, rng):
        self.acted.append((features.copy(), exploration))
        return np.ones(len(features), np.int8)

    def learn(self, *arguments):
        self.learned.append([array.copy() for array in arguments])


def test_synapses_observe_before_a_move_and_learn_after_it():
    model = learner(preset="all", exploration=0.3, step_size=0.5, weight_limit=1e3)
    model.rule, start = Notebook(), model.weights
    attach(model, scores(0, 1, 1, -5)[0])
    run(model, 2)
    (seen, exploration), (seen_next, _) = model.rule.acted
    assert exploration == 0.3
    (features, moves, rewards, after), (_, _, second_rewards, _) = model.rule.learned
    assert np.array_equal(seen, features)
    weight = model.features.names.index("weight")
    np.testing.assert_allclose(features[:, weight] * 1e3, start, rtol=1e-4)
    np.testing.assert_allclose(after[:, weight] * 1e3, start + 0.5, rtol=1e-4)
    assert (moves == 1).all()
    assert (rewards == 1).all()
    assert (second_rewards == -1).all()
    assert (features[:, :4] == 0).all()
    assert (after[:, :4] == [1, 0, 1, 0]).all()  # moves, then rewards
    assert np.array_equal(seen_next, after)


@pytest.mark.parametrize(("score", "reward"), [(1e9, -1.0), (-1e9, 1.0)])
def test_a_local_reward_is_half_the_move_along_the_eligibility(score, reward):
    model = learner(reward="local")
    model.rule = Notebook()
    dynamics = np.random.default_rng(0).uniform(-1, 1, model.memory.dynamics[0].shape)
    model.memory.dynamics[0] = dynamics
    model.memory.scores[0] = model.memory.best = score
    run(model, 1)
    _, moves, rewards, _ = model.rule.learned[0]
    # Dynamics of the episodes before the move, whether it was reverted or not.
    eligibility = dynamics[:, LOCAL_MEASURES.index("eligibility")]
    np.testing.assert_allclose(rewards, (reward + moves * eligibility) / 2, atol=1e-6)


def test_shuffled_dynamics_permute_values_between_synapses():
    plain, shuffled = (learner(**WATCHING, shuffled=flag) for flag in (False, True))
    count = plain.population.parameter_count
    permutation = shuffled.memory.permutation
    assert sorted(permutation.tolist()) == list(range(count))
    assert not np.array_equal(permutation, np.arange(count))
    for model in (plain, shuffled):
        run(model, 1)
        assert np.array_equal(model.memory.permutation, permutation)
        seen = model._loop.observe()[0, :, -len(LOCAL_MEASURES) :]
        true = model.memory.dynamics[0]
        assert np.ptp(true, axis=0).max() > 0
        assert np.array_equal(seen, true[permutation] if model.shuffled else true)
        assert np.array_equal(np.sort(seen, axis=0), np.sort(true, axis=0))


@pytest.mark.parametrize("shuffled", [False, True])
def test_synapses_see_the_eligibility_of_a_rule_of_plasticity(shuffled):
    model = learner(preset="weight", plasticity_rule="r_stdp", shuffled=shuffled)
    assert model.features.names == ("weight", "rule_eligibility")
    run(model, 1)
    observer = LocalDynamics(model.population, model.memory.weights, 1, rule=RULES["r_stdp"])
    model.judge(model.memory.weights, model.memory.probes[0].tolist(), observer)
    measured = observer.per_synapse()[0, :, -1]
    assert np.abs(measured).max() > 0.1
    order = model.memory.permutation if shuffled else np.arange(measured.size)
    assert np.array_equal(model._loop.observe()[0, :, 1], measured[order])


SETUPS = [
    {"probe_renewal": "always", "preset": "history"},
    {**WATCHING, "shuffled": True, "plasticity_rule": "r_stdp"},
]


@pytest.mark.parametrize("arguments", SETUPS)
def test_state_tensors_and_zip_files_continue_bit_for_bit(arguments, tmp_path):
    first = learner(**arguments).learn(150)
    first.save(tmp_path / "model.zip")
    loaded = type(first).load(tmp_path / "model.zip", env=make_vec_env("CartPole-v1"))
    other = learner(**arguments, seed=9)
    other.load_state_tensors(first.state_tensors())
    other.weights = first.weights
    other.num_timesteps = first.num_timesteps
    for model in (first, other, loaded):
        model.reseed(17)
        model.learn(300, reset_num_timesteps=False)
    state = first.state_tensors()
    for model in (other, loaded):
        assert first.num_timesteps == model.num_timesteps
        assert np.array_equal(first.weights, model.weights)
        for key, value in model.state_tensors().items():
            assert np.array_equal(value, state[key], equal_nan=value.dtype.kind == "f"), key


@pytest.mark.slow
def test_synapses_that_watch_dynamics_learn_cartpole():
    model = make("SynapseAgents", seed=0, **WATCHING).learn(30_000)
    assert evaluate(model, "CartPole-v1", episodes=20).mean >= 150


@pytest.mark.parametrize("arguments", [{"preset": "weight+dynamics"}, {"reward": "local"}])
def test_dynamics_of_unknown_tasks_are_refused(arguments):
    model = learner(make_vec_env(Steady), **arguments)
    with pytest.raises(ValueError, match="can be observed in batched tasks only: Acrobot-v1"):
        model.learn(10)
    plain = learner(make_vec_env(Steady)).learn(30)
    assert isinstance(plain._judge, SequentialJudge)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "wieght"}, "preset 'wieght' is unknown; allowed: history, weight, weight"),
        ({"plasticity_rule": "hebb"}, "plasticity_rule 'hebb' is unknown; allowed: three_factor"),
        ({"gamma": 1.0}, "gamma must be at least 0 and below 1"),
        ({"step_size": 0.0}, "step_size must be above 0"),
        ({"preset": "history", "history": 20}, r"more than 2\*\*40 states.*lower history"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        learner(**arguments)
