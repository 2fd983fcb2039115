"""Conversion of PyTorch modules to networks of ours, which give the same spikes.

Linear maps and neurons are read in the order in which the module calls them. A linear map at the
end goes into the head. Then both networks run on the same inputs, and a conversion whose spikes
differ is refused.

Weights are rounded to 32-bit floats after they are scaled to our units, and SpikingJelly fires at
the threshold, where we fire above it: a spike may differ where a potential is at its threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from snn_gym.export.nir_file import Node
from snn_gym.export.nir_graph import DT_S, Action, Chain, ChainLayer, Host, Observation
from snn_gym.export.nir_import import DT_MS, Neurons, NIRNetwork, load_weights, neurons_of
from snn_gym.policies.base import SpikingPolicy
from snn_gym.program.neurons import SoftIAFParameters, SoftLIFParameters
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.modules import ModuleConfig, ModuleNetwork, hooked, is_inside, is_neuron
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.zoo.algorithms import algorithm_name
from snn_gym.zoo.build import build_model
from snn_gym.zoo.identity import extract_settings

# ---- neurons -------------------------------------------------------------------------------------
Array = NDArray[np.float64]
_PROBES = 64
_MOST_DIFFER = 0.002
"""Share of spikes that may differ on the probes."""


def _simple(number: float) -> float:
    """Return the decimal of 7 digits that is nearest, as exact as a 32-bit float."""
    return float(f"{number:.7g}")


def _numbers(value: Any) -> Array:
    """Return a module's numbers as simple decimals, one or one for each neuron."""
    flat = torch.as_tensor(value).detach().double().reshape(-1).tolist()
    return np.array([_simple(x) for x in flat])


def _one(values: Array) -> float:
    if not np.allclose(values, values[0], rtol=1e-6, atol=0.0):
        raise ValueError(
            f"its neurons have {values.min():g} to {values.max():g}; expected one number for all"
        )
    return float(values[0])


def _hard(decay: Array, scale: Array, threshold: Array, reset: float = 0.0) -> Node:
    """Return a neuron ``v = v - decay (v - reset) + scale x`` that is reset by a spike."""
    rest = {"v_threshold": threshold, "v_reset": np.array([reset])}
    if not decay.any():
        return Node("IF", {"r": scale / DT_S, **rest})
    tau = DT_S / decay
    return Node("LIF", {"tau": tau, "r": scale / decay, "v_leak": rest["v_reset"], **rest})


def _soft(decay: Array, scale: Array, threshold: Array, fall: Array, size: int) -> Neurons:
    """Return a neuron ``v = (1 - decay) v + scale x`` from which a spike takes ``fall``."""
    # In units of its threshold.
    scale = np.broadcast_to(scale / threshold, (size,))
    leak, fall_by = _one(decay), _one(fall / threshold)
    if leak == 0:
        return Neurons("iaf_soft", SoftIAFParameters(v_threshold=1.0, v_start=0.0), scale)
    parameters = SoftLIFParameters(tau_mem_ms=DT_MS / leak, v_threshold=1.0, v_fall=fall_by)
    return Neurons("lif_soft", parameters, scale / leak)


def _leaky(module: Any, size: int) -> Node | Neurons:
    beta, threshold = _numbers(module.beta).clip(0.0, 1.0), _numbers(module.threshold)
    if module.reset_mechanism == "zero":
        return _hard(1.0 - beta, np.ones(1), threshold)
    if not (module.reset_delay and beta.all()):
        raise ValueError(
            "reset_delay=False with reset_mechanism='subtract', which takes the threshold off "
            "again where twice of it was passed, and beta=0 have no form here; use 'zero'"
        )
    # Its reset comes after the decay, ours before it.
    return _soft(1.0 - beta, np.ones(1), threshold, threshold / beta, size)


def _node(module: Any, size: int) -> Node | Neurons:
    threshold, decay = _numbers(module.v_threshold), np.zeros(1)
    if hasattr(module, "decay_input"):
        has_tau = hasattr(module, "tau")
        decay = 1.0 / _numbers(module.tau) if has_tau else _numbers(module.w.sigmoid())
    scale = decay if getattr(module, "decay_input", False) else np.ones(1)
    if module.v_reset is None:
        return _soft(decay, scale, threshold, threshold, size)
    return _hard(decay, scale, threshold, module.v_reset)


def _norse(module: Any, _size: int) -> Node:
    p, dt = module.p, float(module.dt)
    rest = {"v_threshold": _numbers(p.v_th), "v_reset": _numbers(p.v_reset)}
    if not hasattr(p, "tau_mem_inv"):
        return Node("IF", {"r": np.ones(1) / DT_S, **rest})
    rest |= {"v_leak": _numbers(p.v_leak), "r": np.ones(1)}
    tau_mem = DT_S / _numbers(p.tau_mem_inv * dt)
    if not hasattr(p, "tau_syn_inv"):
        return Node("LIF", {"tau": tau_mem, **rest})
    tau_syn = DT_S / _numbers(p.tau_syn_inv * dt)
    return Node("CubaLIF", {"tau_mem": tau_mem, "tau_syn": tau_syn, "w_in": tau_syn / DT_S, **rest})


