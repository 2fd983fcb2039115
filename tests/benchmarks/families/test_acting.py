"""Contenders decide the same before they are timed."""

import numpy as np
import pytest
import torch

from benchmarks.agents import default_agent, stock, twin
from benchmarks.families.acting import plain_forward, predicting


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    return default_agent(64, tmp_path_factory.mktemp("unused"))


def test_the_default_agent_is_the_row_of_the_table(agent):
    assert agent.visited.shape == (1024, 4)
    # it balances: no angle that it meets ends an episode (12 degrees)
    assert 0 < np.abs(agent.visited[:, 2]).max() < np.deg2rad(12)
    assert agent.synops() == pytest.approx(10_000, rel=0.2)


def test_a_peer_with_our_network_chooses_the_actions_of_predict(agent):
    chosen, _ = agent.model.predict(agent.visited, deterministic=True)
    assert set(chosen) == {0, 1}
    run = predicting(agent, plain_forward(agent.network), agent.visited)
    assert np.array_equal(run(), chosen)


def test_one_observation_causes_the_median_number_of_spikes(agent):
    def spikes(observations):
        layers = agent.model.policy.record(observations).layers
        return sum(np.asarray(layer.spikes).sum(axis=(0, 2)) for layer in layers)

    assert spikes(agent.sample(1))[0] == np.sort(spikes(agent.visited))[512]
    assert np.array_equal(np.sort(spikes(agent.sample(1024))), np.sort(spikes(agent.visited)))


def test_inputs_are_those_that_the_network_gets(agent):
    x = agent.inputs(8)
    with torch.no_grad():
        logits = agent.model.policy.action_net(agent.network(x)[0])
    chosen, _ = agent.model.predict(agent.sample(8), deterministic=True)
    assert np.array_equal(logits.argmax(1).numpy(), chosen)


def test_twin_and_stock_have_the_sizes():
    for model in (twin(32), stock(32)):
        shapes = [tuple(x.shape) for x in model.policy.parameters() if x.ndim == 2]
        assert sorted(shapes) == sorted([(32, 4), (32, 32)] * 2 + [(2, 32), (1, 32)])
