"""What hardware may do to a trained agent: noise, few bits, dead neurons, lost spikes, jitter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from snn_gym.config import Config, Natural, NonNegative, Range, Share
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.protocols import Acting
from snn_gym.policies.raw_observations import RawPolicy, raw_policy, replaced
from snn_gym.spiking.coding.decoders import PopulationHead
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.base import Run

_TAU = "tau_mem_ms"


class AbsentPartError(ValueError):
    """An agent lacks the part that a fault is of."""


@dataclass(frozen=True, kw_only=True)
class Faults(Config):
    """What is done to an agent."""

    observation_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise that is added to each value of an observation, anew in
    every decision, in units of what the policy's normaliser divides the value by: its standard
    deviation in training, or half of its range where a learner without gradients scales it by
    limits. It is added before the normaliser clips. One-hots and flags stay."""
    weights_bits: Annotated[int, Range(at_least=2, at_most=16)] | None = None
    """Bits of a weight, its sign among them; None for float. Each matrix has a scale of its own, by
    its largest weight; biases stay."""
    weight_noise: NonNegative = 0.0
    """Standard deviation of what each weight is off by, in units of itself."""
    dead_neurons: Share = 0.0
    """Share of the hidden neurons or units that nobody hears."""
    spike_loss: Share = 0.0
    """Probability that a hidden spike is lost on its way to the next layer or the readout, each for
    itself; those to the own layer, of a recurrent one, arrive."""
    tau_jitter: NonNegative = 0.0
    """Standard deviation of the logarithm of each neuron's membrane time constant; none falls below
    a time step."""
    seed: Natural = 0
    """Seed of what is drawn."""


def with_faults(model: BaseAlgorithm | Acting, faults: Faults) -> BasePolicy | RawPolicy:
    """Return a copy of an agent's policy with faults; the agent stays as it is.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        faults: What is done to it. Time constants change first, then neurons die, weights are off,
            and are rounded last.

    Raises:
        AbsentPartError: It has no such parts: no values that a normaliser standardises, as where
            observations are spikes, no spiking layers, or no membrane time constants.
        ValueError: It is no policy of snn_gym.
    """
    policy: Acting = raw_policy(model)
    if isinstance(policy, RawPolicy):
        return replaced(policy, with_faults(policy.inner, faults))
    if not isinstance(policy, SpikingPolicy):
        raise ValueError(f"faults are for policies of snn_gym, got {type(policy).__name__}")
    generator = np.random.default_rng(faults.seed)
    if faults.tau_jitter:
        made = _jittered(policy, faults.tau_jitter, generator)
    else:
        made = _copied(policy, policy.network)
    with torch.no_grad():
        _kill_neurons(made, faults.dead_neurons, generator)
        for weights in weights_of(made):
            off = torch.from_numpy(generator.normal(0.0, 1.0, tuple(weights.shape)))
            weights.mul_(1.0 + faults.weight_noise * off.to(weights))
            if faults.weights_bits is not None:
                weights.copy_(rounded(weights, faults.weights_bits))
    if faults.observation_noise:
        _add_noise(made, faults.observation_noise, generator)
    if faults.spike_loss:
        _lose_spikes(made, faults.spike_loss, generator)
    made.train(False)
    return made


def rounded(weights: Tensor, bits: int) -> Tensor:
    """Return weights on a symmetric grid, ``scale`` times whole numbers below ``2**(bits - 1)``.

    Args:
        weights: Any shape.
        bits: Bits of a weight, the sign among them.
    """
    most = 2 ** (bits - 1) - 1
    scale = weights.abs().max() / most
    return weights if scale == 0 else torch.round(weights / scale) * scale


def weights_of(policy: SpikingPolicy) -> Iterator[Tensor]:
    """Yield the weights (..., inputs) from observations to actions, in their order.

    Args:
        policy: A policy of snn_gym.
    """
    for _, weights in _matrices(policy):
        yield weights


