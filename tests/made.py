"""Policies and programs with random weights."""

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingQRDQNPolicy,
    SpikingSACPolicy,
    SpikingTD3Policy,
    program_of,
)
from snn_gym.program import Choice, Decoder, Head, NeuronLayer, Normaliser, Program
from snn_gym.program.builtin_neurons import LIFBox
from snn_gym.spiking import NetworkConfig
from tests.policies.firing import made_to_fire

SEEN = {
    "analogue": spaces.Box(-4.0, 4.0, (3,), np.float32),
    "flags": spaces.MultiBinary(6),
    "planes": spaces.MultiBinary((2, 5, 5)),
    "planes, channels last": spaces.MultiBinary((6, 7, 2)),
    "spikes": spaces.MultiBinary((5, 6)),
    "ten rows": spaces.MultiBinary((10, 3)),
}
CHOSEN = {"discrete": spaces.Discrete(3), "continuous": spaces.Box(-2.0, 2.0, (2,), np.float32)}
STATELESS = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "iaf"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("alif", "lif_box")}),
    (SpikingActorCriticPolicy, "flags", "discrete", {"decoder": "last_voltage"}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"decoder": "population"}),
    (SpikingDQNPolicy, "analogue", "discrete", {"hidden_sizes": (20,)}),
    (SpikingQRDQNPolicy, "analogue", "discrete", {}),
    (SpikingSACPolicy, "analogue", "continuous", {}),
    (SpikingTD3Policy, "analogue", "continuous", {}),
]
"""Policies without a state or recurrence: class, observations, actions and network."""
RARE = [
    {"encoder": "rate", "encoder_parameters": {"timing": "regular"}},
    {"encoder": "latency"},
    {"encoder": "population", "encoder_parameters": {"neurons_per_dimension": 4}},
    {"encoder": "learnable_population", "encoder_parameters": {"neurons_per_dimension": 4}},
    {"learnable": ("tau_mem_ms", "v_threshold")},
    {"neuron": "alif", "learnable": ("beta",), "encoder": "population"},
    {"backend": "norse"},
]
"""Parts of networks that few agents have."""
RARE_STATEFUL = [
    {"learnable": ("tau_mem_ms",), "recurrent": True},
    {"encoder": "population", "recurrent": True, "neuron": "alif"},
]
"""Rare parts of agents that carry a state."""
DENSE = {
    "tanh": {}, "relu": {"activation_fn": torch.nn.ReLU},
    "linear": {"network": {"hidden_sizes": []}}, "int8": {"bits": 8}, "int2": {"bits": 2},
    "int4-relu": {"bits": 4, "actor_activation": "relu"},
}  # fmt: skip
"""Arguments of actors that neither spike nor carry a state."""


ZERO = np.zeros(1, np.float32)
DISCRETE = Choice("argmax", ZERO[:0], ZERO[:0])


def row(*values):
    return np.array([values], np.float32)


def one_neuron(weight=2.0, **changes):
    """Return a LIF-box neuron of gain 0.5 and threshold 1, with its rate and 0.6 as outputs."""
    layer = NeuronLayer(
        neuron=LIFBox,
        constants=np.array([0.5, 1.0, 0.0, 0.0], np.float32),
        weights=row(weight),
        biases=np.array([0.25], np.float32),
        recurrent=None,
        rest=np.zeros((1, 1), np.float32),
    )
    parts = {
        "inputs": 1,
        "encoder": "constant",
        "normalisers": (Normaliser(ZERO + 1.0, ZERO + 2.0, 5.0),),
        "layers": (layer,),
        "time_steps": 4,
        "decoder": Decoder(np.full((1, 4), 0.25, np.float32), np.zeros((1, 0), np.float32)),
        "head": Head(np.array([[1.0], [0.0]], np.float32), np.array([0.0, 0.6], np.float32)),
        "choice": DISCRETE,
    }
    return Program(**{**parts, **changes})


def scattered(policy):
    """Make learned constants and receptive fields differ from neuron to neuron."""
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if name.endswith((".raw", ".centres", ".widths")):
                parameter.add_(0.3 * torch.rand_like(parameter))
    return policy


def build(kind, seen="analogue", chosen="discrete", **network):
    """Return a policy whose neurons fire."""
    torch.manual_seed(0)
    config = NetworkConfig(**{"hidden_sizes": (12, 9), "time_steps": 5, **network})
    policy = kind(SEEN[seen], CHOSEN[chosen], ConstantSchedule(0.1), network=config)
    return made_to_fire(policy)


def build_ann(seen="analogue", chosen="discrete", kind=SpikingActorCriticPolicy, **arguments):
    """Return a policy that does not spike, with large random weights."""
    torch.manual_seed(0)
    arguments = {"network": {"hidden_sizes": (12, 9)}, "spiking_actor": False, **arguments}
    policy = made_to_fire(kind(SEEN[seen], CHOSEN[chosen], ConstantSchedule(0.1), **arguments))
    with torch.no_grad():  # sums of few bits would be equal, and the first action the rounding's
        for name, parameter in policy.named_parameters():
            if "bias" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return policy


def observe(seen, count):
    SEEN[seen].seed(0)
    return np.stack([SEEN[seen].sample() for _ in range(count)])


def spiking(policy):
    """Return the numbers of a spiking agent."""
    agent = program_of(policy)
    assert agent.spiking
    return agent
