"""Modules of users as networks: forms, state, spikes and costs."""

import copy

import pytest
import torch
from torch import nn

from snn_gym.spiking import ModuleConfig, ModuleNetwork
from tests.spiking.made_modules import LIBRARIES, Plain, Spike, firing, plain

INPUTS = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


def by_hand(module, signal):
    """Step a plain module's arithmetic; return the spikes (T, B, N) of both layers."""
    first, _, second, _ = module
    v, w, seen = 0.0, 0.0, []
    with torch.no_grad():
        for x in signal:
            v = 0.5 * v + first(x)
            fired = (v > 1).float()
            w = 0.5 * w + second(fired)
            last = (w > 1).float()
            v, w = v * (1 - fired), w * (1 - last)
            seen.append((fired, last))
    return [torch.stack(x) for x in zip(*seen, strict=True)]


def run(network, inputs=INPUTS):
    runs = []
    with torch.no_grad():
        output, _ = network(inputs, observer=runs.append)
        assert torch.equal(output, network(inputs)[0])
    return output, [x.spikes for x in runs[0].layers]


def test_an_observation_is_held_and_the_mean_is_read():
    module = firing(plain())
    network = ModuleNetwork(ModuleConfig(module, time_steps=6), 4)
    output, spikes = run(network)
    expected = by_hand(module, [INPUTS] * 6)
    assert 0 < expected[1].mean() < 1
    assert all(torch.equal(x, y) for x, y in zip(spikes, expected, strict=True))
    assert torch.equal(output, expected[1].mean(0))
    last = ModuleNetwork(ModuleConfig(module, 6, readout=lambda outputs: outputs[-1]), 4)
    assert torch.equal(last(INPUTS)[0], expected[1][-1])


def test_each_time_step_of_a_spike_train_is_a_step_of_the_module():
    module = firing(plain())
    trains = (torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    _, spikes = run(ModuleNetwork(ModuleConfig(module), 4, spike_steps=7), trains)
    expected = by_hand(module, trains.transpose(0, 1))
    assert all(torch.equal(x, y) for x, y in zip(spikes, expected, strict=True))


class PassedState(nn.Module):
    """A neuron that takes and returns its potential."""

    def forward(self, x, state=None):
        moved = x if state is None else 0.5 * state + x
        spikes = Spike.apply(moved - 1.0)
        return spikes, moved * (1.0 - spikes)


class OfStates(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.hidden = nn.Linear(4, 16), PassedState()
        self.second, self.last = nn.Linear(16, 6), PassedState()

    def forward(self, x, states=None):
        one, two = states or (None, None)
        x, one = self.hidden(self.first(x), one)
        x, two = self.last(self.second(x), two)
        return x, (one, two)


class OfWholes(OfStates):
    """All time steps of a sequence (T, B, D) in one call."""

    def forward(self, signal):
        states, outputs = None, []
        for x in signal:
            output, states = super().forward(x, states)
            outputs.append(output)
        return torch.stack(outputs)


class OfItself(OfWholes):
    """Its own time steps for one observation (B, D), as in tutorials of snnTorch."""

    def forward(self, x):
        return super().forward(x.expand(8, *x.shape)), "potentials"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(OfStates, {}), (OfWholes, {"sequence": True}), (OfItself, {"time_steps": 3})],
)
def test_all_forms_of_a_module_give_the_same(kind, arguments):
    expected = run(ModuleNetwork(ModuleConfig(firing(plain())), 4))
    network = ModuleNetwork(ModuleConfig(firing(kind()), **arguments), 4)
    output, spikes = run(network)
    assert torch.equal(output, expected[0])
    assert all(torch.equal(x, y) for x, y in zip(spikes, expected[1], strict=True))
    assert network.time_steps == 8


@pytest.mark.parametrize("library", LIBRARIES)
def test_minibatches_follow_each_other_and_the_users_module_stays(library):
    module = firing(LIBRARIES[library]())
    before = copy.deepcopy(module.state_dict())
    network = ModuleNetwork(ModuleConfig(module), 4, 2)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for batch in (5, 5, 3):
        optimiser.zero_grad()
        network(INPUTS[:batch])[0].square().sum().backward()
        assert all(x.grad.abs().sum() > 0 for x in network.module.parameters())
        optimiser.step()
        copy.deepcopy(network)  # no graph is left
    assert all(torch.equal(x, before[key]) for key, x in module.state_dict().items())


