"""Tests of any spiking module with Norse's protocol: states of every shape, invalid outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import norse.torch as norse
import pytest
import torch
from torch import Tensor, nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.spiking.strategies import normal

RATES = {"tau_mem_inv": torch.tensor(500.0)}


def lif():
    return norse.LIFCell(norse.LIFParameters(tau_syn_inv=torch.tensor(500.0), **RATES))


class Pair(NamedTuple):
    left: Tensor
    right: list[Tensor | None]


class Nested(nn.Module):
    """``v = (v + x) / 2`` and a spike count, in a nested state of every supported kind."""

    def forward(self, x, state=None):
        v, count = x.new_zeros(x.shape), x.new_zeros(len(x), 2, 3)
        if state is not None:
            pair, extra = state["pair"], state["none"]
            assert extra is None
            v, (count, nothing) = pair.left, pair.right
            assert nothing is None
        v = (v + x) / 2
        z = torch.heaviside(v - 1, torch.zeros(()))
        count = count + z.sum(1)[:, None, None]
        return z, {"pair": Pair((1 - z) * v, [count, None]), "none": None}


MODULES: dict[str, Callable[[int], nn.Module]] = {
    "cell": lambda size: lif(),
    "recurrent cell": lambda size: norse.LIFRecurrentCell(size, size, autapses=True),
    "sequential": lambda size: norse.SequentialState(lif()),
    "sequential of several": lambda size: norse.SequentialState(
        nn.Linear(size, 3), norse.LICell(), nn.Linear(3, size), lif(), norse.LIFBoxCell()
    ),
    "nested sequential": lambda size: norse.SequentialState(norse.SequentialState(lif()), lif()),
    "nested": lambda size: Nested(),
}


def network_of(factory, time_steps=4):
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig((5,), time_steps), 3, cell_factory=factory)
    with torch.no_grad():  # deep layers need a strong input to fire
        network.layers[0].linear.weight.mul_(4.0)
        network.layers[0].linear.bias.mul_(4.0)
    return network


@pytest.mark.parametrize("name", MODULES)
def test_states_equal_the_module_run_alone(name):
    network = network_of(MODULES[name])
    (layer,) = network.layers
    module, nested, state = layer.neuron.cell, None, None
    for decision in range(3):
        x = normal(decision, 6, 3)
        current, spikes = layer.linear(x), []
        for _ in range(4):
            z, nested = module(current, nested)
            spikes.append(z)
        output, state = network(x, state)
        torch.testing.assert_close(output, torch.stack(spikes).mean(0))
    assert state.shape == (6, network.state_size)
    # One episode restarts while other episodes continue.
    x, starts = normal(9, 6, 3), torch.tensor([True, False] * 3)
    mixed = torch.where(starts[:, None], network.rest_state(6), state)
    anew, carried = network(x)[0], network(x, state)[0]
    torch.testing.assert_close(network(x, mixed)[0], torch.where(starts[:, None], anew, carried))
    outputs, _ = network.sequence(x[None], state, starts[None])
    torch.testing.assert_close(outputs[0], network(x, mixed)[0])


@pytest.mark.parametrize("name", [name for name in MODULES if name != "nested"])
def test_module_parameters_learn(name):
    network = network_of(MODULES[name], 8)
    network(normal(0, 32, 3))[0].sum().backward()
    gradients = {k: p.grad for k, p in network.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values()), gradients
    assert float(gradients["layers.0.linear.weight"].abs().sum()) > 0


def test_a_state_without_potential_has_none_in_recordings():
    for name, has in (("nested", False), ("sequential of several", True), ("cell", True)):
        (layer,) = network_of(MODULES[name]).record(normal(0, 4, 3)).layers
        assert (layer.voltages is not None) is has


def test_nested_state_by_hand():
    network = network_of(MODULES["nested"])
    (layer,) = network.layers
    assert layer.state_names == ("pair.left", "pair.right.0", "begun")
    assert layer.state_sizes == (5, 6, 1)
    nn.init.zeros_(layer.linear.weight)
    nn.init.constant_(layer.linear.bias, 1.5)
    _, state = network(torch.zeros(2, 3))
    # 0.75, 1.125 (fires), 0.75, 1.125 (fires): twice each of five neurons
    assert state[0].tolist() == [0.0] * 5 + [10.0] * 6 + [1.0]


def test_outputs_other_than_spikes_are_refused_with_their_value():
    # The potential of a leaky integrator from rest is 0 without input, hence no mistake yet.
    network = network_of(lambda size: norse.LICell())
    with pytest.raises(ValueError, match=r"output of LICell must be spikes, 0 or 1, got -?\d+\.\d"):
        network(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"of Stateless must be spikes, 0 or 1, got 0\.5"):
        network_of(lambda size: Stateless(nn.Sigmoid()))


class Stateless(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, state=None):
        return self.inner(x), state


class WrongState(nn.Module):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def forward(self, x, state=None):
        return torch.zeros_like(x), self.state


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Identity(), "Identity does not"),
        (norse.LIFRecurrentCell(5, 4), "LIFRecurrentCell does not"),
        (WrongState(torch.zeros(3)), r"state 'state' of WrongState must .* got \(3,\) for a batch"),
        (WrongState([{"a": "b"}]), "tensors, tuples, lists, mappings and None, got str"),
    ],
)
def test_mistakes_are_named(module, message):
    class Plain(nn.Module):
        def forward(self, x, state=None):
            return module(x) if isinstance(module, nn.Identity) else module(x, state)

    Plain.__name__ = type(module).__name__
    with pytest.raises(ValueError, match=message):
        network_of(lambda size: Plain())
