"""Tests of synapse features, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.synapses.plasticity import (
    FEATURES,
    LOCAL_MEASURES,
    PRESETS,
    TOPOLOGY,
    SynapseFeatures,
    topology,
)
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population


def table_of(inputs, hidden, outputs):
    return Population(NetworkConfig(hidden_sizes=hidden), inputs, outputs).synapses


def test_topology_by_hand():
    # One input, three neurons, two outputs; weights row by row, then biases.
    third = 1 / 3
    expected = [
        # layer, pre, post, fan-in (2 of 4, 4 of 4), fan-out (3 of 3, 2 of 3)
        [-1, -1, -1, 0, 1],
        [-1, -1, 0, 0, 1],
        [-1, -1, 1, 0, 1],
        [-1, 1, -1, 0, 1],
        [-1, 1, 0, 0, 1],
        [-1, 1, 1, 0, 1],
        [1, -1, -1, 1, third],
        [1, -third, -1, 1, third],
        [1, third, -1, 1, third],
        [1, -1, 1, 1, third],
        [1, -third, 1, 1, third],
        [1, third, 1, 1, third],
        [1, 1, -1, 1, third],
        [1, 1, 1, 1, third],
    ]
    np.testing.assert_allclose(topology(table_of(1, (3,), 2)), expected, atol=1e-7)


def test_a_single_neuron_and_the_middle_layer_are_in_the_middle():
    places = topology(table_of(2, (1, 4), 3))
    layer, post = places[:, TOPOLOGY.index("layer")], places[:, TOPOLOGY.index("post_index")]
    assert set(post[layer == -1]) == {0.0}
    assert sorted(set(layer)) == [-1.0, 0.0, 1.0]


@settings(deadline=None, max_examples=40)
@given(
    inputs=st.integers(1, 5),
    hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    outputs=st.integers(1, 4),
)
def test_topology_features_are_unique(inputs, hidden, outputs):
    table = table_of(inputs, tuple(hidden), outputs)
    places = topology(table)
    assert places.shape == (len(table), 5)
    assert places.dtype == np.float32
    assert np.abs(places).max() <= 1.0
    assert len(np.unique(places[:, :3], axis=0)) == len(table)


def observed(features, history=2, weights=None, dynamics=None, weight_limit=4.0):
    table = table_of(1, (1,), 1)  # four synapses
    seen = SynapseFeatures(features, table, weight_limit, history)
    weights = np.array([[1.0, -2.0, 4.0, -9.0]], np.float32) if weights is None else weights
    actions = np.array([[[1, 0, -1, 1], [0, 0, 1, -1]]], np.int8)[:, :history]
    rewards = np.array([[-1.0, 0.25]])[:, :history]
    return seen, seen.observe(weights, actions, rewards, dynamics)


def test_columns_by_hand():
    dynamics = np.linspace(-1, 1, 4 * 7, dtype=np.float32).reshape(1, 4, 7)
    seen, values = observed(FEATURES, dynamics=dynamics)
    assert seen.names == (
        "action_1_ago", "action_2_ago", "reward_1_ago", "reward_2_ago", "weight",
        *TOPOLOGY, *LOCAL_MEASURES, "rule_eligibility",
    )  # fmt: skip
    assert values.shape == (1, 4, 17)
    assert values.dtype == np.float32
    assert values[0, :, 0].tolist() == [1, 0, -1, 1]
    assert values[0, :, 1].tolist() == [0, 0, 1, -1]
    assert values[0, :, 2].tolist() == [-1] * 4
    assert values[0, :, 3].tolist() == [0.25] * 4
    assert values[0, :, 4].tolist() == [0.25, -0.5, 1.0, -1.0]  # beyond the limit: clipped
    assert np.array_equal(values[0, :, 5:10], topology(table_of(1, (1,), 1)))
    assert np.array_equal(values[..., 10:], dynamics)


def test_rewards_beyond_one_are_clipped():
    seen = SynapseFeatures(["reward_history"], table_of(1, (1,), 1), 1.0, history=1)
    arrays = np.zeros((1, 4), np.float32), np.zeros((1, 1, 4), np.int8)
    assert seen.observe(*arrays, np.array([[-7.0]])).ravel().tolist() == [-1.0] * 4


@pytest.mark.parametrize("preset", PRESETS)
def test_masks_select_only_their_feature_columns(preset):
    dynamics = np.random.default_rng(0).uniform(-1, 1, (1, 4, 7)).astype(np.float32)
    everything, whole = observed(FEATURES, dynamics=dynamics)
    seen, part = observed(PRESETS[preset], dynamics=dynamics)
    columns = [everything.names.index(name) for name in seen.names]
    assert np.array_equal(part, whole[..., columns])
    asked = set(preset.replace("all", "history+weight+topology").split("+"))
    blocks = {
        "history": {"action_history", "reward_history"},
        "weight": {"weight"},
        "topology": {"topology"},
        "dynamics": {"dynamics"},
    }
    assert set(seen.features) == set().union(*(blocks[name] for name in asked))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_rewards_are_refused(bad):
    seen = SynapseFeatures(["weight"], table_of(1, (1,), 1), 1.0)
    arrays = np.zeros((1, 4), np.float32), np.zeros((1, 2, 4), np.int8)
    with pytest.raises(ValueError, match="are not finite; give the job finite scores"):
        seen.observe(*arrays, np.array([[0.0, bad]]))


@pytest.mark.parametrize("name", ["dynamics", "eligibility"])
def test_missing_dynamics_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' needs measured local dynamics, got none"):
        observed([name])


def test_the_eligibility_is_the_seventh_measure_and_the_dynamics_are_the_six_before():
    dynamics = np.arange(4 * 7, dtype=np.float32).reshape(1, 4, 7) / 28
    seen, values = observed(["eligibility"], dynamics=dynamics)
    assert seen.names == ("rule_eligibility",)
    assert np.array_equal(values, dynamics[..., 6:])
    for measures in (dynamics, dynamics[..., :6]):
        assert np.array_equal(observed(["dynamics"], dynamics=measures)[1], dynamics[..., :6])
    with pytest.raises(IndexError):
        observed(["eligibility"], dynamics=dynamics[..., :6])
