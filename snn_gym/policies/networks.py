"""The networks that policies decide by, and what builds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from stable_baselines3.common.torch_layers import create_mlp
from torch import Tensor, nn

from snn_gym.config import Config, Count
from snn_gym.policies._gated import GatedNetwork
from snn_gym.program.costs import READOUT, costs_of
from snn_gym.program.network import (
    UNCHOSEN,
    Activation,
    DenseLayer,
    Gates,
    Program,
)
from snn_gym.spiking.coding.decoders import read_head
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.base import as_array
from snn_gym.spiking.neurons.norse_cells import CellFactory
from snn_gym.spiking.normaliser import ObservationNormaliser
from snn_gym.spiking.recording import Recording
from snn_gym.spiking.sequence import Observer

ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
"""Activations of ANNs that have a name."""
CriticKey = Literal["vf", "qf"]
"""Stable-Baselines3's name of a critic's hidden sizes in ``net_arch``."""


@dataclass(frozen=True)
class NetworkBuilder:
    """Build the networks of a policy for its observation space."""

    config: NetworkConfig
    features_dim: int
    spike_steps: int | None
    """Time steps of spike-train observations, None for analogue ones."""
    activation: type[nn.Module]
    """Activation of networks that do not spike and carry no state."""
    normaliser: ObservationNormaliser | None
    """What the networks see features through."""
    cell_factory: CellFactory | None = None
    gated: Gates | None = None
    """Units of networks that do not spike and carry a state; None where none is carried."""
    critic_hidden_sizes: tuple[int, ...] | None = None
    """Hidden sizes of critics; None for those of the configuration."""

    def build(
        self,
        spiking: bool,
        output_size: int | None = None,
        *,
        population_outputs: int | None = None,
        extra_inputs: int = 0,
        critic: bool = False,
    ) -> Any:
        """Return a network from features to decoded activity, or to ``output_size`` outputs.

        Args:
            spiking: Whether it is a ``SpikingNetwork``; if not it is its twin, a ``GatedNetwork``
                where a state is carried and else a ``DenseNetwork``.
            output_size: Outputs of its head; None for no head.
            population_outputs: Without a head, the outputs that will read it.
            extra_inputs: Values beside the features, such as an action.
            critic: Whether it is a critic.
        """
        sizes = self.config.hidden_sizes
        if critic and self.critic_hidden_sizes is not None:
            sizes = self.critic_hidden_sizes
        if spiking:
            return self._spiking(sizes, output_size, population_outputs, extra_inputs)
        inputs = self.features_dim + extra_inputs
        spikes = self.spike_steps is not None
        if self.gated is not None:
            return GatedNetwork(self.gated, inputs, sizes, output_size, spike_input=spikes)
        return DenseNetwork(inputs, sizes, output_size, self.activation, spike_input=spikes)

    def _spiking(
        self,
        sizes: tuple[int, ...],
        output_size: int | None,
        population_outputs: int | None,
        extra_inputs: int,
    ) -> SpikingNetwork:
        config, steps = self.config, self.spike_steps
        if sizes != config.hidden_sizes:
            config = replace(config, hidden_sizes=sizes)
        channels = self.features_dim if steps is None else self.features_dim // steps
        return SpikingNetwork(
            config,
            channels + extra_inputs,
            output_size,
            population_outputs=population_outputs,
            spike_steps=steps,
            cell_factory=self.cell_factory,
        )


class DenseNetwork(nn.Sequential):
    """A multilayer perceptron behind the interface of ``SpikingNetwork``: the ANN twin.

    Args:
        input_size: Values of an observation; a spike train comes flattened.
        hidden_sizes: Units of each layer, input side first; none for a linear network.
        output_size: Outputs of the linear head; None for no head.
        activation: Activation of the units.
        spike_input: Whether the values are spikes, which cost synaptic operations.
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: tuple[int, ...],
        output_size: int | None,
        activation: type[nn.Module],
        *,
        spike_input: bool = False,
    ) -> None:
        super().__init__(*create_mlp(input_size, output_size or 0, list(hidden_sizes), activation))
        self.spike_input = spike_input
        self.hidden_sizes = hidden_sizes
        self.output_size = (input_size, *hidden_sizes)[-1] if output_size is None else output_size

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide on features (B, input_size), as ``SpikingNetwork.forward``.

        There is no state, and nothing spikes that could be regulated or observed.
        """
        del state, optimised, observer
        output: Tensor = super().forward(inputs)  # type: ignore[no-untyped-call]
        return output, inputs.new_empty(len(inputs), 0)

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Linear | None = None
    ) -> Recording:
        """Record a forward pass: no layers, for nothing spikes, but the costs.

        Args:
            inputs: Features (B, input_size).
            state: Of other networks; this one has none.
            head: As in ``SpikingNetwork.record``.
        """
        del state
        units, values = [], inputs
        for module in self:
            values = module(values)
            if not isinstance(module, nn.Linear):
                units.append(as_array(values))
        own = self.head is not None
        program = self._program("relu", self.head if own else head)  # any: costs are the same
        names = [f"dense_{k}" for k in range(1, len(units) + 1 + own)]
        names += [] if own else [READOUT]
        costs = costs_of(program, as_array(inputs)[np.newaxis], units, units[-1], names=names)
        others = (x for x in self if not isinstance(x, nn.Linear))
        left_out = {type(x).__name__: None for x in others if _has_weights(x)}
        return Recording((), values, 0.0, replace(costs, uncounted=tuple(left_out)))

    @property
    def head(self) -> nn.Linear | None:
        """The linear head, None where the network has none."""
        last = self[-1]
        return last if isinstance(last, nn.Linear) else None

    def program(self, head: nn.Module | None = None) -> Program:
        """Return the network as one value, as ``SpikingNetwork.program``.

        Args:
            head: As there.

        Raises:
            ValueError: Its activation has no form outside of PyTorch.
        """
        kinds = {type(x) for x in self if not isinstance(x, nn.Linear)}
        known = [name for name, kind in ACTIVATIONS.items() if kinds == {kind}]
        if not known:
            raise ValueError(
                f"activations {', '.join(x.__name__ for x in kinds) or 'none'} are not exported; "
                "train with Tanh or ReLU"
            )
        return self._program(known[0], head if self.head is None else self.head)

    def _program(self, activation: Activation, head: nn.Module | None) -> Program:
        hidden = [x for x in self if isinstance(x, nn.Linear)][: len(self.hidden_sizes)]
        weights = [(np.ascontiguousarray(as_array(x.weight).T), as_array(x.bias)) for x in hidden]
        return Program(
            inputs=hidden[0].in_features,
            encoder="spikes" if self.spike_input else "constant",
            normalisers=(),
            layers=tuple(DenseLayer(activation, *x) for x in weights),
            time_steps=1,
            decoder=None,
            head=read_head(head, self.hidden_sizes[-1]),
            choice=UNCHOSEN,
        )

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: there is no noise."""


