"""Tests of learned neuron constants: gradients against Norse, validity, files, layers."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from typing import Any

import norse.torch as norse
import pytest
import torch

from snn_gym.spiking import (
    ALIFParameters,
    LIFBoxParameters,
    LIFParameters,
    NetworkConfig,
    Neuron,
    NeuronParameters,
    SpikingNetwork,
    register_neuron,
)
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.layer_neurons import Breaks, LayerNeurons
from snn_gym.spiking.population import Population
from snn_gym.spiking.spiking_layer import run_fused
from tests.pairs import pairs
from tests.spiking.strategies import normal

SIZE, BATCH, STEPS = 6, 4, 7
ALL = {
    "lif_box": ("tau_mem", "v_threshold"),
    "lif": ("tau_mem", "tau_syn", "v_threshold"),
    "iaf": ("v_threshold",),
    "alif": ("tau_mem", "tau_syn", "tau_adapt", "beta", "v_threshold"),
    "lif_soft": ("tau_mem", "v_fall"),
}
CELLS = {
    "lif_box": (norse.LIFBoxCell, norse.LIFBoxParameters, norse.LIFBoxFeedForwardState),
    "lif": (norse.LIFCell, norse.LIFParameters, norse.LIFFeedForwardState),
    "iaf": (norse.IAFCell, norse.IAFParameters, norse.IAFFeedForwardState),
    "alif": (norse.LSNNCell, norse.LSNNParameters, norse.LSNNFeedForwardState),
}


def learning_neuron(name):
    """Return a neuron with constants that differ from the configured values."""
    parameters: dict[str, Any] = {} if name == "iaf" else {"tau_mem_ms": 3.0}
    if name in ("lif_box", "lif", "alif"):
        parameters["v_leak"] = 0.05
    config = NetworkConfig(
        neuron=name, neuron_parameters=parameters, surrogate="triangle", surrogate_slope=0.3,
        learnable=ALL[name],
    )  # fmt: skip
    neuron = configured_neuron(config)
    neuron.learn(config.learnable, SIZE)
    for k, constant in enumerate(neuron.learned.values()):
        constant.raw.data += normal(k, SIZE, scale=0.3)
    return neuron


def norses(name, neuron, given):
    """Return Norse's cell with the same constants as leaves of the graph."""
    cell, parameters, _ = CELLS[name]
    for field in given.values():
        field.requires_grad_()
    common: dict[str, Any] = {"v_reset": torch.tensor(0.0), "method": "triangle", "alpha": 0.3}
    if name != "iaf":
        common["v_leak"] = torch.tensor(neuron.parameters.v_leak)
    return cell(parameters(**given, **common), dt=0.001)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_norses_under_autograd(name):
    neuron = learning_neuron(name)
    raws = {field: constant.raw for field, constant in neuron.learned.items()}
    currents = normal(9, STEPS, BATCH, SIZE, scale=1.5, shift=0.8)
    weights = normal(10, STEPS, BATCH, SIZE)
    start = neuron.initial_state(BATCH, SIZE, currents)
    run = neuron.run_stepped(currents, start, STEPS)
    ours = torch.autograd.grad((run.spikes * weights).sum(), list(raws.values()))

    names = {field: "v_th" if field == "v_threshold" else field.replace("_ms", "_inv")
             for field in raws}  # fmt: skip
    given = {
        names[field]: constant.value.detach() / (0.001 if field.startswith("tau_") else 1.0)
        for field, constant in neuron.learned.items()
    }
    cell, state, total = norses(name, neuron, given), CELLS[name][2](*start), torch.zeros(())
    for t in range(STEPS):
        z, state = cell(currents[t], state)
        assert torch.equal(run.spikes[t], z)
        total = total + (z * weights[t]).sum()
    theirs = torch.autograd.grad(total, list(given.values()))
    for field, mine, other in zip(raws, ours, theirs, strict=True):
        w = raws[field].detach()
        # The chain rule by hand: 1 / tau = sigmoid(w) / dt, else floor + softplus(w).
        slope = torch.sigmoid(w)
        if field.startswith("tau_"):
            slope = slope * (1 - slope) / 0.001
        assert float(mine.abs().max()) > 1e-4, field
        torch.testing.assert_close(mine, other * slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "held", "recurrent"), pairs(list(ALL), [False, True], [False, True])
)
def test_kernels_give_the_gradients_of_stepping(name, held, recurrent):
    neurons, starts = learning_neuron(name), torch.zeros(3, BATCH, dtype=torch.bool)
    starts[1, 0] = starts[2, 2] = True
    breaks = Breaks(starts)
    rows = 3 if held else 3 * STEPS
    currents = normal(9, rows, BATCH, SIZE, scale=1.5, shift=0.8).requires_grad_()
    weight = normal(3, SIZE, SIZE, scale=0.3).requires_grad_() if recurrent else None
    rest = neurons.initial_state(BATCH, SIZE, currents)
    state = (*rest, torch.zeros(BATCH, SIZE)) if recurrent else rest
    wanted = [constant.raw for constant in neurons.learned.values()] + [currents]
    wanted += [] if weight is None else [weight]
    found = []
    for run in (run_fused, LayerNeurons.run_stepped):
        ran = run(neurons, currents, state, STEPS, weight, breaks)
        loss = (ran.spikes * normal(10, *ran.spikes.shape)).sum() + ran.voltages.square().sum()
        found.append((ran, torch.autograd.grad(loss, wanted)))
    (ours, mine), (theirs, expected) = found
    assert torch.equal(ours.spikes, theirs.spikes)
    assert ours.spikes.any()
    for a, b in zip(mine, expected, strict=True):
        assert float(b.abs().max()) > 1e-4
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("name", "recurrent"), list(zip(ALL, [False, True] * 3, strict=False)))
def test_learnable_constants_start_at_the_fixed_values_and_learn(name, recurrent):
    networks = []
    for learnable in ((), ALL[name]):
        torch.manual_seed(0)
        config = NetworkConfig((8, 6), 5, neuron=name, recurrent=recurrent, learnable=learnable)
        networks.append(SpikingNetwork(config, 3, 2))
    fixed, learning = networks
    x = normal(0, 16, 3)
    with torch.no_grad():
        torch.testing.assert_close(learning(x)[0], fixed(x)[0], rtol=1e-4, atol=1e-4)
    for layer, size in zip(learning.layers, (8, 6), strict=True):
        assert {n.removesuffix("_ms") for n in layer.learned} == set(ALL[name])
        assert all(constant.raw.shape == (size,) for constant in layer.learned.values())
    before = {name: p.detach().clone() for name, p in learning.named_parameters()}
    optimiser = torch.optim.SGD(learning.parameters(), lr=0.1)
    (learning(x)[0] - 1.0).square().sum().backward()
    optimiser.step()
    for parameter, value in learning.named_parameters():
        assert not torch.equal(value, before[parameter]), parameter
    # The copy of a network learns by itself.
    other = copy.deepcopy(learning)
    last = ALL[name][-1]
    other.layers[0].learned[last].raw.data += 1.0
    moved = getattr(other.layers[0].neuron.values, last)
    assert torch.equal(moved, other.layers[0].learned[last].value)
    assert not torch.equal(other(x)[0], learning(x)[0])
    other.load_state_dict(learning.state_dict())
    assert torch.equal(other(x)[0], learning(x)[0])


