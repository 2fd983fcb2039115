"""Policies with random weights, and C files as functions."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.export import program_of
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingQRDQNPolicy,
    SpikingSACPolicy,
    SpikingTD3Policy,
)
from snn_gym.program import (
    Choice,
    Decoder,
    Head,
    LeakyLayer,
    NeuronLayer,
    Normaliser,
    Program,
)
from snn_gym.program.neurons import LIFBox
from snn_gym.spiking import NetworkConfig
from tests.policies.firing import made_to_fire

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler, cc, is installed")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover")
SEEN = {
    "analogue": spaces.Box(-4.0, 4.0, (3,), np.float32),
    "flags": spaces.MultiBinary(6),
    "planes": spaces.MultiBinary((2, 5, 5)),
    "planes, channels last": spaces.MultiBinary((6, 7, 2)),
    "spikes": spaces.MultiBinary((5, 6)),
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
    {"decoder": "max_voltage"},
    {"decoder": "max_voltage", "decoder_parameters": {"tau_syn_ms": 3.0}},
    {"learnable": ("tau_mem_ms", "v_threshold")},
    {"neuron": "alif", "learnable": ("beta",), "encoder": "population"},
    {"backend": "norse"},
]
"""Parts of networks that few agents have."""
RARE_STATEFUL = [
    {"decoder": "max_voltage", "recurrent": True},
    {"learnable": ("tau_mem_ms",), "recurrent": True},
    {"encoder": "population", "recurrent": True, "neuron": "alif"},
]
"""Rare parts of agents that carry a state."""
DENSE = {
    "tanh": {},
    "relu": {"activation_fn": torch.nn.ReLU},
    "linear": {"network": {"hidden_sizes": []}},
    "int8": {"bits": 8},
    "int2": {"bits": 2},
    "int4-relu": {"bits": 4, "actor_activation": "relu"},
}
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


class Compiled:
    """An agent's C files, compiled, loaded and called."""

    def __init__(self, files, agent, fixed=False):
        library = files.source.with_suffix(".so")
        words = (str(COMPILER), *WARNINGS, "-O2", "-shared", "-fPIC", "-o", str(library))
        subprocess.run([*words, str(files.source), "-lm"], check=True)
        self._agent, self._library = agent, ctypes.CDLL(str(library))
        number = ctypes.c_int16 if fixed else ctypes.c_float
        fields = []
        layers = agent.neurons
        for k, layer in enumerate(layers, start=1):
            fields.append((f"neurons_{k}", number * layer.rest.size))
            fields.append((f"spikes_{k}", ctypes.c_ubyte * layer.size))
        for k, units in enumerate(agent.remembering, start=1):
            of_units = ctypes.c_int32 if fixed and isinstance(units, LeakyLayer) else number
            fields.append((f"units_{k}", of_units * (len(units.state) * units.size)))
        if not (agent.spiking or agent.stateful):
            fields.append(("unused", ctypes.c_char))
        if agent.spiking and agent.stateful and agent.readout.variables:
            rows = agent.readout.variables
            fields.append(("readout", number * (rows * agent.layers[-1].size)))
        if agent.execution == "events":
            for k, size in enumerate(agent.sizes, start=1):
                fields.append((f"updated_{k}", ctypes.c_uint32 * size))
                fields.append((f"awake_{k}", ctypes.c_ubyte * size))
            fields.append(("now", ctypes.c_uint32))
        self.state = type("State", (ctypes.Structure,), {"_fields_": fields})()
        self.reset()

    def reset(self):
        self._library.agent_reset(ctypes.byref(self.state))

    def step(self, observation):
        given = np.ascontiguousarray(observation, np.float32).reshape(-1)
        pointer = given.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        discrete = self._agent.choice.discrete
        action = ctypes.c_int() if discrete else (ctypes.c_float * self._agent.outputs)()
        self._library.agent_step(ctypes.byref(self.state), pointer, ctypes.byref(action))
        return action.value if isinstance(action, ctypes.c_int) else np.array(action[:])

    def neurons(self):
        """Return the state of all neurons in our order: each layer's variables, then its spikes."""
        parts = []
        for k, layer in enumerate(self._agent.neurons, start=1):
            parts.append(np.array(getattr(self.state, f"neurons_{k}")[:], np.float32))
            if layer.recurrent is not None:
                parts.append(np.array(getattr(self.state, f"spikes_{k}")[:], np.float32))
        return np.concatenate(parts)
