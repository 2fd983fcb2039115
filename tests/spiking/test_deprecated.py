"""Test of deprecated names of networks: they warn and still work."""

import pytest
import torch

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.spiking.strategies import normal


def test_decide_and_watched_equal_forward_and_warn():
    network, x = SpikingNetwork(NetworkConfig(hidden_sizes=(8,)), 3, 2), normal(0, 4, 3)
    output, state = network(x)
    with pytest.warns(DeprecationWarning, match="use network"):
        assert torch.equal(network.decide(x), output)
    with pytest.warns(DeprecationWarning, match="use network"):
        watched = network.watched(x, state)
    assert torch.equal(watched[0], network(x, state)[0])
    assert [spikes.shape for spikes in watched[2]] == [(network.config.time_steps, 4, 8)]