def test_the_values_by_hand():
    config = NetworkConfig(
        (2,), neuron="alif", learnable=("tau_mem_ms", "tau_adapt", "beta", "v_threshold"),
        neuron_parameters=ALIFParameters(tau_mem_ms=4.0, beta=0.5, v_threshold=0.75, v_leak=0.25),
    )  # fmt: skip
    assert config.learnable == ("tau_mem_ms", "tau_adapt_ms", "beta", "v_threshold")
    (layer,) = SpikingNetwork(config, 3).layers
    learned = layer.learned
    assert learned["tau_mem_ms"].value.tolist() == pytest.approx([0.25, 0.25])
    assert learned["tau_adapt_ms"].value.tolist() == pytest.approx([0.05, 0.05])
    assert learned["beta"].value.tolist() == pytest.approx([0.5, 0.5])
    assert learned["v_threshold"].value.tolist() == pytest.approx([0.75, 0.75])
    # However far they are moved, they stay valid.
    for raw, gain in ((-200.0, 0.0), (200.0, 1.0)):
        for constant in learned.values():
            constant.raw.data.fill_(raw)
        assert learned["tau_mem_ms"].value.tolist() == [gain, gain]
        assert float(learned["beta"].value.detach().min()) >= 0.0
        assert float(learned["v_threshold"].value.detach().min()) >= 0.25


def test_recordings_have_the_learned_threshold():
    network = SpikingNetwork(NetworkConfig((2,), 3, learnable=("v_threshold",)), 3)
    raw = torch.tensor([0.0, 1.0])
    network.layers[0].learned["v_threshold"].raw.data.copy_(raw)
    threshold = network.record(normal(0, 4, 3)).layers[0].v_threshold
    assert threshold.shape == (3, 4, 2)
    assert threshold[0, 0].tolist() == pytest.approx([math.log(2.0), math.log(1 + math.e)])