def test_costs_are_spikes_times_synapses_and_products_of_what_is_held():
    module = firing(plain())
    network = ModuleNetwork(ModuleConfig(module), 4, 2)
    with torch.no_grad():
        module[2].weight[:3, 0] = 0.0
        network.module[2].weight[:3, 0] = 0.0
        recording = network.record(INPUTS)
    hidden, last = by_hand(module, [INPUTS] * 8)
    costs, fired = recording.costs, hidden.sum((0, 1)) / 5
    assert costs.spikes_per_decision == pytest.approx(
        {"hidden_1": float(fired.sum()), "hidden_2": float(last.sum()) / 5}
    )
    synops = 6 * float(fired.sum()) - 3 * float(fired[0])
    assert costs.synops_per_decision["hidden_1"] == pytest.approx(synops)
    assert costs.macs_per_decision == {"hidden_1": 4 * 16}
    assert costs.neuron_updates_per_decision == {"hidden_1": 8 * 16, "hidden_2": 8 * 6}
    assert torch.equal(recording.output, network(INPUTS)[0])


@pytest.mark.parametrize("extra", [nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.LayerNorm(4)])
def test_of_other_modules_than_chains_only_spikes_are_counted(extra):
    network = ModuleNetwork(ModuleConfig(nn.Sequential(extra, firing(plain()))), 4, 2)
    recording = network.record(INPUTS)
    assert recording.costs.uncounted == ("Sequential",)
    assert recording.costs.spikes_per_decision["hidden_1"] > 0
    assert [x.name for x in recording.layers] == ["hidden_1", "hidden_2"]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = firing(plain(4, 4))

    def forward(self, x):
        return self.inner(x) + x


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), firing(plain(16))

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def test_operations_between_the_parts_are_noticed():
    assert [bool(ModuleNetwork(ModuleConfig(x), 4).problem) for x in (
        Functional(), Residual(), firing(plain())
    )] == [True, True, False]  # fmt: skip


class Twice(nn.Module):
    """A linear map that is used in several ways; the neuron's input is its output all the same."""

    def __init__(self, way):
        super().__init__()
        self.linear, self.neuron, self.way = nn.Linear(4, 16), Plain(), way

    def forward(self, x):
        return self.neuron(self.way(self, x))


class Gated(Plain):
    """A neuron with a linear map of its own, and a library's name for its reset."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(16, 16)

    reset_mem = Plain.reset

    def forward(self, x):
        return super().forward(x) * (self.gate(x) < 1e9)


USES = {
    "called twice": lambda net, x: 0.5 * (net.linear(x) + net.linear(x)),
    "a function beside it": lambda net, x: (
        net.linear(x) + 0.0 * nn.functional.linear(x, net.linear.weight)
    ),
    "a product of single rows": lambda net, x: (
        net.linear(x) + 0.0 * torch.stack([net.linear.weight @ row for row in x])
    ),
    "a product in numpy": lambda net, x: (
        net.linear(x) + 0.0 * torch.from_numpy(x.numpy() @ net.linear.weight.numpy().T)
    ),
}


@pytest.mark.parametrize("name", USES)
def test_a_module_that_multiplies_more_than_once_is_not_counted(name):
    with torch.no_grad():
        network = ModuleNetwork(ModuleConfig(firing(Twice(USES[name]))), 4, 2)
        costs = network.record(INPUTS).costs
    assert costs.uncounted == ("Twice",)
    assert costs.operations_per_decision is None


def test_a_product_inside_of_a_neuron_is_not_counted_as_none():
    network = ModuleNetwork(ModuleConfig(firing(nn.Sequential(nn.Linear(4, 16), Gated()))), 4, 2)
    assert network.record(INPUTS).costs.uncounted == ("Sequential",)


def test_a_module_that_multiplies_once_is_counted():
    network = ModuleNetwork(ModuleConfig(firing(Twice(lambda net, x: net.linear(x)))), 4, 2)
    assert network.record(INPUTS).costs.macs_per_decision == {"hidden_1": 4 * 16}


class Forgetless(Plain):
    reset = None


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(4, 8), Forgetless()), "remembers the decision before"),
        (plain(3), r"Sequential fails on observations of shape \(11, 4\)"),
        (lambda: "text", "a network must be .* got 'text'"),
        (nn.Sequential(nn.Linear(4, 8), nn.Flatten(0)), r"returns \(8, 88, 1\) for 11 samples"),
    ],
)
def test_other_modules_are_refused_in_a_line(module, message):
    config = ModuleConfig(firing(module) if isinstance(module, nn.Module) else module)
    with pytest.raises(ValueError, match=message) as caught:
        ModuleNetwork(config, 4)
    assert "\n" not in str(caught.value)
