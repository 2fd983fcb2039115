"""Tests of registered neurons: in networks, saved as data, and error messages."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch

from snn_gym.program.builtin_neurons import NEURONS, LIFBoxParameters
from snn_gym.spiking import NetworkConfig, Neuron, NeuronParameters, SpikingNetwork, register_neuron
from tests.spiking.strategies import normal


@dataclass(frozen=True)
class DecayParameters(NeuronParameters):
    keep: float = 0.5
    v_threshold: float = 1.0
    v_reset: float = 0.0


class Decay(Neuron):
    """``v = keep v + (1 - keep) x``: at keep 1/2 what ``lif_box`` does at tau = 2 dt."""

    Parameters = DecayParameters
    state = ("v",)

    @staticmethod
    def integrate(p, s, x):
        return (p.keep * s.v + (1.0 - p.keep) * x,)


@pytest.fixture
def decay(own_names):
    register_neuron("decay", Decay)


@pytest.mark.usefixtures("decay")
@pytest.mark.parametrize("recurrent", [False, True])
def test_registered_neuron_equals_the_built_in_neuron(recurrent):
    torch.manual_seed(0)
    ours = SpikingNetwork(NetworkConfig(neuron="decay", recurrent=recurrent), 3, 2)
    built_in = SpikingNetwork(
        NetworkConfig(neuron_parameters=LIFBoxParameters(tau_mem_ms=2.0), recurrent=recurrent), 3, 2
    )
    for name, parameter in ours.named_parameters():
        built_in.get_parameter(name).data.copy_(parameter)
    x = normal(0, 6, 3)
    torch.testing.assert_close(ours(x)[0], built_in(x)[0])
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], built_in(x)[0])
    gradients = [torch.autograd.grad(n(x)[0].square().sum(), list(n.parameters()))
                 for n in (ours, built_in)]  # fmt: skip
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("decay")
def test_registered_neurons_are_saved_as_data():
    config = NetworkConfig(neuron="decay", neuron_parameters=DecayParameters(keep=0.75))
    plain = json.loads(json.dumps(config.to_dict()))
    assert plain["neuron_parameters"] == {"keep": 0.75, "v_threshold": 1.0, "v_reset": 0.0}
    assert NetworkConfig.from_dict(plain) == config
    with pytest.raises(ValueError, match="unknown key tau_ms; allowed keys: keep, v_threshold"):
        NetworkConfig.from_dict({"neuron": "decay", "neuron_parameters": {"tau_ms": 1.0}})
    network = SpikingNetwork(config, 3)
    with pytest.raises(RuntimeError, match="saved under other dynamics"):
        SpikingNetwork(NetworkConfig(neuron="decay"), 3).load_state_dict(network.state_dict())
    assert SpikingNetwork(NetworkConfig(neuron="decay", backend="fused"), 3).compiled is not None


def test_without_registration_the_file_is_refused():
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


def neuron_of(parameters, **functions):
    given = {"Parameters": parameters, "state": ("v",), "integrate": Decay.integrate, **functions}
    return type("Mine", (Neuron,), given)


@pytest.mark.parametrize(
    ("name", "neuron", "error", "message"),
    [
        ("lif", Decay, ValueError, "neuron 'lif' is registered already"),
        ("my-lif", Decay, ValueError, "must be an identifier, got 'my-lif'"),
        ("x", torch.nn.Linear, TypeError, "must be a subclass of Neuron, got"),
        ("x", neuron_of(Foreign), TypeError, "a subclass of NeuronParameters, got <class"),
        ("x", neuron_of(Plain), TypeError, "Plain must be a dataclass: decorate it with @data"),
        ("x", neuron_of(NoDefault), TypeError, "v_threshold must be a number with a default"),
        ("x", neuron_of(Text), TypeError, "Text.mode must be a number .*, got 'soft'"),
        ("x", neuron_of(NoReset), TypeError, "integrate: there is no constant 'keep'"),
        (
            "x", neuron_of(DecayParameters, integrate=lambda p, s, x: (s.u + x,)), TypeError,
            "Mine.integrate: there is no state variable 'u'; there are v",
        ),
        (
            "x", neuron_of(DecayParameters, integrate=lambda p, s, x: (s.v, x)), TypeError,
            "Mine.integrate must return a value for each of v, got 2",
        ),
        (
            "x", neuron_of(DecayParameters, integrate=lambda p, s, x: (torch.exp(s.v),)),
            TypeError, "Mine.integrate: exp",
        ),
        (
            "x",
            neuron_of(
                DecayParameters,
                after=lambda p, s, z: (s.v - z if p.v_reset == 0 else (1.0 - z) * s.v,),
            ),
            TypeError, "Mine.after: a text can't branch by .*; use where",
        ),
        (
            "x", neuron_of(DecayParameters, margin=lambda p, s: s.v > p.v_threshold), TypeError,
            "Mine.margin: a comparison is no number; use where",
        ),
        (
            "x", neuron_of(DecayParameters, state=("keep",)), TypeError,
            "keep names more than one constant or state variable",
        ),
        *(
            (
                "x", neuron_of(DecayParameters, state=(name,)), TypeError,
                f"{name!r} names what is derived from a neuron; call a constant or state",
            )
            for name in ("through", "grad_spike")
        ),
        (
            "x", type("Empty", (Neuron,), {"Parameters": DecayParameters, "state": ("v",)}),
            TypeError, "Empty must define integrate",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_named(name, neuron, error, message):
    before = dict(NEURONS)
    with pytest.raises(error, match=message) as caught:
        register_neuron(name, neuron)
    assert "\n" not in str(caught.value)
    assert before == NEURONS
