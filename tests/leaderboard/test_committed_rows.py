"""Tests of the rows of leaderboard/: weights fit the architectures, costs are current."""

import itertools

import pytest

from snn_gym.envs.registry import make_task
from snn_gym.leaderboard.evaluation import COMPARED_VERSIONS
from snn_gym.leaderboard.results import list_rows, verified_weights
from snn_gym.leaderboard.retraining import train_again
from snn_gym.leaderboard.weights import check_weights, hash_tensors, trained_tensors
from snn_gym.program.costs import ACTION, NORMALISER
from snn_gym.program.layers import GATE_PRODUCTS
from snn_gym.zoo import build_policy
from snn_gym.zoo.recipe import processor
from tests.leaderboard.helpers import BOARD, covering

ROWS = list_rows(BOARD)


def _pair(row):
    return row.agent, row.environment


FIRST_SEEDS = [next(rows) for _, rows in itertools.groupby(sorted(ROWS, key=_pair), key=_pair)]


def test_rows_have_an_evaluator_version_that_compares():
    assert {row.evaluator_version for row in ROWS} <= set(COMPARED_VERSIONS)


def _uses(policy, name, tensor):
    """Return the weights that are not zero, those of filters at each of their places."""
    module, _, kind = name.rpartition(".")
    dense = policy.get_submodule(module).weight if kind == "filters" else tensor
    return int((dense != 0).sum())


@pytest.mark.parametrize("row", covering(FIRST_SEEDS), ids=lambda row: "-".join(_pair(row)))
def test_weights_and_costs_match_the_architecture(row):
    tensors = check_weights(verified_weights(BOARD, row), row)
    assert hash_tensors(trained_tensors(tensors, row.agent, row.environment)) == row.content_sha256
    policy = build_policy(row.agent, row.environment, tensors)
    policy.load_acting_state_dict(tensors)  # a weight of zero is no synapse
    observation, _ = make_task(row.environment).reset(seed=0)
    costs = policy.record(observation).costs
    # Costs that depend neither on spikes nor on observations.
    for name in ("neuron_updates_per_decision", "state_bytes_per_decision", "synapses"):
        assert getattr(row.costs, name) == getattr(costs, name), name
    # A value of zero is no multiply-accumulate, and a weight that is not zero one at most, where
    # it stands: that of a filter stands at many places.
    assert row.costs.macs_per_decision.keys() == costs.macs_per_decision.keys()
    weights = sum(_uses(policy, name, tensor) for name, tensor in tensors.items())
    without = ("encoder", NORMALISER, ACTION)  # have other parameters, or none
    macs = sum(x for name, x in row.costs.macs_per_decision.items() if name not in without)
    gates = sum(
        GATE_PRODUCTS[kind] * updates
        for name, updates in row.costs.neuron_updates_per_decision.items()
        for kind in GATE_PRODUCTS
        if name.startswith(f"{kind}_")
    )
    assert macs - gates <= weights


SMALL = [
    row
    for row in ROWS
    if (row.agent, row.environment) in {("ppo-lif", "CartPole-v1"), ("dqsn", "CartPole-v1")}
    and row.seed < 2
][:3]


@pytest.mark.slow
@pytest.mark.parametrize("row", SMALL, ids=lambda row: f"{row.agent}-{row.seed}")
def test_training_again_gives_the_same_weights(row):
    # These rows are native, and trained again by a process without MKL's restriction.
    here = {name: x for name, x in processor().items() if name != "mkl"}
    if row.recipe.processor != here:
        pytest.skip(f"weights were trained on {row.recipe.processor}, not {here}")
    tensors = check_weights(verified_weights(BOARD, row), row)
    assert train_again(row, hash_tensors(tensors), BOARD).same == "weights"
