"""What of a trained agent leaves the project: constants, weights and how an action is chosen.

Every exporter reads this and nothing else, so that what can be exported is decided in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.linalg import block_diag
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from snn_gym.policies._common import SpikingPolicyMixin
from snn_gym.policies._networks import ACTIVATIONS, Activation, DenseNetwork
from snn_gym.policies._stateful import StatefulPolicyMixin
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.policies.raw_observations import RawPolicy, bare_policy
from snn_gym.program.neuron import Neuron, equations
from snn_gym.spiking.coding.decoders import PopulationHead
from snn_gym.spiking.coding.encoders import ConstantEncoder
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.base import LayerNeurons

Array = NDArray[np.float32]
Choice = Literal["argmax", "clip", "squash"]
_ACTIVATIONS: dict[type[nn.Module], Activation] = {x: name for name, x in ACTIVATIONS.items()}


@dataclass(frozen=True)
class PortableNormaliser:
    """Standardisation of observations: ``clip((x - mean) / std)``."""

    mean: Array
    """(D,)"""
    std: Array
    """(D,), above 0."""
    clip: float
    """Standardised values are within [-clip, clip]."""


@dataclass(frozen=True)
class PortableLayer:
    """A layer of neurons with its synapses."""

    neuron: type[Neuron]
    """Text of the neurons."""
    constants: Array
    """(P,), the constants of its equations, in their order."""
    weights: Array
    """(D, N): row d has the synapses from input d."""
    biases: Array
    """(N,)"""
    recurrent: Array | None
    """(N, N): row j has the synapses from neuron j, whose spikes arrive one time step later; None
    for a layer without recurrence."""
    rest: Array
    """(S, N), the neuron's state variables at rest."""

    @property
    def size(self) -> int:
        """Number of neurons N."""
        return len(self.biases)

    @property
    def numbers(self) -> dict[str, float]:
        """The constants by name."""
        names = equations(self.neuron).constants
        return dict(zip(names, self.constants.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Portable:
    """What spiking agents and ANNs share: what comes first, and how an action is chosen."""

    inputs: int
    """Values of an observation, or channels of a spike train."""
    normaliser: PortableNormaliser | None
    """None for none."""
    head_weights: Array
    """(O, N) of the linear head."""
    head_biases: Array
    """(O,)"""
    choice: Choice
    """``argmax``: the action is the place of the largest output; ``clip``: outputs within ``low``
    and ``high``; ``squash``: ``low + (tanh(output) + 1) / 2 * (high - low)``."""
    low: Array
    """(O,) of continuous actions, else (0,)."""
    high: Array
    """(O,) of continuous actions, else (0,)."""

    @property
    def outputs(self) -> int:
        """Outputs O of the head."""
        return len(self.head_biases)


@dataclass(frozen=True, kw_only=True)
class PortableANN(Portable):
    """An ANN as numbers."""

    weights: tuple[Array, ...]
    """(D, N) of each hidden layer, input side first."""
    biases: tuple[Array, ...]
    """(N,) of each hidden layer."""
    activation: Activation
    """Activation of the units."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(len(x) for x in self.biases)


@dataclass(frozen=True, kw_only=True)
class PortableAgent(Portable):
    """A spiking agent as numbers."""

    time_steps: int
    """Time steps of a decision."""
    spike_input: bool
    """Whether observations are spike trains (T, D), seen a time step at a time, not values that are
    held as currents."""
    layers: tuple[PortableLayer, ...]
    """Layers, input side first."""
    coefficients: Array
    """(1 + S, T): row 0 weighs the last layer's spikes for the readout, the others for the
    decoder's S state variables at the end."""
    transition: Array
    """(1 + S, S): what the decoder's state adds to the readout and to its next state."""
    stateful: bool
    """Whether neurons go on from the state that the last decision left, until an episode ends."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer."""
        return tuple(layer.size for layer in self.layers)


def portable(model: BaseAlgorithm | BasePolicy | RawPolicy) -> PortableAgent | PortableANN:
    """Return what of an agent can be exported.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.

    Raises:
        ValueError: A part has no form outside of the project; the message names the nearest one.
    """
    policy: Any = bare_policy(model, "exported")
    if not isinstance(policy, SpikingPolicyMixin):
        raise ValueError(f"only policies of snn_gym are exported, got {type(policy).__name__}")
    _check_spaces(policy)
    network = policy._acting_network()
    if isinstance(network, DenseNetwork):
        return _ann(policy, network)
    if not isinstance(network, SpikingNetwork):
        raise ValueError(
            f"{type(network).__name__} is not exported; train a spiking network or an ANN without "
            "a state"
        )
    _check_network(network)
    transition = _numbers(network.decoder.transition)
    return PortableAgent(
        inputs=network.input_size,
        time_steps=network.config.time_steps,
        spike_input=network.spike_input,
        layers=tuple(_layers(network)),
        coefficients=_numbers(network.decoder.coefficients),
        transition=transition.reshape(len(network.decoder.coefficients), -1),
        stateful=isinstance(policy, StatefulPolicyMixin),
        **_common(policy, network.head),
    )


def _ann(policy: SpikingPolicyMixin, network: DenseNetwork) -> PortableANN:
    modules = list(network)
    linears = [x for x in modules if isinstance(x, nn.Linear)]
    others = {type(x) for x in modules if not isinstance(x, nn.Linear)}
    if len(others) != 1 or not others <= set(_ACTIVATIONS):
        raise ValueError(
            f"activations {', '.join(x.__name__ for x in others) or 'none'} are not exported; "
            "train with Tanh or ReLU"
        )
    own_head = len(linears) > len(network.hidden_sizes)
    hidden = linears[: len(network.hidden_sizes)]
    return PortableANN(
        inputs=hidden[0].in_features,
        weights=tuple(np.ascontiguousarray(_numbers(x.weight).T) for x in hidden),
        biases=tuple(_numbers(x.bias) for x in hidden),
        activation=_ACTIVATIONS[others.pop()],
        **_common(policy, linears[-1] if own_head else None),
    )


def _common(policy: Any, own_head: nn.Module | None) -> dict[str, Any]:
    """Return the fields of ``Portable``, but for the inputs."""
    weights, biases = _head(policy, own_head)
    low, high = _limits(policy.action_space)
    return {
        "normaliser": _normaliser(policy),
        "head_weights": weights,
        "head_biases": biases,
        "choice": _choice(policy),
        "low": low,
        "high": high,
    }


def without_silent(agent: PortableAgent, fired: Sequence[NDArray[np.bool_]]) -> PortableAgent:
    """Return an agent without the neurons that do not fire.

    Args:
        agent: The agent.
        fired: Which neurons (N,) of each layer ever fired. Of a layer that was silent altogether
            the first neuron stays, for a layer has at least one.

    Raises:
        ValueError: There is not one mask for each layer, of its size.
    """
    sizes, given = [x.size for x in agent.layers], [x.size for x in fired]
    if sizes != given:
        raise ValueError(f"layers have {sizes} neurons, got masks of {given}")
    kept = [np.flatnonzero(x) if x.any() else np.array([0]) for x in fired]
    sources = [np.arange(len(agent.layers[0].weights)), *kept[:-1]]
    layers = tuple(
        replace(
            layer,
            weights=np.ascontiguousarray(layer.weights[np.ix_(source, own)]),
            biases=layer.biases[own],
            recurrent=None if layer.recurrent is None else layer.recurrent[np.ix_(own, own)],
            rest=np.ascontiguousarray(layer.rest[:, own]),
        )
        for layer, source, own in zip(agent.layers, sources, kept, strict=True)
    )
    head = np.ascontiguousarray(agent.head_weights[:, kept[-1]])
    return replace(agent, layers=layers, head_weights=head)


def _check_network(network: SpikingNetwork) -> None:
    config = network.config
    if not (network.spike_input or isinstance(config.encoder_parameters, ConstantEncoder)):
        raise ValueError(
            f"encoder {config.encoder!r} is not exported; train with encoder 'constant', or on an "
            "environment whose observations are spikes"
        )
    if network.decoder.takes_maximum:
        raise ValueError(
            f"decoder {config.decoder!r} is not exported; train with 'mean_rate' or 'last_voltage'"
        )
    if network.compiled is None:
        raise ValueError(
            f"neuron {config.neuron!r} of backend {config.backend!r} with learnable constants "
            f"{config.learnable} is not exported; train with backend 'auto' "
            "and no learnable constants"
        )


def _check_spaces(policy: SpikingPolicyMixin) -> None:
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


def _layers(network: SpikingNetwork) -> Iterator[PortableLayer]:
    for layer in network.layers:
        assert isinstance(layer, SpikingLayer)  # as the network makes them
        neuron, looped = layer.neuron, layer.recurrent_weight
        assert isinstance(neuron, LayerNeurons)  # of a compiled network
        state = neuron.initial_state(1, layer.size, layer.linear.weight)
        yield PortableLayer(
            neuron=neuron.text,
            constants=neuron.constants[:, 0].copy(),
            weights=np.ascontiguousarray(_numbers(layer.linear.weight).T),
            biases=_numbers(layer.linear.bias),
            recurrent=None if looped is None else np.ascontiguousarray(_numbers(looped).T),
            rest=np.concatenate([_numbers(x) for x in state]),
        )


def _head(policy: Any, own: nn.Module | None) -> tuple[Array, Array]:
    """Return weights (O, N) and biases (O,) by which the last layer is read."""
    head: nn.Module = own if own is not None else outer_head(policy)
    if not isinstance(head, nn.Linear | PopulationHead):
        raise ValueError(
            "actions whose mean is clipped before it is squashed, as use_sde has it, are not "
            "exported; train without use_sde"
        )
    weights, biases = _numbers(head.weight), _numbers(head.bias)
    if isinstance(head, PopulationHead):  # each output reads neurons of its own
        weights = block_diag(*weights)
    quantiles = getattr(policy, "n_quantiles", 1)
    if quantiles > 1 and own is not None:  # of QR-DQN, whose value is their mean
        weights = weights.reshape(quantiles, -1, weights.shape[1]).mean(0)
        biases = biases.reshape(quantiles, -1).mean(0)
    return weights, biases


def outer_head(policy: Any) -> nn.Module:
    """Return the head of a policy whose network has none of its own.

    Args:
        policy: Actor-critic policy.
    """
    actor = getattr(policy, "actor", None)
    head: nn.Module = policy.action_net if actor is None else actor.mu
    return head


def _choice(policy: Any) -> Choice:
    if isinstance(policy.action_space, spaces.Discrete):
        return "argmax"
    return "squash" if policy.squash_output else "clip"


def _limits(space: spaces.Space[Any]) -> tuple[Array, Array]:
    if isinstance(space, spaces.Box):
        return space.low.reshape(-1).astype(np.float32), space.high.reshape(-1).astype(np.float32)
    return np.zeros(0, np.float32), np.zeros(0, np.float32)


def _normaliser(policy: SpikingPolicyMixin) -> PortableNormaliser | None:
    found = policy.scaler if isinstance(policy, SpikingControllerPolicy) else policy.normaliser
    if found is None:
        return None
    return PortableNormaliser(_numbers(found.mean), _numbers(found.std), float(found.clip))


def _numbers(tensor: Tensor) -> Array:
    """Return a copy as float32."""
    return tensor.detach().cpu().float().numpy().copy()