def _matrices(policy: SpikingPolicy) -> Iterator[tuple[int, Tensor]]:
    """Yield which layer weights (..., inputs) read, 0 for observations, and the weights."""
    found: list[nn.Module | None] = [policy.acting_network(), policy.readout()]
    parts = [x for x in found if x is not None]
    layer = 0
    for name, module in (named for part in parts for named in part.named_modules()):
        if isinstance(module, nn.GRU | nn.LSTM):
            from_below, from_itself, *_ = module.all_weights[0]
            yield layer, from_below
            layer += 1
            yield layer, from_itself
        elif isinstance(module, nn.Linear | PopulationHead):
            assert isinstance(module.weight, Tensor)  # as both kinds have
            yield layer, module.weight
            layer += not name.endswith("recurrent")


def _kill_neurons(policy: SpikingPolicy, share: float, generator: np.random.Generator) -> None:
    """Let none of the weights that read a layer hear some of its neurons."""
    heard: dict[int, Tensor] = {}
    for layer, weights in _matrices(policy):
        if layer and layer not in heard:
            drawn = generator.random(weights.shape[-1]) >= share
            heard[layer] = torch.from_numpy(drawn).to(weights)
        if layer:
            weights.mul_(heard[layer])


def _add_noise(policy: SpikingPolicy, deviation: float, generator: np.random.Generator) -> None:
    """Add noise to what a policy's normaliser standardises, drawn anew in every decision."""
    normaliser, network = policy.normaliser, policy.acting_network()
    if normaliser is None:
        raise AbsentPartError(
            "observation_noise is for values that a normaliser standardises, and there are none"
        )
    columns = getattr(normaliser, "columns", slice(None))

    def noisy(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        seen = given[0].clone()
        drawn = generator.standard_normal((len(seen), len(normaliser.std)), np.float32)
        seen[:, columns] += deviation * normaliser.std * torch.from_numpy(drawn).to(seen)
        return (seen,)

    if isinstance(network, SpikingNetwork):
        network.compiled = None  # before which the normaliser would be passed by
    normaliser.register_forward_pre_hook(noisy)


def _lose_spikes(policy: SpikingPolicy, share: float, generator: np.random.Generator) -> None:
    """Let the layers of a policy's acting network lose spikes, drawn anew in every decision."""
    network = policy.acting_network()
    if not isinstance(network, SpikingNetwork):
        raise AbsentPartError("spike_loss is for networks of spiking layers, and there are none")

    def lost(*hooked: Any) -> Run:
        run: Run = hooked[-1]
        arrive = generator.random(tuple(run.spikes.shape), np.float32) >= share
        return run._replace(spikes=run.spikes * torch.from_numpy(arrive).to(run.spikes))

    network.compiled = None  # which would go from layer to layer by itself
    for layer in network.layers:
        layer.register_forward_hook(lost)


def _copied(policy: SpikingPolicy, network: NetworkConfig) -> SpikingPolicy:
    """Return a copy of a policy, with other settings of its network that leave the weights."""
    with torch.random.fork_rng(devices=[]):  # making it draws weights
        made = type(policy)(**{**policy._get_constructor_parameters(), "network": network})
    made.load_state_dict(policy.state_dict(), strict=False)
    return made


def _jittered(
    policy: SpikingPolicy, jitter: float, generator: np.random.Generator
) -> SpikingPolicy:
    """Return a copy of a policy whose neurons have time constants of their own."""
    network = policy.acting_network()
    fields = getattr(policy.network.layer_neurons[0][1], "learnable_fields", ())
    if not isinstance(network, SpikingNetwork) or _TAU not in fields:
        raise AbsentPartError(
            "tau_jitter is for neurons with a membrane time constant, and there are none"
        )
    made = _copied(policy, replace(policy.network, learnable=(_TAU,)))
    dt_ms = policy.network.dt_ms
    for layer in made.acting_network().layers:
        raw = layer.learned[_TAU].raw
        tau = getattr(layer.neuron.parameters, _TAU) * np.exp(
            jitter * generator.normal(size=len(raw))
        )
        gain = np.clip(dt_ms / tau, None, 1.0 - 1e-6)
        raw.data.copy_(torch.from_numpy(np.log(gain / (1.0 - gain))))
    return made
