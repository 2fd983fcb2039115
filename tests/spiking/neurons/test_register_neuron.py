"""Neurons from outside: they work in networks, are saved as data, and mistakes are named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from snn_gym.spiking import NetworkConfig, Neuron, NeuronParameters, SpikingNetwork, register_neuron
from snn_gym.spiking.neurons.parameters import NEURON_PARAMETERS, LIFBoxParameters
from snn_gym.spiking.neurons.registered import NEURONS
from tests.spiking.strategies import normal


@dataclass(frozen=True)
class DecayParameters(NeuronParameters):
    keep: float = 0.5
    v_threshold: float = 1.0
    v_reset: float = 0.0


class DecayNeuron(Neuron):
    """``v = keep v + (1 - keep) x``: at keep 1/2 what ``lif_box`` does at tau = 2 dt."""

    state_names = ("v",)

    def integrate(
        self, current: torch.Tensor, state: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        assert isinstance(self.parameters, DecayParameters)
        keep = self.parameters.keep
        return (keep * state[0] + (1 - keep) * current,)


@pytest.fixture
def decay() -> Iterator[None]:
    register_neuron("decay", DecayParameters, DecayNeuron)
    yield
    del NEURON_PARAMETERS["decay"], NEURONS["decay"]


@pytest.mark.usefixtures("decay")
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_registered_neuron_works_like_the_built_in_one_that_it_equals(recurrent: bool) -> None:
    torch.manual_seed(0)
    ours = SpikingNetwork(NetworkConfig(neuron="decay", recurrent=recurrent), 3, 2)
    built_in = SpikingNetwork(
        NetworkConfig(neuron_parameters=LIFBoxParameters(tau_mem_ms=2.0), recurrent=recurrent), 3, 2
    )
    for name, parameter in ours.named_parameters():
        built_in.get_parameter(name).data.copy_(parameter)
    x = normal(0, 6, 3)
    torch.testing.assert_close(ours.decide(x), built_in.decide(x))
    with torch.no_grad():
        torch.testing.assert_close(ours.decide(x), built_in.decide(x))
    gradients = [torch.autograd.grad(n.decide(x).square().sum(), list(n.parameters()))
                 for n in (ours, built_in)]  # fmt: skip
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("decay")
def test_it_is_saved_as_data() -> None:
    config = NetworkConfig(neuron="decay", neuron_parameters=DecayParameters(keep=0.75))
    plain = json.loads(json.dumps(config.to_dict()))
    assert plain["neuron_parameters"] == {"keep": 0.75, "v_threshold": 1.0, "v_reset": 0.0}
    assert NetworkConfig.from_dict(plain) == config
    with pytest.raises(ValueError, match="unknown key tau_ms; allowed keys: keep, v_threshold"):
        NetworkConfig.from_dict({"neuron": "decay", "neuron_parameters": {"tau_ms": 1.0}})
    network = SpikingNetwork(config, 3)
    with pytest.raises(RuntimeError, match="saved under other dynamics"):
        SpikingNetwork(NetworkConfig(neuron="decay"), 3).load_state_dict(network.state_dict())
    with pytest.raises(ValueError, match="'fused' needs a neuron with kernels, and neuron 'decay'"):
        SpikingNetwork(NetworkConfig(neuron="decay", backend="fused"), 3)


def test_without_registration_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="neuron 'decay' is unknown; allowed: lif_box, lif, iaf"):
        NetworkConfig.from_dict({"neuron": "decay", "neuron_parameters": {"keep": 0.75}})


@dataclass(frozen=True)
class Foreign:
    v_threshold: float = 1.0
    v_reset: float = 0.0


@dataclass(frozen=True)
class NoReset(NeuronParameters):
    v_threshold: float = 1.0


@dataclass(frozen=True)
class NoDefault(NeuronParameters):
    v_threshold: float
    v_reset: float = 0.0


@dataclass(frozen=True)
class Text(NeuronParameters):
    v_threshold: float = 1.0
    v_reset: float = 0.0
    mode: str = "soft"


class Plain(NeuronParameters):
    v_threshold = 1.0


class Unfinished(Neuron):
    state_names = ("v",)


@pytest.mark.parametrize(
    ("name", "parameters", "neuron", "error", "message"),
    [
        ("lif", DecayParameters, DecayNeuron, ValueError, "neuron 'lif' is registered already"),
        ("my-lif", DecayParameters, DecayNeuron, ValueError, "must be an identifier, got 'my-lif'"),
        ("class", DecayParameters, DecayNeuron, ValueError, "must be an identifier, got 'class'"),
        ("x", Foreign, DecayNeuron, TypeError, "a subclass of NeuronParameters, got <class"),
        ("x", DecayParameters(), DecayNeuron, TypeError, "must be a subclass of NeuronParameters"),
        ("x", Plain, DecayNeuron, TypeError, "Plain must be a dataclass: decorate it with @data"),
        ("x", NoReset, DecayNeuron, TypeError, "NoReset must have the field v_reset"),
        ("x", NoDefault, DecayNeuron, TypeError, "v_threshold must be a number with a default"),
        ("x", Text, DecayNeuron, TypeError, "Text.mode must be a number .*, got 'soft'"),
        ("x", DecayParameters, torch.nn.Linear, TypeError, "must be a subclass of Neuron, got"),
        ("x", DecayParameters, Unfinished, TypeError, "Unfinished must define integrate"),
    ],
)  # fmt: skip
def test_mistakes_are_named(
    name: str, parameters: type, neuron: type, error: type[Exception], message: str
) -> None:
    before = dict(NEURON_PARAMETERS), dict(NEURONS)
    with pytest.raises(error, match=message):
        register_neuron(name, parameters, neuron)
    assert before == (NEURON_PARAMETERS, NEURONS)