_READERS: Mapping[str, Callable[[Any, int], Node | Neurons]] = {
    **dict.fromkeys(("snntorch.Leaky", "snntorch.RLeaky"), _leaky),
    **dict.fromkeys(
        ("spikingjelly.LIFNode", "spikingjelly.ParametricLIFNode", "spikingjelly.IFNode"), _node
    ),
    **dict.fromkeys(
        ("norse.LIFBoxCell", "norse.LIFCell", "norse.LIF", "norse.IAFCell", "norse.IAF"), _norse
    ),
}
_KNOWN = (
    "snnTorch's Leaky and RLeaky, SpikingJelly's LIFNode, ParametricLIFNode and IFNode, and "
    "Norse's LIFBoxCell, LIFCell and IAFCell"
)


# ---- module --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Read:
    """Layers of a module, and the linear map behind them."""

    layers: tuple[ChainLayer, ...]
    neurons: tuple[Neurons, ...]
    weights: Array
    """(F, N)"""
    biases: Array
    """(F,)"""
    network: ModuleNetwork

    def graph(self, head: nn.Linear | None = None) -> NIRNetwork:
        """Return the module with a head as a graph that runs as it does."""
        weights, biases, network = self.weights, self.biases, self.network
        if head is not None:
            own, bias = _affine(head)
            weights, biases = own @ weights, own @ biases + bias
        form = "spikes" if network.spike_input else "held"
        observation = Observation(values=network.channels, form=form, standardised=None)
        host = Host(
            format="snn_gym.host/1", dt_s=DT_S, time_steps=network.config.time_steps,
            observation=observation, state="reset", output="mean",
            action=Action(choice="argmax", low=(), high=()),
        )  # fmt: skip
        return NIRNetwork(Chain(self.layers, weights, biases), self.neurons, host)

    @property
    def config(self) -> NetworkConfig:
        """The network's configuration."""
        config = self.network.config
        encoder = {"encoder": config.encoder, "encoder_parameters": config.encoder_parameters}
        return NetworkConfig(**{**self.graph().settings, **encoder})


def _affine(module: Any) -> tuple[Array, Array]:
    weight: Tensor = module.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if module.bias is None else module.bias.detach().double()
    return weight.numpy(), bias.numpy()


def _read(network: ModuleNetwork, config: ModuleConfig) -> _Read:
    """Read a module's layers in the order of their first calls."""
    if config.readout != "mean" or config.membrane:
        raise ValueError(
            f"readout {'membrane' if config.membrane else config.readout!r} of a module is not "
            "converted; train with readout='mean' of its first output"
        )
    calls: dict[str, nn.Module] = {}
    signal = torch.zeros(network.config.time_steps, 2, network.channels)
    with (
        torch.no_grad(),
        hooked(network.module, lambda name, part, *_: calls.setdefault(name, part)),
    ):
        network.outputs(signal)
    layers, neurons = list[ChainLayer](), list[Neurons]()
    width = network.channels
    weights, biases = np.eye(width), np.zeros(width)
    for name, part in calls.items():
        if any(is_inside(name, other) for other in network.spiking):
            continue
        if isinstance(part, nn.Linear):
            own, bias = _affine(part)
            weights, biases, width = own @ weights, own @ biases + bias, len(bias)
        elif is_neuron(part) or any(True for _ in part.parameters(recurse=False)):
            found, loop = _neurons(name, part, width)
            recurrent, shift = (None, 0.0) if loop is None else _affine(loop)
            layers.append(ChainLayer(name, Node("LIF", {}), weights, biases + shift, recurrent))
            neurons.append(found)
            weights, biases = np.eye(width), np.zeros(width)
    if not layers:
        raise ValueError(
            f"{type(network.module).__name__} has no neurons that are known here; expected {_KNOWN}"
        )
    return _Read(tuple(layers), tuple(neurons), weights, biases, network)


def _neurons(name: str, part: Any, size: int) -> tuple[Neurons, nn.Linear | None]:
    """Return our neurons for a part of a module, and its recurrent map; refuse others."""
    kind = f"{type(part).__module__.split('.')[0]}.{type(part).__name__}"
    loop = getattr(part, "recurrent", None)
    if kind not in _READERS or not isinstance(loop, nn.Linear | None):
        raise ValueError(
            f"{kind} {name!r} has no form here; converted are torch.nn.Linear and {_KNOWN}: build "
            "the network of NetworkConfig with a neuron of yours (register_neuron), or keep the "
            "module, which trains and plays, by model.save"
        )
    try:
        read = _READERS[kind](part, size)
        found = neurons_of(read, name, size, DT_S) if isinstance(read, Node) else read
        simple = {field: _simple(value) for field, value in vars(found.parameters).items()}
        return replace(found, parameters=replace(found.parameters, **simple)), loop
    except ValueError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error