def _has_weights(module: nn.Module) -> bool:
    """Tell whether a module's parameters include a matrix, whose products nobody counts."""
    return any(parameter.dim() > 1 for parameter in module.parameters())


StatelessNetwork = SpikingNetwork | DenseNetwork
"""What may decide from rest."""
StatefulNetwork = SpikingNetwork | GatedNetwork
"""What may carry a state from decision to decision."""


def network_inputs(features: Tensor, network: nn.Module, spike_steps: int | None) -> Tensor:
    """Return features in the shape that a network takes; spike trains were flattened."""
    if spike_steps is None or not isinstance(network, SpikingNetwork):
        return features
    # (B, T * N) -> (B, T, N)
    return features.view(features.shape[0], spike_steps, -1)


def network_config(network: NetworkConfig | Mapping[str, Any] | None) -> NetworkConfig:
    """Return the configuration that a policy's argument means.

    Args:
        network: Configuration, also as a mapping; its defaults if None.

    Raises:
        ValueError: It is of another kind.
    """
    if isinstance(network, Mapping):
        network = NetworkConfig.from_dict(network)
    config = NetworkConfig() if network is None else network
    if not isinstance(config, NetworkConfig):
        raise ValueError(
            f"network must be a NetworkConfig or a mapping of its fields, got {network!r}"
        )
    return config


def read_net_arch(net_arch: Any, critic: CriticKey | None) -> tuple[Any, Any]:
    """Return the hidden sizes of actor and critic, as Stable-Baselines3 reads ``net_arch``.

    Args:
        net_arch: A list for both; or a dict of the actor's (``pi``) and the critic's, also in a
            list of its own.
        critic: Key of the critic's, None where there is no critic. Without ``vf`` a critic has no
            hidden layer; ``qf`` may not be missing.

    Raises:
        ValueError: A key is missing or unknown, or the actor has no hidden layer.
    """
    arch = net_arch
    if isinstance(arch, list | tuple) and len(arch) == 1 and isinstance(arch[0], Mapping):
        arch = arch[0]
    example = "[64, 64]" if critic is None else f"dict(pi=[64], {critic}=[64])"
    if not isinstance(arch, Mapping):
        actor = sizes = arch
    else:
        needed = {"pi", "qf"} if critic == "qf" else set()
        if critic is None or arch.keys() - {"pi", critic} or needed - arch.keys():
            parts = f", or a dict of the actor's (pi) and the critic's ({critic})" if critic else ""
            raise ValueError(
                f"net_arch must be a list of hidden sizes{parts}, such as {example}, got "
                f"{net_arch!r}"
            )
        actor, sizes = arch.get("pi", ()), arch.get(critic, ())
    if isinstance(actor, list | tuple) and not actor:
        raise ValueError(
            f"net_arch {net_arch!r} has no hidden layer that could act: hidden_sizes must name at "
            f"least one layer, such as {example}"
        )
    return actor, sizes


@dataclass(frozen=True)
class CriticSizes(Config):
    """Hidden sizes of a critic that has others than the actor."""

    critic_hidden_sizes: tuple[Count, ...]
    """Units of each layer, input side first; none for a linear critic."""
