"""Other libraries' networks have our weights and our spikes."""

import pytest
import torch

from benchmarks.families.acting import plain_forward
from benchmarks.networks import at_activity, with_time_steps
from benchmarks.peers import PEERS, build_peers, check_equal, forward_backward, hidden_linears
from snn_gym.spiking import NetworkConfig, SpikingNetwork


@pytest.fixture(params=PEERS, ids=lambda peer: peer.name)
def peer(request):
    reason = request.param.absent()
    if reason is not None:
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_peer_gives_our_rates(peer, share):
    network, x = at_activity((64, 64), 8, 32, share)
    with torch.no_grad():
        theirs, ours = peer.build(network)(x), network(x)[0]
    assert theirs.shape == ours.shape == (32, 64)
    assert 0 < ours.mean() < 1
    torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)


def test_a_peer_learns_the_weights_that_it_shares(peer):
    network, x = at_activity((32, 32), 8, 16, 0.3)
    linears = hidden_linears(network)
    forward_backward(linears, peer.build(network), x)()
    assert all(linear.weight.grad.abs().sum() > 0 for linear in linears)


def test_another_network_is_refused():
    network = SpikingNetwork(NetworkConfig(hidden_sizes=(8,), neuron="lif"), 4)
    with pytest.raises(ValueError, match="whose neuron is 'lif_box', got 'lif'"):
        build_peers(network)


def test_other_rates_are_refused():
    network, x = at_activity((64, 64), 8, 32, 0.3)
    check_equal({"same": plain_forward(network)}, plain_forward(network), x)
    with pytest.raises(ValueError, match=r"shifted gives other rates than ours in 100\.00%"):
        check_equal({"shifted": lambda x: network(x)[0] + 1}, plain_forward(network), x)


@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
def test_a_network_is_as_active_as_asked(share):
    network, x = at_activity((64, 32), 8, 64, share)
    for layer in network.record(x).layers:
        assert float(layer.spikes.detach().mean()) == pytest.approx(share, rel=0.1)


def test_more_time_steps_keep_the_weights():
    network, x = at_activity((16, 16), 4, 8, 0.3)
    longer = with_time_steps(network, 12)
    record = longer.record(x).layers[1].spikes
    assert record.shape == (12, 8, 16)
    assert torch.equal(record[:4], network.record(x).layers[1].spikes)
