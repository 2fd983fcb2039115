"""Networks of policies: spiking, dense and gated, and their builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import torch
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.torch_layers import create_mlp
from torch import Tensor, nn

from snn_gym._base.config import Config, Count
from snn_gym.policies.units import (
    ACTIVATIONS,
    UNITS,
    AnyUnits,
    Memory,
    RoundedUnits,
    ThresholdUnits,
    Units,
    layer_of,
    lengthen_memory,
    quantise,
    state_variables,
)
from snn_gym.program.costs import READOUT, costs_of
from snn_gym.program.layers import Activation, DenseLayer, Operator
from snn_gym.program.program import UNCHOSEN, Program
from snn_gym.spiking.decoders import read_head
from snn_gym.spiking.execution import Observer
from snn_gym.spiking.layer_neurons import as_array, is_traced
from snn_gym.spiking.modules import ModuleConfig, ModuleNetwork
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.normaliser import ObservationNormaliser
from snn_gym.spiking.recording import Recording
from snn_gym.spiking.spiking_layer import SharedLinear


# ---- gated ---------------------------------------------------------------------------------------
class GatedNetwork(nn.Module):
    """Layers of units that may carry a state from one environment step to the next.

    ``gru``: Cho et al. 2014, https://arxiv.org/abs/1406.1078; ``lstm``: Hochreiter and Schmidhuber
    1997, https://doi.org/10.1162/neco.1997.9.8.1735; ``rnn``: Elman 1990,
    https://doi.org/10.1207/s15516709cog1402_1, with tanh, ``rnn_relu`` with ReLU; all four as in
    PyTorch. ``leaky``: linear leaky integrators with a learned decay; ``rectified_leaky``: their
    outputs are cut off below 0. ``tanh``, ``relu``, ``threshold``: units without a state.

    Args:
        kind: Kind of all layers, or a tuple of one for each layer, such as ``("leaky", "relu")``.
        input_size: Number of values of an observation; of a spike train T * N, flattened by the
            caller.
        hidden_sizes: Units of each layer, input side first.
        output_size: Outputs of the linear head; None for no head, and the last layer's activity is
            the output.
        spike_input: Whether inputs are spikes, which cost synaptic operations.
        rows_per_step: Rows of a spike train that enter as their sum.

    Raises:
        ValueError: A kind is unknown, or there is no layer.
    """

    def __init__(
        self,
        kind: Memory | Sequence[Units],
        input_size: int,
        hidden_sizes: tuple[int, ...],
        output_size: int | None = None,
        *,
        spike_input: bool = False,
        rows_per_step: int = 1,
    ) -> None:
        super().__init__()
        if not hidden_sizes:
            raise ValueError("hidden_sizes must name at least one layer of units with a state")
        self.kinds = _kinds_of(kind, len(hidden_sizes))
        self.spike_input, self.rows_per_step = spike_input, rows_per_step
        self.hidden_sizes = hidden_sizes
        sizes = (input_size, *hidden_sizes)
        self.layers = nn.ModuleList(
            UNITS[name](inputs, size)
            for name, inputs, size in zip(self.kinds, sizes, hidden_sizes, strict=False)
        )
        self._state_sizes = [
            size
            for name, size in zip(self.kinds, hidden_sizes, strict=True)
            for _ in range(state_variables(name))
        ]
        self.head = None if output_size is None else nn.Linear(hidden_sizes[-1], output_size)
        self.output_size = hidden_sizes[-1] if output_size is None else output_size

    def lengthen_memory(self, steps: int) -> None:
        """Let fresh units forget within at most ``steps`` environment steps, spread over units.

        Else gradients vanish over long delays.

        Raises:
            ValueError: ``steps`` is below 2.
        """
        if steps < 2:
            raise ValueError(f"memory_steps must be at least 2, got {steps}")
        for unit in self.units:
            lengthen_memory(unit, steps)

    @property
    def state_size(self) -> int:
        """Numbers in the flat state of one sample."""
        return sum(self._state_sizes)

    def rest_state(self, batch: int) -> Tensor:
        """Return the flat state (batch, state_size) at the start of an episode: zeros."""
        return next(self.parameters()).new_zeros(batch, self.state_size)

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return outputs (B, output_size) and new states for features (B, input_size)."""
        del optimised, observer  # nothing spikes that could be regulated or observed
        if state is None:
            state = self.rest_state(len(inputs))
        _, output, state = self._run(inputs.unsqueeze(0), state)
        return output[0], state

    def sequence(
        self,
        inputs: Tensor,
        state: Tensor | None,
        starts: Tensor,
        *,
        recurrent_gradient: bool = True,
        optimised: bool = True,
        observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decide on features (L, B, input_size) at L environment steps, as ``SpikingNetwork`` does.

        Returns outputs (L, B, output_size) and the final state (B, state_size). The last three
        arguments are ignored, for nothing spikes.
        """
        del recurrent_gradient, optimised, observer
        steps, batch = starts.shape
        if state is None:
            state = self.rest_state(batch)
        outputs = []
        # PyTorch runs a stretch without resets in one call.
        resets = starts.any(dim=1).tolist() if self._state_sizes else [False] * steps
        edges = [step for step in range(steps) if step == 0 or resets[step]]
        for begin, end in zip(edges, [*edges[1:], steps], strict=True):
            if resets[begin]:
                state = state.masked_fill(starts[begin].unsqueeze(1), 0.0)
            _, output, state = self._run(inputs[begin:end], state)
            outputs.append(output)
        return torch.cat(outputs), state

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Linear | None = None
    ) -> Recording:
        """Return a recording of a forward pass, with its outputs and costs.

        ``layers`` of the recording is empty, because these units do not spike.
        """
        before = self.rest_state(len(inputs)) if state is None else state
        signals, output, _ = self._run(inputs.unsqueeze(0), before)
        units = [as_array(x[0]) for x in signals]
        program, entered = self.program(head), as_array(inputs)[np.newaxis]
        costs = costs_of(program, entered, units, as_array(before))
        return Recording((), output[0], 0.0, costs)

    def program(self, head: nn.Module | None = None) -> Program:
        """Return a ``Program`` of copied arrays; it takes ``head`` if the network has no head."""
        layers = tuple(layer_of(*x) for x in zip(self.kinds, self.units, strict=True))
        return Program(
            inputs=len(layers[0].weights),
            encoder="spikes" if self.spike_input else "constant",
            normalisers=(),
            layers=layers,
            time_steps=1,
            rows_per_step=self.rows_per_step,
            decoder=None,
            head=read_head(head if self.head is None else self.head, self.hidden_sizes[-1]),
            choice=UNCHOSEN,
            stateful=self.state_size > 0,
        )

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: there is no noise."""

    @property
    def units(self) -> list[AnyUnits]:
        """Layers of units, input side first."""
        # A ModuleList forgets the type of its members.
        return cast("list[AnyUnits]", list(self.layers))

    def _run(self, inputs: Tensor, state: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return each layer's activity (L, B, size), outputs (L, B, ...) and the final state."""
        sizes = self._state_sizes
        parts = iter(torch.split(state, sizes, dim=1) if sizes else ())
        signal, signals, final = inputs, [], []
        for name, layer in zip(self.kinds, self.units, strict=True):
            carried = [next(parts).unsqueeze(0).contiguous() for _ in range(state_variables(name))]
            # An LSTM takes and returns a tuple of two state variables, the others one alone.
            if isinstance(layer, nn.LSTM):
                signal, after = layer(signal, tuple(carried))
            else:
                signal, *after = layer(signal, *carried)
            final += [x[0] for x in after]
            signals.append(signal)
        output = signal if self.head is None else self.head(signal)
        return signals, output, torch.cat(final, dim=1) if final else state


def _kinds_of(kind: Units | Sequence[Units], layers: int) -> tuple[Units, ...]:
    """Return the kind of each layer; refuse unknown ones, and another number of them."""
    kinds = (kind,) * layers if isinstance(kind, str) else tuple(kind)
    unknown = [x for x in kinds if x not in UNITS]
    if unknown:
        raise ValueError(f"gated must be of {', '.join(UNITS)}, got {unknown[0]!r}")
    if len(kinds) != layers:
        raise ValueError(
            f"gated names {len(kinds)} layers and hidden_sizes {layers}; give one kind for each "
            "layer, or one for all"
        )
    return kinds


# ---- networks ------------------------------------------------------------------------------------
CriticKey = Literal["vf", "qf"]
"""Stable-Baselines3's name of a critic's hidden sizes in ``net_arch``."""


@dataclass(frozen=True)
class NetworkBuilder:
    """Builder of a policy's networks for its observation space."""

    config: NetworkConfig
    features_dim: int
    spike_steps: int | None
    """Time steps of spike-train observations, None for analogue ones."""
    activation: type[nn.Module]
    """Activation of networks that do not spike and carry no state."""
    normaliser: ObservationNormaliser | None
    gated: Memory | Sequence[Units] | None = None
    """Units of networks that do not spike and carry a state; None where none is carried."""
    critic_hidden_sizes: tuple[int, ...] | None = None
    """Hidden sizes of critics; None for those of the configuration."""
    memory_steps: int | None = None
    """Environment steps that fresh gated units remember, at most; None for PyTorch's biases."""
    module: ModuleConfig | None = None  # in place of spiking networks of ``config``

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
            spiking: Whether it is a ``SpikingNetwork``, or a ``ModuleNetwork`` of the user's
                module; if not it is its twin, a ``GatedNetwork``
                where a state is carried and else a ``DenseNetwork``.
            output_size: Outputs of its head; None for no head.
            population_outputs: Without a head, the outputs that will read it.
            extra_inputs: Values beside the features, such as an action.
            critic: Whether it is a critic, with ``critic_hidden_sizes`` if there are any.
        """
        if self.config.convolutions and self.gated is not None and not spiking:
            raise ValueError(
                f"networks of gated units ({self.gated}) have no convolutions; leave them out, or "
                "carry no state"
            )
        own = self.critic_hidden_sizes if critic else None
        sizes = self.config.hidden_sizes if own is None else own
        rows = self._rows_per_step(spiking, critic)
        seen = self.features_dim // (self.spike_steps or 1) + extra_inputs
        if spiking and self.module is not None:
            return ModuleNetwork(self.module, seen, output_size, spike_steps=self.spike_steps)
        if spiking:
            # An action beside the planes has no place among them.
            filters = () if extra_inputs else self.config.convolutions
            return SpikingNetwork(
                replace(self.config, hidden_sizes=sizes, convolutions=filters),
                seen,
                output_size,
                population_outputs=population_outputs,
                spike_steps=None if self.spike_steps is None else self.spike_steps // rows,
            )
        inputs = self.features_dim // rows + extra_inputs
        spikes = self.spike_steps is not None
        if self.gated is not None:
            gated = self.gated
            if critic and not isinstance(gated, str) and len(sizes) != len(gated):
                gated = tuple(gated)[:1] * len(sizes)
            network = GatedNetwork(
                gated, inputs, sizes, output_size, spike_input=spikes, rows_per_step=rows
            )
            if not (critic or network.state_size):
                raise ValueError(
                    f"gated units of an agent must carry a state in at least one layer, got "
                    f"{', '.join(network.kinds)}; take units such as leaky or gru"
                )
            if self.memory_steps is not None:
                network.lengthen_memory(self.memory_steps)
            return network
        operators = () if extra_inputs else self.config.operators
        return DenseNetwork(
            inputs, sizes, output_size, self.activation, spike_input=spikes, rows_per_step=rows,
            filters=tuple(map(SharedLinear, operators)),
        )  # fmt: skip

    def _rows_per_step(self, spiking: bool, critic: bool) -> int:
        """Return how many rows of a spike train a network sums; refuse what does not divide it."""
        rows, steps = self.config.rows_per_step, self.spike_steps
        if steps is None or rows == 1 or (critic and not spiking and rows != steps):
            return 1  # critics are not deployed, and may see single rows
        fits = steps % rows == 0 if spiking else rows == steps
        if not fits or (spiking and self.module is not None):
            own = "its own module reads single rows" if self.module else f"divide {steps}"
            expected = own if spiking else f"be 1 or {steps} for networks that do not spike"
            raise ValueError(
                f"rows_per_step is {rows} for spike trains of {steps} rows; it must {expected}"
            )
        return rows


class DenseNetwork(nn.Sequential):
    """A multilayer perceptron behind the interface of ``SpikingNetwork``: the ANN twin.

    Args:
        input_size: Number of values of an observation; of a spike train T * N, flattened by the
            caller.
        hidden_sizes: Units of each layer, input side first; none for a linear network.
        output_size: Outputs of the linear head; None for no head.
        activation: Activation of the units.
        spike_input: Whether inputs are spikes, which cost synaptic operations.
        rows_per_step: Rows of a spike train that enter as their sum.
        filters: Convolutions before the layers of ``hidden_sizes``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: tuple[int, ...],
        output_size: int | None,
        activation: type[nn.Module],
        *,
        spike_input: bool = False,
        rows_per_step: int = 1,
        filters: Sequence[SharedLinear] = (),
    ) -> None:
        widths = tuple(x.out_features for x in filters)
        dense = create_mlp(
            (input_size, *widths)[-1], output_size or 0, list(hidden_sizes), activation
        )
        super().__init__(*(x for layer in filters for x in (layer, activation())), *dense)
        hidden_sizes = (*widths, *hidden_sizes)
        self.input_size = input_size
        self.bits: int | None = None
        """Bits of a quantised weight; None for floats."""
        self.spike_input, self.rows_per_step = spike_input, rows_per_step
        self.hidden_sizes = hidden_sizes
        self.output_size = (input_size, *hidden_sizes)[-1] if output_size is None else output_size

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return outputs (B, output_size) for features (B, input_size), and empty states (B, 0)."""
        del state, optimised, observer
        output: Tensor = super().forward(inputs)  # type: ignore[no-untyped-call]
        return output, inputs.new_empty(len(inputs), 0)

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Linear | None = None
    ) -> Recording:
        """Return a recording of a forward pass, with its outputs and costs.

        ``layers`` of the recording is empty, because these units do not spike.
        """
        del state
        units, values = [], inputs
        for module in self:
            values = module(values)
            if not isinstance(module, nn.Linear):
                units.append(as_array(values))
        # Every activation costs the same.
        program = self._program("relu", None, head if self.head is None else self.head)
        names = [f"dense_{k + 1}" for k in range(len(units))]
        names.append(READOUT if self.head is None else f"dense_{len(units) + 1}")
        entered = as_array(inputs)[np.newaxis]
        costs = costs_of(program, entered, units, names=names)
        # An activation with a matrix multiplies by it, which is not counted.
        uncounted = dict.fromkeys(
            type(module).__name__
            for module in self
            if not isinstance(module, nn.Linear)
            and any(x.dim() > 1 for x in (*module.parameters(), *module.buffers()))
        )
        return Recording((), values, 0.0, replace(costs, uncounted=tuple(uncounted)))

    @property
    def head(self) -> nn.Linear | None:
        """The linear head, None where the network has none."""
        last = next(reversed(self), None)
        return last if isinstance(last, nn.Linear) else None

    def quantise(self, bits: int) -> None:
        """Learn and act with weights and activations of a number of bits from now on."""
        name = _activation_of(self)[0]
        quantise(self, bits)
        for k, module in enumerate(self):
            # Thresholds have a bit anyway.
            if not isinstance(module, nn.Linear | ThresholdUnits):
                self[k] = RoundedUnits(name, bits)
        self.bits = bits

    def program(self, head: nn.Module | None = None) -> Program:
        """Return a ``Program``, with ``head`` if it has none; refuse unknown activations."""
        return self._program(*_activation_of(self), head if self.head is None else self.head)

    def _program(
        self, activation: Activation, levels: int | None, head: nn.Module | None
    ) -> Program:
        hidden = [x for x in self if isinstance(x, nn.Linear)][: len(self.hidden_sizes)]
        layers = []
        for linear in hidden:
            weights, biases = np.ascontiguousarray(as_array(linear.weight).T), as_array(linear.bias)
            operator: Operator = linear.operator if isinstance(linear, SharedLinear) else "linear"
            layers.append(DenseLayer(activation, weights, biases, operator, levels))
        return Program(
            inputs=self.input_size,
            encoder="spikes" if self.spike_input else "constant",
            normalisers=(),
            layers=tuple(layers),
            time_steps=1,
            rows_per_step=self.rows_per_step,
            decoder=None,
            head=read_head(head, (self.input_size, *self.hidden_sizes)[-1]),
            choice=UNCHOSEN,
            bits=self.bits,
        )

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: there is no noise."""


def _activation_of(network: DenseNetwork) -> tuple[Activation, int | None]:
    """Return the activation of a network and its levels, None for floats; refuse unknown ones."""
    units = [x for x in network if not isinstance(x, nn.Linear)]
    first = units[0] if units else None
    if isinstance(first, RoundedUnits):
        return first.activation, first.levels
    kinds = {type(x) for x in units}
    # A linear network has none, and takes any name.
    known = [name for name, kind in ACTIVATIONS.items() if kinds <= {kind}]
    if not known:
        raise ValueError(
            f"activations {', '.join(x.__name__ for x in kinds)} are not exported; train with "
            "Tanh or ReLU"
        )
    return known[0], None


NetworkArgument = NetworkConfig | ModuleConfig | Mapping[str, Any] | Callable[..., Any]
"""Argument ``network`` of policies: a configuration, a user's module, or a function of it."""
StatelessNetwork = SpikingNetwork | ModuleNetwork | DenseNetwork
"""Networks that may decide from rest."""
StatefulNetwork = SpikingNetwork | GatedNetwork
"""Networks that may carry a state from decision to decision."""


def network_inputs(features: Tensor, network: nn.Module, spike_steps: int | None) -> Tensor:
    """Return features (B, F), of which a spiking network sees flattened spike trains as (B, T, N).

    Rows of a spike train that enter together are summed.
    """
    if spike_steps is None:
        return features
    # (B, rows * N) -> (B, rows, N)
    rows = features.view(features.shape[0], spike_steps, -1)
    if isinstance(network, SpikingNetwork):
        per_step = network.config.rows_per_step
        if per_step == 1:
            return rows
        return rows.view(len(rows), -1, per_step, rows.shape[2]).sum(2)
    if isinstance(network, ModuleNetwork):
        return rows
    own = isinstance(network, DenseNetwork | GatedNetwork) and network.rows_per_step > 1
    return rows.sum(1) if own else features


def network_config(network: object) -> NetworkConfig:
    """Return a policy's argument ``network`` as a configuration; None means the defaults."""
    if isinstance(network, Mapping):
        network = NetworkConfig.from_dict(network)
    config = NetworkConfig() if network is None else network
    if not isinstance(config, NetworkConfig):
        raise ValueError(
            "network must be a NetworkConfig or a mapping of its fields, got "
            f"{' '.join(repr(network).split()):.80}; NetworkConfig() makes one"
        )
    return config


def read_net_arch(
    net_arch: Any, critic: CriticKey | None, network: NetworkConfig | Mapping[str, Any]
) -> tuple[Any, Any]:
    """Return the hidden sizes of actor and critic, as Stable-Baselines3 reads ``net_arch``.

    It is a list for both, or a dict, also as a list's only item, of the actor's (``pi``) and the
    critic's; with ``critic`` None only a list. Without ``vf`` a critic has no hidden layer. Without
    ``qf``, or beside other ``hidden_sizes`` of ``network``, a ``ValueError`` is raised.
    """
    arch = net_arch
    if isinstance(arch, list | tuple) and len(arch) == 1 and isinstance(arch[0], Mapping):
        arch = arch[0]
    example = "[64, 64]" if critic is None else f"dict(pi=[64], {critic}=[64])"
    if not isinstance(arch, Mapping):
        actor = sizes = arch
    else:
        # Stable-Baselines3 asks for both keys off-policy, and takes a missing one as () on-policy.
        needed = {"pi", "qf"} if critic == "qf" else set()
        if critic is None or arch.keys() - {"pi", critic} or needed - arch.keys():
            parts = f", or a dict of the actor's (pi) and the critic's ({critic})" if critic else ""
            raise ValueError(
                f"net_arch must be a list of hidden sizes{parts}, such as {example}, got "
                f"{net_arch!r}"
            )
        actor, sizes = arch.get("pi", ()), arch.get(critic, ())
    if isinstance(network, NetworkConfig):  # which does not tell its defaults from sizes given
        network = {} if network.hidden_sizes == NetworkConfig.hidden_sizes else vars(network)
    given = network.get("hidden_sizes", actor)
    one, other = (list(x) if isinstance(x, tuple) else x for x in (given, actor))
    if one != other:
        raise ValueError(
            f"net_arch {net_arch!r} and hidden_sizes {given!r} of the network both say what the "
            "actor has; leave one out"
        )
    return actor, sizes


@dataclass(frozen=True)
class CriticSizes(Config):
    """Hidden sizes of a critic that has others than the actor."""

    critic_hidden_sizes: tuple[Count, ...]
    """Units of each layer, input side first; none for a linear critic."""


# ---- parts ---------------------------------------------------------------------------------------
class NormalisedModule(nn.Module):
    """Base of modules whose networks see features through the policy's normaliser, if any."""

    normaliser: ObservationNormaliser | None
    spike_steps: int | None
    """Time steps of spike-train observations, None for analogue ones."""

    def normalised(self, features: Tensor) -> Tensor:
        """Return features (B, F) standardised; unchanged without a normaliser."""
        return features if self.normaliser is None else self.normaliser(features)

    def training_data(
        self, counts: bool = True, *, differentiated: bool = False
    ) -> AbstractContextManager[None]:
        """Return a context in which features that pass the normaliser are its training data.

        On-policy algorithms count the features of rollouts, all others those that updates
        differentiate. With ``counts`` False nothing is counted.
        """
        # Tracing runs a policy on examples, which are no data.
        if self.normaliser is None or not counts or is_traced():
            return nullcontext()
        return self.normaliser.accumulating(differentiated)

    def first_training_data(self) -> AbstractContextManager[None]:
        """Return a context whose features set the statistics if no rollout came before."""
        if self.normaliser is None or is_traced() or not torch.is_grad_enabled():
            return nullcontext()
        # Without rollouts, as in imitation of an expert, updates show the first observations.
        return self.training_data(self.normaliser.awaits_data, differentiated=True)


class SingleNetworkModule(NormalisedModule):
    """One network behind the normaliser, trained on replayed observations."""

    network: Any

    def inputs(self, features: Tensor) -> Tensor:
        """Return the network's inputs for features (B, F); updates count them as training data."""
        updating = self.training and torch.is_grad_enabled()
        with self.training_data(updating, differentiated=True):
            features = self.normalised(features)
        return network_inputs(features, self.network, self.spike_steps)


class FeatureNetwork(SingleNetworkModule):
    """The normaliser and a network, from features to its output."""

    def __init__(
        self,
        builder: NetworkBuilder,
        spiking: bool,
        output_size: int | None = None,
        population_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.network: StatelessNetwork = builder.build(
            spiking, output_size, population_outputs=population_outputs
        )
        self.normaliser = builder.normaliser
        self.spike_steps = builder.spike_steps

    def forward(self, features: Tensor) -> Tensor:
        """Return the network's output (B, output_size) for features (B, F)."""
        output: Tensor = self.network(self.inputs(features))[0]
        return output


class BuiltPart(BaseModel):
    """An actor, critic or Q-network whose layers a ``NetworkBuilder`` makes."""

    def __init__(self, *args: Any, builder: NetworkBuilder, spiking: bool, **kwargs: Any) -> None:
        # Stable-Baselines3's class makes a network without hidden layers, which is replaced.
        super().__init__(*args, **{**kwargs, "net_arch": []})
        self.builder, self.spiking = builder, spiking
