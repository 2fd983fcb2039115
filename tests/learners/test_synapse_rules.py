"""Tests of learning rules of synapses: by hand, against autograd and torch's Adam."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import to_arrays
from snn_gym.learners.synapse_agents import (
    DYNAMICS_BINS,
    INDEX_BINS,
    WEIGHT_BINS,
    PolicyGradientRule,
    QNetworkRule,
    TabularRule,
    load_memory,
    make_rule,
)

NAMES = ("weight", "eligibility")
LEARNERS = ("shared_table", "synapse_tables", "q_network", "policy_gradient")


def generator(seed=0):
    return np.random.default_rng(seed)


def rule_of(learner, names=NAMES, rate=0.1, discount=0.5):
    return make_rule(learner, names, rate, discount, generator())


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
        ("action_1_ago", 3),
        ("reward_2_ago", 3),
        ("weight", WEIGHT_BINS),
        ("layer", INDEX_BINS),
        ("post_index", INDEX_BINS),
        ("eligibility", DYNAMICS_BINS["eligibility"]),
        ("post_rate", DYNAMICS_BINS["post_rate"]),
        ("fan_in", 1),
        ("drive", 1),
    ],
)
def test_bins_cut_the_range_evenly(name, bins):
    rule = TabularRule((name,), 0.1, 0.0)
    edges = np.linspace(-1, 1, bins + 1)
    middles = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)[:, np.newaxis]
    assert rule._states(middles).tolist() == list(range(bins))
    assert rule._states(column(-1.0, 1.0)).tolist() == [0, bins - 1]
    if bins == 3:  # of past moves and rewards each has a bin of its own
        assert rule._states(column(-1, 0, 1)).tolist() == [0, 1, 2]


def test_per_synapse_tables_are_independent():
    shared, own = (TabularRule(("weight",), 0.5, 0.0, per_synapse=x) for x in (False, True))
    same = column(0.0, 0.0)
    for rule in (shared, own):
        rule.learn(same, moves_of(1, -1), rewards_of(1, -1), same)
    assert shared.act(same, 0.0, generator()).tolist() == [1, 1]
    assert table(own) == {4: [0.0, 0.0, 0.5], 4 + WEIGHT_BINS: [-0.5, 0.0, 0.0]}
    seen = {tuple(own.act(same, 0.0, generator(seed))) for seed in range(40)}
    # The second synapse does not know what the first one has learned.
    assert seen == {(1, 0), (1, 1)}


def test_ties_are_broken_by_chance_and_the_best_is_taken():
    rule = TabularRule(("weight",), 0.5, 0.0)
    many = np.zeros((3000, 1), np.float32)
    counts = np.bincount(rule.act(many, 0.0, generator()) + 1, minlength=3)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(3000 * 2 / 9)
    rule.learn(many, np.ones(3000, np.int8), np.ones(3000, np.float32), many)
    assert (rule.act(many, 0.0, generator()) == 1).all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_exploration_is_the_share_of_random_moves(learner):
    rule, count = rule_of(learner, ("weight",)), 3000
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


def network_of(rule, weights=None):
    """Return the network of the rule as torch layers."""
    flat = torch.from_numpy((rule.memory.weights if weights is None else weights).copy())
    inputs = rule._shapes[0][0]
    first, second = torch.nn.Linear(inputs, 32), torch.nn.Linear(32, 3)
    sizes = [inputs * 32, 32, 96, 3]
    parts = torch.split(flat, sizes)
    with torch.no_grad():
        first.weight.copy_(parts[0].view(inputs, 32).T)
        first.bias.copy_(parts[1])
        second.weight.copy_(parts[2].view(32, 3).T)
        second.bias.copy_(parts[3])
    return torch.nn.Sequential(first, torch.nn.Tanh(), second)


def flat_of(network):
    first, _, second = network
    parts = (first.weight.T, first.bias, second.weight.T, second.bias)
    return torch.cat([part.detach().reshape(-1) for part in parts]).numpy()


def test_policy_gradient_equals_explicit_loss_with_torch_adam():
    rule = PolicyGradientRule(NAMES, 0.01, generator())
    network, baseline = network_of(rule), 0.0
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(15):
        features, moves, rewards, after = batch(25, seed=step)
        log_p = torch.log(torch.softmax(network(torch.from_numpy(features)), 1))
        taken = log_p[torch.arange(25), torch.from_numpy(moves.astype(int) + 1)]
        loss = -(torch.from_numpy(rewards - np.float32(baseline)) * taken).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        rule.learn(features, moves, rewards, after)
        baseline += 0.1 * (rewards.mean() - baseline)
        assert rule.memory.baseline == pytest.approx(baseline, abs=1e-6)
    np.testing.assert_allclose(rule.memory.weights, flat_of(network), atol=2e-5)


def test_last_bias_of_the_policy_gradient_has_a_closed_form():
    # With fresh weights the policy is even: d(log p_a)/d(bias) = 1[a] - 1/3. Adam's first step is
    # the rate against the gradient's sign.
    rule = PolicyGradientRule(NAMES, 0.01, generator())
    features, *_ = batch(4)
    rule.learn(features, moves_of(1, 1, 1, -1), rewards_of(1, 1, 1, 1), features)
    np.testing.assert_allclose(rule.memory.mean[-3:] / 0.1, [1 / 12, 1 / 3, -5 / 12], rtol=1e-5)
    np.testing.assert_allclose(rule.memory.weights[-3:], [-0.01, -0.01, 0.01], rtol=1e-4)


def test_a_policy_samples_its_softmax():
    rule = PolicyGradientRule(("weight",), 0.1, generator())
    rule.memory.weights[-3:] = np.log([0.2, 0.3, 0.5])
    moves = rule.act(np.zeros((20_000, 1), np.float32), 0.0, generator())
    shares = np.bincount(moves + 1) / 20_000
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=0.02)


def test_the_q_network_follows_hubers_loss_and_an_old_target():
    rule = QNetworkRule(NAMES, 0.01, 0.7, generator())
    network = network_of(rule)
    adam, target = torch.optim.Adam(network.parameters(), lr=0.01), flat_of(network)
    for step in range(1, 26):
        features, moves, rewards, after = batch(25, seed=step)
        old = network_of(rule, target)
        with torch.no_grad():
            best = old(torch.from_numpy(after)).max(1).values
        q = network(torch.from_numpy(features))
        error = q[torch.arange(25), torch.from_numpy(moves.astype(int) + 1)] - (
            torch.from_numpy(rewards) + 0.7 * best
        )
        small = error.abs() < 1
        loss = torch.where(small, error**2 / 2, error.abs() - 0.5).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        rule.learn(features, moves, rewards, after)
        if step % 10 == 0:
            target = flat_of(network)
        np.testing.assert_allclose(rule.memory.target, target, atol=2e-5)
        assert np.array_equal(rule.memory.target, rule.memory.weights) == (step % 10 == 0)
    np.testing.assert_allclose(rule.memory.weights, flat_of(network), atol=2e-5)


@pytest.mark.parametrize("learner", LEARNERS)
def test_rules_learn_to_move_weights_towards_zero(learner):
    rule = rule_of(learner, ("weight",), rate=0.02, discount=0.0)
    rng = generator()
    for _ in range(400):
        weights = column(-0.9, -0.6, 0.6, 0.9)
        moves = rule.act(weights, 0.3, rng)
        rewards = np.where(np.abs(weights[:, 0] + 0.1 * moves) < np.abs(weights[:, 0]), 1, -1)
        rule.learn(weights, moves, rewards.astype(np.float32), weights)
    shares = np.mean([rule.act(weights, 0.0, rng) == [1, 1, -1, -1] for _ in range(50)])
    assert shares > 0.9


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("learner", LEARNERS)
def test_loaded_memory_is_an_independent_copy(learner):
    teacher, pupil = rule_of(learner), rule_of(learner)
    data = batch(20)
    for _ in range(12):
        teacher.learn(*data)
    load_memory(pupil, to_arrays(teacher.memory))
    before = to_arrays(pupil.memory)
    acted = [rule.act(data[0], 0.1, generator()) for rule in (teacher, pupil)]
    assert np.array_equal(*acted)
    teacher.learn(*batch(20, seed=3))
    assert_same(to_arrays(pupil.memory), before)
    pupil.learn(*batch(20, seed=3))
    assert_same(to_arrays(pupil.memory), to_arrays(teacher.memory))


def test_memory_of_another_rule_is_refused():
    with pytest.raises(ValueError, match=r"TabularRule has learned .*'values'\], got .*'target'"):
        load_memory(rule_of("shared_table"), to_arrays(rule_of("q_network").memory))
    with pytest.raises(
        ValueError, match=r"weights does not fit, got shape \(195,\).*same features"
    ):
        load_memory(rule_of("q_network", ("weight",)), to_arrays(rule_of("q_network").memory))
    with pytest.raises(ValueError, match=r"bins does not fit, got \[9\], expected \[9, 5\]"):
        load_memory(rule_of("shared_table"), to_arrays(rule_of("shared_table", ("weight",)).memory))
    with pytest.raises(ValueError, match="per_synapse does not fit, got True, expected False"):
        load_memory(rule_of("shared_table"), to_arrays(rule_of("synapse_tables").memory))


def test_too_many_states_are_refused():
    names = tuple(f"reward_{k + 1}_ago" for k in range(26))
    with pytest.raises(ValueError, match=r"more than 2\*\*40 states.*lower history.*'q_network'"):
        TabularRule(names, 0.1, 0.0)
    assert rule_of("q_network", names)


def test_new_states_are_inserted_in_order():
    rule = TabularRule(("weight",), rate=1.0, discount=0.0)
    for place, reward in ((0.0, 1), (1.0, 2), (-1.0, 3), (0.5, 4)):
        rule.learn(column(place), moves_of(0), rewards_of(reward), column(0.0))
    assert rule.memory.states.tolist() == [0, 4, 6, 8]
    assert rule.memory.values[:, 1].tolist() == [3, 1, 4, 2]
    assert np.array_equal(rule._values(np.array([4, 5, 8]))[:, 1], [1, 0, 2])
