"""Conversion of PyTorch modules to networks of ours with equal spikes.

A module is read as a chain of linear maps and neurons. Then both networks run on the same inputs,
and a conversion whose spikes differ is refused. Weights are rounded to 32-bit floats after they are
scaled to our units, and SpikingJelly fires at the threshold, where we fire above it: a spike may
differ where a potential is at its threshold.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.modules import Converted, ModuleConfig, ModuleNetwork
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.zoo.algorithms import algorithm_name
from snn_gym.zoo.build import build_model
from snn_gym.zoo.files import extract_settings

_KNOWN = (
    "snntorch.Leaky", "snntorch.RLeaky", "spikingjelly.LIFNode", "spikingjelly.ParametricLIFNode",
    "spikingjelly.IFNode", "norse.LIFBoxCell", "norse.LIFCell", "norse.LIF", "norse.IAFCell",
)  # fmt: skip
_HEADS = {
    "mlp_extractor.actor": ("action_net",),
    "mlp_extractor.critic": ("value_net",),
    "actor.latent_pi.network": ("actor.mu", "actor.log_std"),
}  # heads that read a policy's network, by its place
_PROBES, _MOST_DIFFER = 64, 0.002  # share of spikes on the probes


def _numbers(part: Any) -> dict[str, Any]:
    """Return the numbers of a neuron ``v = v - decay (v - v_leak) + gain x``.

    A spike resets ``v`` to ``v_reset`` or, with ``v_fall``, lowers it by that.
    """
    if hasattr(part, "beta"):  # of snnTorch, whose reset comes after the next decay
        beta, threshold = part.beta.detach().double().clamp(0, 1), part.threshold.detach()
        given = {"decay": 1 - beta, "gain": 1.0, "v_threshold": threshold, "v_reset": 0.0}
        return given | ({"v_fall": threshold / beta} if part.reset_mechanism == "subtract" else {})
    if hasattr(part, "surrogate_function"):  # of SpikingJelly
        tau = (
            1 / part.w.detach().sigmoid() if hasattr(part, "w") else getattr(part, "tau", torch.inf)
        )
        gain = 1 / tau if getattr(part, "decay_input", False) else 1.0
        given = {
            "decay": 1 / tau,
            "gain": gain,
            "v_threshold": part.v_threshold,
            **dict.fromkeys(("v_reset", "v_leak"), part.v_reset or 0.0),
        }
        return given | ({"v_fall": part.v_threshold} if part.v_reset is None else {})
    p, decay = part.p, part.dt * getattr(part.p, "tau_mem_inv", 0.0)
    given = {
        "decay": decay,
        "gain": decay or 1.0,
        "v_threshold": p.v_th,
        "v_reset": p.v_reset,
        "v_leak": getattr(p, "v_leak", 0.0),
    }
    return given | ({"synapse": part.dt * p.tau_syn_inv} if hasattr(p, "tau_syn_inv") else {})


def _neuron_of(part: Any) -> tuple[str, dict[str, float], Tensor]:
    """Return our neuron, its parameters at time steps of 1 ms, and factors of its inputs."""
    kind = f"{type(part).__module__.split('.')[0]}.{type(part).__name__}"
    # Its reset at once is made twice where twice the threshold was passed.
    odd = getattr(part, "reset_mechanism", "") == "subtract" and not part.reset_delay
    if odd or kind not in _KNOWN:
        raise ValueError(
            f"{kind}{' with reset_delay=False' * odd} has no form here, as {', '.join(_KNOWN)} "
            "have; build the network of NetworkConfig with a neuron of yours (register_neuron), or "
            "keep the module, which trains and plays, by model.save"
        )
    given = {name: torch.as_tensor(x).double() for name, x in _numbers(part).items()}
    soft, gain = "v_fall" in given, given.pop("gain")
    if soft or given["v_threshold"].numel() > 1:  # in units of the threshold
        gain, unit = gain / given["v_threshold"], given["v_threshold"]
        given |= {name: given[name] / unit for name in ("v_threshold", "v_fall") if name in given}
    simple = {name: {float(f"{y:.7g}") for y in x.flatten().tolist()} for name, x in given.items()}
    unlike = [name for name, x in simple.items() if len(x) > 1]
    if unlike:
        raise ValueError(f"{unlike[0]} differs between neurons of {kind}; give them the same")
    one = {"v_start": 0.0, "v_leak": 0.0, **{name: x.pop() for name, x in simple.items()}}
    taus = (("decay", "tau_mem_ms"), ("synapse", "tau_syn_ms"))
    one |= {tau: float(f"{1 / one[x]:.7g}") for x, tau in taus if one.get(x)}
    name = ("iaf", "lif_box", "iaf_soft", "lif_soft")[bool(one["decay"]) + 2 * soft]
    name = "lif" if "synapse" in one else name
    parameters = {x.name: one[x.name] for x in fields(NEURONS[name].Parameters)}
    return name, parameters, gain / (one["decay"] or 1.0)


@torch.no_grad()
def _converted(network: ModuleNetwork) -> Converted:
    """Convert a module; ValueError if spikes on random inputs differ from the conversion's."""
    ours = network.converted(_neuron_of)
    shape = (network.spike_steps,) if network.spike_steps else ()
    generator = torch.Generator().manual_seed(0)
    inputs = 2.0 * torch.randn(_PROBES, *shape, network.input_size, generator=generator)
    runs: list[NetworkRun] = []
    for each in (network, ours.network):
        each((inputs > 0).float() if shape else inputs, optimised=False, observer=runs.append)
    spikes = spikes_of(runs)
    pairs = zip(spikes, spikes[len(spikes) // 2 :], strict=False)
    differ = max(float((one != other).double().mean()) for one, other in pairs)
    if differ > _MOST_DIFFER:
        network.refuse(
            f"does more than its linear maps and neurons in turn: {differ:.1%} of a layer's spikes "
            "are others; convert an nn.Sequential of Linear and plain neurons, or keep the module, "
            "by model.save"
        )
    return ours


def network_from_module(
    module: nn.Module | ModuleConfig, inputs: int, *, spike_steps: int | None = None
) -> SpikingNetwork:
    """Convert a module to a network of ours with equal spikes.

    Args:
        module: Chain of ``Linear`` and neurons of snnTorch (``Leaky``, ``RLeaky``), SpikingJelly
            (``LIFNode``, ``ParametricLIFNode``, ``IFNode``) or Norse (``LIFBoxCell``, ``LIFCell``,
            ``IAFCell``); or its ``ModuleConfig``.
        inputs: Values of an observation, or channels of a spike train.
        spike_steps: Time steps of a spike train; None for analogue input.

    Returns:
        The network, with its ``config``. Its outputs are the module's, means over the time steps.

    Raises:
        ValueError: A part has no form here, or spikes differ.
    """
    given = module if isinstance(module, ModuleConfig) else ModuleConfig(module)
    ours = _converted(ModuleNetwork(given, inputs, spike_steps=spike_steps))
    network, network.head = ours.network, ours.head(None)
    network.output_size = network.head.out_features
    return network


def from_module(model: BaseAlgorithm) -> BaseAlgorithm:
    """Convert a model whose network is a module to a model of our networks with equal spikes.

    It decides fast, is saved by ``save_agent``, and exported as C, ONNX or NIR. It can go on
    learning, with a new optimiser, an empty replay buffer and our surrogate gradient.

    Args:
        model: PPO, A2C, DQN, SAC, TD3 or another algorithm with a spiking policy of a module, as
            for ``network_from_module``, and the default readout.

    Returns:
        A model with the same weights on the same environments, which counts as made by hand.

    Raises:
        ValueError: The network is no module, a part of it has no form here, spikes differ, or the
            model has no environments or uses gSDE.
    """
    policy: Any = model.policy  # Stable-Baselines3's class names no attribute of ours
    config, env = getattr(policy, "module_config", None), model.get_env()
    if (
        config is None
        or config.readout is not None
        or env is None
        or getattr(model, "use_sde", False)
    ):
        raise ValueError(
            f"{type(model).__name__} is not converted; expected a model on environments (set_env) "
            "whose policy_kwargs name a module as network, read by the mean, without use_sde"
        )
    networks = {x: part for x, part in policy.named_modules() if isinstance(part, ModuleNetwork)}
    ours = {place: _converted(part) for place, part in networks.items()}
    acting = next(x for x, part in networks.items() if part is policy.acting_network())
    arguments = {**model.policy_kwargs, "network": ours[acting].network.config}
    if not getattr(policy, "spiking_critic", True):
        arguments["critic_hidden_sizes"] = policy.critic_hidden_sizes or policy.network.hidden_sizes
    name, settings = algorithm_name(model), extract_settings(model)
    made: Any = build_model(name, arguments, settings, env, seed=model.seed, device="cpu")
    state, old = full_state(made.policy), full_state(policy)
    for place, converted in ours.items():
        old |= {f"{place}.{x}": tensor for x, tensor in full_state(converted.network).items()}
        for head in _HEADS.get(place, (f"{place}.head",)):
            merged = converted.head(policy.get_submodule(head)).state_dict()
            old |= {f"{head}.{x}": tensor for x, tensor in merged.items()}
    made.policy.load_state_dict({name: old[name] for name in state})
    made.policy.train(False)
    made.num_timesteps = model.num_timesteps
    return made  # type: ignore[no-any-return]