@torch.no_grad()
def _check_spikes(network: ModuleNetwork, converted: SpikingNetwork) -> None:
    """Refuse a conversion whose spikes differ from the module's."""
    generator = torch.Generator().manual_seed(0)
    steps = (network.config.time_steps,) if network.spike_input else ()
    inputs = 2.0 * torch.randn(_PROBES, *steps, network.input_size, generator=generator)
    if network.spike_input:
        inputs = (inputs > 0).float()
    fired = []
    for each in (deepcopy(network), converted):
        runs: list[NetworkRun] = []
        each.reseed_noise(0)
        each(inputs, optimised=False, observer=runs.append)
        fired.append(torch.cat([x.flatten() for x in spikes_of(runs)]))
    one, other = fired
    differ = 1.0 if one.shape != other.shape else float((one != other).double().mean())
    if differ > _MOST_DIFFER:
        raise ValueError(
            f"{type(network.module).__name__} does more than its linear maps and neurons in turn: "
            f"{differ:.0%} of their spikes differ from the module's; convert a plain chain of them"
        )


def network_from_module(
    module: nn.Module | ModuleConfig, inputs: int, *, spike_steps: int | None = None
) -> SpikingNetwork:
    """Convert a module to a network of ours with equal spikes.

    Args:
        module: Module of snnTorch, SpikingJelly or Norse, a chain of linear maps and neurons; or
            its ``ModuleConfig``, with time steps and encoder.
        inputs: Values of an observation, or channels of a spike train.
        spike_steps: Time steps of a spike train; None for analogue input.

    Returns:
        The network, with its ``config``. Its outputs are the module's, means over the time steps.

    Raises:
        ValueError: A part has no form here, or spikes differ.
    """
    config = module if isinstance(module, ModuleConfig) else ModuleConfig(module)
    network = ModuleNetwork(config, inputs, spike_steps=spike_steps)
    network.module.eval()
    read = _read(network, config)
    converted = SpikingNetwork(read.config, inputs, len(read.biases), spike_steps=spike_steps)
    assert converted.head is not None  # networks with outputs have one
    load_weights(read.graph(), converted, converted.head)
    _check_spikes(network, converted)
    return converted


# ---- model ---------------------------------------------------------------------------------------
_HEADS = {
    "mlp_extractor.actor": ("action_net",),
    "mlp_extractor.critic": ("value_net",),
    "actor.latent_pi.network": ("actor.mu", "actor.log_std"),
}
"""Heads of a policy that read a network, by the network's place."""


def from_module(model: BaseAlgorithm) -> BaseAlgorithm:
    """Convert a model whose network is a module to a model of our networks with equal spikes.

    It decides fast, is saved by ``save_agent``, and exported as C, ONNX or NIR. It can go on
    learning, with a new optimiser, an empty replay buffer and our surrogate gradient.

    Args:
        model: PPO, A2C, DQN, SAC, TD3 or another algorithm with a spiking policy of a module.

    Returns:
        A model with the same weights on the same environments, which counts as made by hand.

    Raises:
        ValueError: The network is no module, a part of it has no form here, spikes differ, or the
            model has no environments.
    """
    # Any: Stable-Baselines3's class of policies names no attribute of ours.
    policy: Any = model.policy
    env, config = model.get_env(), getattr(policy, "module_config", None)
    if not isinstance(policy, SpikingPolicy) or config is None or env is None:
        raise ValueError(
            "from_module converts a model on environments (set_env) whose policy_kwargs name a "
            f"module as network, got {type(policy).__name__} {'without' if env is None else 'with'}"
            " environments"
        )
    if getattr(model, "use_sde", False):
        raise ValueError("a model with use_sde is not converted; train without use_sde")
    places = {x: part for x, part in policy.named_modules() if isinstance(part, ModuleNetwork)}
    read = {place: _read(part, config) for place, part in places.items()}
    acting = next(x for x in read.values() if x.network is policy.acting_network())
    ours = {**model.policy_kwargs, "network": acting.config}
    if getattr(policy, "spiking_critic", True) is False:
        ours["critic_hidden_sizes"] = policy.critic_hidden_sizes or policy.network.hidden_sizes
    settings, name = extract_settings(model), algorithm_name(model)
    made = build_model(name, ours, settings, env, seed=model.seed, device="cpu")
    state, converted = full_state(made.policy), made.policy
    kept = {
        key: tensor
        for key, tensor in full_state(policy).items()
        if key in state and state[key].shape == tensor.shape
        and not any(is_inside(key, place) for place in places)
    }  # fmt: skip
    converted.load_state_dict({**state, **kept})
    for place, part in read.items():
        network: Any = converted.get_submodule(place)
        own = place + ".head"
        for head in (own,) if network.head is not None else _HEADS[place]:
            graph = part.graph(policy.get_submodule(head))  # type: ignore[arg-type]
            load_weights(graph, network, converted.get_submodule(head))
        _check_spikes(places[place], network)
    converted.train(False)
    made.num_timesteps = model.num_timesteps
    return made
