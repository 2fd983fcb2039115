"""The program of a policy: what it acts by, read off its modules.

Whatever has a program can be exported, frozen and compacted, so that this is decided in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from scipy.linalg import block_diag
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from snn_gym.policies._gated import GatedNetwork
from snn_gym.policies.networks import ACTIVATIONS, DenseNetwork
from snn_gym.policies.protocols import ProgramPolicy
from snn_gym.program.encoders import ReceptiveFields, SpikeEncoder
from snn_gym.program.network import (
    Activation,
    Array,
    Choice,
    Decoder,
    DenseLayer,
    Encoder,
    GatedLayer,
    Head,
    Maximum,
    NeuronLayer,
    Normaliser,
    Program,
)
from snn_gym.spiking.coding.decoders import PopulationHead
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.base import LayerNeurons
from snn_gym.spiking.normaliser import ObservationNormaliser

_ACTIVATIONS: dict[type[nn.Module], Activation] = {x: name for name, x in ACTIVATIONS.items()}


def read_program(policy: ProgramPolicy) -> Program:
    """Return the program that a policy acts by, with copies of its numbers.

    Args:
        policy: A policy of snn_gym.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names the nearest one.
    """
    _check_spaces(policy)
    network = policy.acting_network()
    if isinstance(network, DenseNetwork):
        return _of_ann(policy, network)
    if isinstance(network, GatedNetwork):
        return _of_gates(policy, network)
    if not isinstance(network, SpikingNetwork):
        raise ValueError(
            f"{type(network).__name__} is not exported; train a spiking network, an MLP or gated "
            "units"
        )
    return Program(
        inputs=network.input_size,
        encoder=_encoder(network),
        normalisers=_normalisers(policy),
        layers=tuple(_neuron_layers(network)),
        time_steps=network.config.time_steps,
        decoder=_decoder(policy, network),
        head=_head(policy, network.head),
        choice=_choice(policy),
        stateful=policy.carries_state,
    )


def _of_ann(policy: ProgramPolicy, network: DenseNetwork) -> Program:
    modules = list(network)
    linears = [x for x in modules if isinstance(x, nn.Linear)]
    others = {type(x) for x in modules if not isinstance(x, nn.Linear)}
    if len(others) != 1 or not others <= set(_ACTIVATIONS):
        raise ValueError(
            f"activations {', '.join(x.__name__ for x in others) or 'none'} are not exported; "
            "train with Tanh or ReLU"
        )
    own_head = len(linears) > len(network.hidden_sizes)
    hidden, activation = linears[: len(network.hidden_sizes)], _ACTIVATIONS[others.pop()]
    return Program(
        inputs=hidden[0].in_features,
        encoder="constant",
        normalisers=_normalisers(policy),
        layers=tuple(
            DenseLayer(activation, np.ascontiguousarray(_numbers(x.weight).T), _numbers(x.bias))
            for x in hidden
        ),
        time_steps=1,
        decoder=None,
        head=_head(policy, linears[-1] if own_head else None),
        choice=_choice(policy),
    )


def _of_gates(policy: ProgramPolicy, network: GatedNetwork) -> Program:
    layers = []
    for unit in network.units:
        (below, loop, *biases), *_ = unit.all_weights
        weights, recurrent = (np.ascontiguousarray(_numbers(x).T) for x in (below, loop))
        first, second = (_numbers(x) for x in biases)
        layers.append(GatedLayer(network.kind, weights, first, recurrent, second))
    return Program(
        inputs=len(layers[0].weights),
        encoder="constant",
        normalisers=_normalisers(policy),
        layers=tuple(layers),
        time_steps=1,
        decoder=None,
        head=_head(policy, network.head),
        choice=_choice(policy),
        stateful=True,
    )


def _encoder(network: SpikingNetwork) -> Encoder:
    found, fields = network.config.encoder_parameters, network.receptive_fields
    if network.spike_input:
        return "spikes"
    if fields is not None:
        return ReceptiveFields(_numbers(fields.centres), _numbers(fields.widths))
    return found if isinstance(found, SpikeEncoder) else "constant"


def _decoder(policy: ProgramPolicy, network: SpikingNetwork) -> Decoder:
    coefficients = _numbers(network.decoder.coefficients)
    transition = _numbers(network.decoder.transition).reshape(len(coefficients), -1)
    maximum: Maximum = "neurons"
    if network.decoder.takes_maximum and network.head is not None:
        maximum = "outputs"
    if network.decoder.takes_maximum and getattr(policy, "n_quantiles", 1) > 1:
        raise ValueError(
            f"decoder {network.config.decoder!r} of quantiles is not exported; train with "
            "'mean_rate' or 'last_voltage'"
        )
    return Decoder(coefficients, transition, maximum)


def _check_spaces(policy: ProgramPolicy) -> None:
    seen, chosen = policy.observation_space, policy.action_space
    if not isinstance(seen, spaces.Box | spaces.MultiBinary) or (
        policy.features_extractor_class is not FlattenExtractor
    ):
        raise ValueError(
            f"observations {seen} are not exported; train on a Box or MultiBinary space that is "
            "flattened"
        )
    if not isinstance(chosen, spaces.Box | spaces.Discrete):
        raise ValueError(f"actions {chosen} are not exported; train with Box or Discrete actions")


def _neuron_layers(network: SpikingNetwork) -> Iterator[NeuronLayer]:
    for layer in network.layers:
        assert isinstance(layer, SpikingLayer)  # as the network makes them
        neuron, looped = layer.neuron, layer.recurrent_weight
        if not isinstance(neuron, LayerNeurons):
            raise ValueError(
                f"cells of {type(neuron.cell).__name__} are not exported; train with a neuron that "
                "register_neuron knows"
            )
        state, own = neuron.initial_state(1, layer.size, layer.linear.weight), neuron.constants
        yield NeuronLayer(
            neuron=neuron.text,
            constants=_numbers(neuron.own_constants(layer.size)) if neuron.learned else own[:, 0],
            weights=np.ascontiguousarray(_numbers(layer.linear.weight).T),
            biases=_numbers(layer.linear.bias),
            recurrent=None if looped is None else np.ascontiguousarray(_numbers(looped).T),
            rest=np.concatenate([_numbers(x) for x in state]),
        )


def _head(policy: ProgramPolicy, own: nn.Module | None) -> Head:
    """Return the linear map by which the last layer is read."""
    head: nn.Module = own if own is not None else outer_head(policy)
    if isinstance(head, nn.Sequential):  # as use_sde has it, whose limit is that of the choice
        head = head[0]
    assert isinstance(head, nn.Linear | PopulationHead)  # as policies make them
    weights, biases = _numbers(head.weight), _numbers(head.bias)
    if isinstance(head, PopulationHead):  # each output reads neurons of its own
        weights = block_diag(*weights)
    quantiles = getattr(policy, "n_quantiles", 1)
    if quantiles > 1 and own is not None:  # of QR-DQN, whose value is their mean
        weights = weights.reshape(quantiles, -1, weights.shape[1]).mean(0)
        biases = biases.reshape(quantiles, -1).mean(0)
    return Head(weights, biases)


def outer_head(policy: ProgramPolicy) -> nn.Module:
    """Return the head of a policy whose network has none of its own.

    Args:
        policy: Actor-critic policy.
    """
    parts: Any = policy
    head: nn.Module = parts.actor.mu if hasattr(policy, "actor") else parts.action_net
    return head


def _choice(policy: ProgramPolicy) -> Choice:
    space = policy.action_space
    if isinstance(space, spaces.Box):
        low, high = (x.reshape(-1).astype(np.float32) for x in (space.low, space.high))
        if not policy.squash_output:
            return Choice("clip", low, high)
        return Choice("squash", low, high, _limit_of_mean(policy))
    return Choice("argmax", np.zeros(0, np.float32), np.zeros(0, np.float32))


def _limit_of_mean(policy: ProgramPolicy) -> float | None:
    """Return within what a mean is clipped before it is squashed, as use_sde has it, or None."""
    mean = getattr(getattr(policy, "actor", None), "mu", None)
    last = mean[-1] if isinstance(mean, nn.Sequential) else None
    return float(last.max_val) if isinstance(last, nn.Hardtanh) else None


def _normalisers(policy: ProgramPolicy) -> tuple[Normaliser, ...]:
    found: ObservationNormaliser | None = policy.normaliser
    if found is None:
        return ()
    return (Normaliser(_numbers(found.mean), _numbers(found.std), float(found.clip)),)


def _numbers(tensor: Tensor) -> Array:
    """Return a copy as float32."""
    return tensor.detach().cpu().float().numpy().copy()
