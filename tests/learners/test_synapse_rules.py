"""Tests of the table that synapses share, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.learners.synapse_agents import DYNAMICS_BINS, INDEX_BINS, WEIGHT_BINS, TabularRule

NAMES = ("weight", "eligibility")


def generator(seed=0):
    return np.random.default_rng(seed)


def column(*values):
    return np.array(values, np.float32)[:, np.newaxis]


def moves_of(*values):
    return np.array(values, np.int8)


def rewards_of(*values):
    return np.array(values, np.float32)


def table(rule):
    return dict(zip(rule.memory.states.tolist(), rule.memory.values.tolist(), strict=True))


def batch(count, names=NAMES, seed=1):
    rng = generator(seed)
    features, after = rng.uniform(-1, 1, (2, count, len(names))).astype(np.float32)
    moves = rng.integers(-1, 2, count).astype(np.int8)
    return features, moves, rng.uniform(-1, 1, count).astype(np.float32), after


def test_two_q_updates_by_hand():
    rule = TabularRule(("weight",), rate=0.5, discount=0.8)
    low, high = column(-1.0), column(1.0)
    # Q(low, up) = 0 + 0.5 (1 + 0.8 * 0 - 0)
    rule.learn(low, moves_of(1), rewards_of(1), high)
    assert table(rule) == {0: [0.0, 0.0, 0.5]}
    # Q(high, stay) = 0 + 0.5 (-1 + 0.8 * 0.5 - 0); the state is new and is put behind
    rule.learn(high, moves_of(0), rewards_of(-1), low)
    assert table(rule)[WEIGHT_BINS - 1] == pytest.approx([0.0, -0.3, 0.0])
    # Q(low, up) = 0.5 + 0.5 (1 + 0.8 * 0.5 - 0.5): its own state follows
    rule.learn(low, moves_of(1), rewards_of(1), low)
    assert table(rule)[0] == pytest.approx([0.0, 0.0, 0.95])


@given(
    count=st.integers(1, 30),
    rate=st.floats(0.01, 1.0),
    start=st.floats(-2.0, 2.0),
    seed=st.integers(0, 99),
)
def test_synapses_in_the_same_state_update_with_the_mean_target(count, rate, start, seed):
    rule = TabularRule(("weight",), rate, discount=0.0)
    rule.memory.states = np.array([4])
    rule.memory.values = np.array([[0.0, start, 0.0]], np.float32)
    rewards = generator(seed).choice([-1.0, 1.0], count).astype(np.float32)
    same = np.zeros((count, 1), np.float32)
    rule.learn(same, np.zeros(count, np.int8), rewards, same)
    value = start
    for _ in range(count):
        value += rate * (rewards.mean() - value)
    assert table(rule)[4] == pytest.approx([0.0, value, 0.0], abs=1e-5)


def test_table_has_one_entry_per_state_and_move():
    rule = TabularRule(("weight",), rate=0.5, discount=0.0)
    same = column(0.0, 0.0, 0.0)
    rule.learn(same, moves_of(-1, 0, 1), rewards_of(1, -1, 0.5), same)
    assert table(rule) == {4: [0.5, -0.5, 0.25]}


@pytest.mark.parametrize(
    ("name", "bins"),
    [
        ("action_1_ago", 3), ("reward_2_ago", 3), ("weight", WEIGHT_BINS), ("layer", INDEX_BINS),
        ("post_index", INDEX_BINS), ("eligibility", DYNAMICS_BINS["eligibility"]),
        ("post_rate", DYNAMICS_BINS["post_rate"]), ("fan_in", 1), ("drive", 1),
    ],
)  # fmt: skip
def test_bins_cut_the_range_evenly(name, bins):
    rule = TabularRule((name,), 0.1, 0.0)
    edges = np.linspace(-1, 1, bins + 1)
    middles = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)[:, np.newaxis]
    assert rule._states(middles).tolist() == list(range(bins))
    assert rule._states(column(-1.0, 1.0)).tolist() == [0, bins - 1]
    if bins == 3:  # of past moves and rewards each has a bin of its own
        assert rule._states(column(-1, 0, 1)).tolist() == [0, 1, 2]


def test_ties_are_broken_by_chance_and_the_best_is_taken():
    rule = TabularRule(("weight",), 0.5, 0.0)
    many = np.zeros((3000, 1), np.float32)
    counts = np.bincount(rule.act(many, 0.0, generator()) + 1, minlength=3)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(3000 * 2 / 9)
    rule.learn(many, np.ones(3000, np.int8), np.ones(3000, np.float32), many)
    assert (rule.act(many, 0.0, generator()) == 1).all()


def test_exploration_is_the_share_of_random_moves():
    rule, count = TabularRule(("weight",), 0.1, 0.5), 3000
    many = np.zeros((count, 1), np.float32)
    for move in [1, -1] * 30:
        same = np.full(count, move)
        rule.learn(many, same.astype(np.int8), same.astype(np.float32), many)
    greedy = (rule.act(many, 0.0, generator()) == 1).mean()
    assert greedy > 0.8
    # A random move is up in one case of three.
    expected = 0.7 * greedy + 0.3 / 3
    assert (rule.act(many, 0.3, generator()) == 1).mean() == pytest.approx(expected, abs=0.05)
    random = np.bincount(rule.act(many, 1.0, generator()) + 1, minlength=3)
    assert np.abs(random - count / 3).max() < 5 * np.sqrt(count * 2 / 9)


def test_the_table_learns_to_move_weights_towards_zero():
    rule = TabularRule(("weight",), rate=0.02, discount=0.0)
    rng = generator()
    for _ in range(400):
        weights = column(-0.9, -0.6, 0.6, 0.9)
        moves = rule.act(weights, 0.3, rng)
        rewards = np.where(np.abs(weights[:, 0] + 0.1 * moves) < np.abs(weights[:, 0]), 1, -1)
        rule.learn(weights, moves, rewards.astype(np.float32), weights)
    shares = np.mean([rule.act(weights, 0.0, rng) == [1, 1, -1, -1] for _ in range(50)])
    assert shares > 0.9


def test_too_many_states_are_refused():
    names = tuple(f"reward_{k + 1}_ago" for k in range(26))
    with pytest.raises(ValueError, match=r"more than 2\*\*40 states.*lower history"):
        TabularRule(names, 0.1, 0.0)


def test_new_states_are_inserted_in_order():
    rule = TabularRule(("weight",), rate=1.0, discount=0.0)
    for place, reward in ((0.0, 1), (1.0, 2), (-1.0, 3), (0.5, 4)):
        rule.learn(column(place), moves_of(0), rewards_of(reward), column(0.0))
    assert rule.memory.states.tolist() == [0, 4, 6, 8]
    assert rule.memory.values[:, 1].tolist() == [3, 1, 4, 2]
    assert np.array_equal(rule._values(np.array([4, 5, 8]))[:, 1], [1, 0, 2])