def test_layers_of_neurons_that_differ():
    config = NetworkConfig(
        (5, 4), 6, neuron=("lif", "alif"), learnable=("tau_adapt",), decoder="population",
        neuron_parameters=(LIFParameters(tau_mem_ms=3.0), ALIFParameters(beta=0.3)),
    )  # fmt: skip
    plain = json.loads(json.dumps(config.to_dict()))
    assert plain["neuron"] == ["lif", "alif"]
    assert plain["neuron_parameters"][1]["beta"] == 0.3
    assert plain["learnable"] == ["tau_adapt_ms"]
    assert NetworkConfig.from_dict(plain) == config
    torch.manual_seed(0)
    network = SpikingNetwork(config, 3, 2)
    kinds = [(layer.neuron.text.__name__, list(layer.learned)) for layer in network.layers]
    alif = ("ALIF", ["tau_adapt_ms"])
    assert kinds == [("LIF", []), alif, alif]  # the output's are as the last ones
    assert network.compiled is None
    assert network.layers[0].neuron.parameters.tau_mem_ms == 3.0
    # By layers of their own: what the second one gets is what the first one alone gives.
    first = SpikingNetwork(
        NetworkConfig((5,), 6, neuron="lif", neuron_parameters=LIFParameters(tau_mem_ms=3.0)), 3
    )
    first.layers.load_state_dict({
        name: x for name, x in network.layers.state_dict().items() if name.startswith("0.")
    })  # fmt: skip
    x = normal(0, 8, 3)
    assert torch.equal(first.record(x).layers[0].spikes, network.record(x).layers[0].spikes)
    for layer in network.record(x).layers:
        assert 0.02 < float(layer.spikes.mean()) < 0.9
    one = NetworkConfig((5, 4), neuron_parameters=(LIFBoxParameters(2.0), LIFBoxParameters(4.0)))
    assert [p.tau_mem_ms for _, p in one.layer_neurons] == [2.0, 4.0]
    assert NetworkConfig((5,), 1, neuron=("alif",)).needs_state


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learnable": ["tau"]}, r"learnable 'tau' is unknown; allowed: tau_mem, v_threshold$"),
        ({"learnable": ["tau_syn"], "neuron": "iaf"}, "'tau_syn' is unknown; allowed: v_threshold"),
        (
            {"learnable": ["tau_mem"], "neuron_parameters": {"tau_mem_ms": 1.0}},
            "learnable tau_mem_ms of neuron 'lif_box' must start above 1.0, got 1.0",
        ),
        (
            {"learnable": ["beta"], "neuron": "alif", "neuron_parameters": {"beta": 0.0}},
            "learnable beta of neuron 'alif' must start above 0.0, got 0.0",
        ),
        ({"neuron": ["lif"]}, r"neuron names 1 layers and hidden_sizes 2; give one for each"),
        ({"neuron": ["lif", "lf"]}, "neuron 'lf' is unknown; did you mean 'lif'"),
        (
            {"neuron": ["lif", "iaf"], "neuron_parameters": {"tau_mem_ms": 2.0}},
            "neuron_parameters must be one for each of lif, iaf",
        ),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict(values)


def test_learned_constants_without_kernels_are_refused():
    with pytest.raises(ValueError, match=r"can't run learnable=\('v_threshold',\)"):
        Population(NetworkConfig((4,), learnable=("v_threshold",)), 3, 2)
    with pytest.raises(ValueError, match="layers that differ; use one neuron"):
        Population(NetworkConfig((4, 4), neuron=("lif", "iaf")), 3, 2)


@dataclass(frozen=True)
class OwnParameters(NeuronParameters):
    learnable_fields = ("kept", "v_threshold")

    v_threshold: float = 1.0
    v_reset: float = 0.0
    kept: float = 0.5


class Own(Neuron):
    """Registered neuron with a learned decay."""

    Parameters = OwnParameters
    state = ("v",)

    @staticmethod
    def integrate(p, s, x):
        return (p.kept * s.v + (1.0 - p.kept) * x,)


@pytest.fixture
def own(own_names):
    register_neuron("own", Own)


def moved(network):
    """Return the names of the parameters that a gradient step changes."""
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    (network(normal(0, 16, 3))[0] - 1.0).square().sum().backward()
    optimiser.step()
    return {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.usefixtures("own")
def test_parameters_of_a_registered_neuron_learn():
    torch.manual_seed(0)
    config = NetworkConfig((6,), 4, neuron="own", learnable=("kept", "v_threshold"))
    network = SpikingNetwork(config, 3, 2)
    names = {"layers.0.learned.kept.raw", "layers.0.learned.v_threshold.raw"}
    assert names <= moved(network)
    assert names <= network.state_dict().keys()
    other = SpikingNetwork(network.config, 3, 2)
    other.load_state_dict(network.state_dict())
    x = normal(1, 5, 3)
    assert torch.equal(other(x)[0], network(x)[0])
