"""Tests of gated units: state, resets and gradients."""

import pytest
import torch
from torch import nn

from snn_gym.policies.networks import GatedNetwork

KINDS = pytest.mark.parametrize("kind", ["gru", "lstm", "rnn", "leaky", ("relu", "rnn_relu")])
STEPS, BATCH, INPUTS = 7, 4, 3


def network(kind, hidden_sizes=(5, 6), output_size=2):
    torch.manual_seed(0)
    return GatedNetwork(kind, INPUTS, hidden_sizes, output_size)


def sequence(seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(STEPS, BATCH, INPUTS, generator=generator)
    starts = torch.rand(STEPS, BATCH, generator=generator) < 0.3
    return inputs, starts


def stepped(net, inputs, state, starts):
    """Decide step by step, by the definition."""
    outputs = []
    for step, seen in enumerate(inputs):
        state = torch.where(starts[step][:, None], net.rest_state(1), state)
        output, state = net(seen, state)
        outputs.append(output)
    return torch.stack(outputs), state


@pytest.mark.parametrize(("kind", "hidden_sizes", "output_size"), [
    ("gru", (5, 6), 2), ("lstm", (5,), None), ("rnn", (5,), 2), ("leaky", (5, 6), None),
    (("rectified_leaky", "tanh"), (5, 6), 2), (("threshold", "rnn_relu"), (5, 6), None),
    ("tanh", (5, 6), 2),
])  # fmt: skip
def test_sequences_equal_their_steps(kind, hidden_sizes, output_size):
    net = network(kind, hidden_sizes, output_size)
    inputs, starts = sequence()
    assert starts[1:].any()
    assert not starts[0].all()
    state = torch.randn(BATCH, net.state_size)
    for one, other in zip(
        net.sequence(inputs, state, starts), stepped(net, inputs, state, starts), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert net.sequence(inputs, state, starts)[0].shape == (STEPS, BATCH, net.output_size)


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_single_layer_equals_pytorch(kind):
    net = network(kind, (5,), None)
    inputs, _ = sequence()
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}[kind](INPUTS, 5)
    theirs.load_state_dict(net.layers[0].state_dict())
    nobody = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    torch.testing.assert_close(net.sequence(inputs, None, nobody)[0], theirs(inputs)[0])


@KINDS
def test_episode_starts_block_gradients(kind):
    net = network(kind)
    inputs, _ = sequence()
    starts = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    starts[3, 0] = starts[0, 1] = True
    inputs.requires_grad_()
    state = torch.randn(BATCH, net.state_size, requires_grad=True)
    net.sequence(inputs, state, starts)[0][-1].sum().backward()
    assert not inputs.grad[:3, 0].any()
    assert inputs.grad[3:, 0].any()
    assert inputs.grad[:3, 2].any()
    assert not state.grad[1].any()
    assert state.grad[2].any()


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_lengthened_memory_fades_within_its_steps(kind):
    net, plain = network(kind, (5,)), network(kind, (5,))
    net.lengthen_memory(6)
    for name, changed in net.named_parameters():
        assert torch.equal(changed, plain.get_parameter(name)) == (name != "layers.0.bias_hh_l0")
    # Gates without input keep u / (1 + u) of the state, u = 1, 2, 3, 4, 5.
    (unit,) = net.units
    share = torch.sigmoid(unit.bias_hh_l0[5:10])
    assert share.tolist() == pytest.approx([1 / 2, 2 / 3, 3 / 4, 4 / 5, 5 / 6])
    if kind == "lstm":
        assert torch.sigmoid(unit.bias_hh_l0[:5]).tolist() == pytest.approx((1 - share).tolist())
    with pytest.raises(ValueError, match="memory_steps must be at least 2, got 1"):
        net.lengthen_memory(1)


def test_integrators_and_tanh_units_lengthen_their_memory():
    leaky, plain = network("leaky", (4,)), network("rnn", (4,))
    leaky.lengthen_memory(200)
    taus = -1 / leaky.layers[0].decay.detach().log()
    expected = 2.0 * 100.0 ** ((torch.arange(4) + 0.5) / 4)
    torch.testing.assert_close(taus, expected, rtol=1e-3, atol=0)
    plain.lengthen_memory(200)
    assert torch.equal(plain.layers[0].weight_hh_l0, torch.eye(4))


@pytest.mark.parametrize("kind", ["gru", "leaky"])
def test_a_network_without_layers_carries_no_state(kind):
    with pytest.raises(ValueError, match="hidden_sizes must name at least one layer of units"):
        GatedNetwork(kind, 1, ())


def test_leaky_integrators_equal_their_closed_form():
    net = network("leaky", (6,), None)
    units, seen = net.layers[0], torch.randn(1, BATCH, INPUTS).expand(STEPS, -1, -1)
    decay = units.decay.detach()
    # Time constants of 2 to 20 decisions, each as far from the next by its logarithm.
    taus = -1 / decay.log()
    torch.testing.assert_close(taus[1:] / taus[:-1], torch.full((5,), 10 ** (1 / 6)))
    assert 2 < taus[0] < taus[-1] < 20
    nobody = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    driven = seen[0] @ units.weight.T + units.bias
    steps = torch.arange(1, STEPS + 1)[:, None, None]
    expected = (1 - decay**steps) / (1 - decay) * driven
    torch.testing.assert_close(net.sequence(seen, None, nobody)[0], expected)
