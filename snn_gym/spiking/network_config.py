"""Configuration of a spiking network, of its parts, and of its regulation."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

from snn_gym._base.config import (
    Config,
    Count,
    NonNegative,
    Positive,
    PositiveShare,
    Range,
    Share,
    TimeSteps,
    from_mapping,
    to_mapping,
)
from snn_gym._base.names import did_you_mean
from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.program.encoders import (
    ENCODERS,
    LEARNED,
    RECEPTIVE_FIELD_MACS,
    BaseEncoder,
    ConstantEncoder,
    SpikeEncoder,
)
from snn_gym.program.layers import Convolution, Filtered
from snn_gym.program.neuron import NeuronParameters, equations, feels_at_once


# ---- decoders and the learned encoder ------------------------------------------------------------
# This module imports neither torch nor Norse, so that a configuration is read quickly.
@dataclass(frozen=True)
class MeanRateParameters(Config):
    """Mean of the last layer's spikes over the time steps, without parameters."""


@dataclass(frozen=True)
class LastVoltageParameters(Config):
    """Final voltage of a leaky integrator that never fires, driven by the last layer's spikes."""

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: NonNegative = 0.0
    """Time constant of the synaptic current (ms); 0 for none (Norse's LIBox)."""


@dataclass(frozen=True)
class PopulationDecoderParameters(Config):
    """Mean rates of a population of output neurons for each output (Tang et al. 2020, PopSAN).

    https://arxiv.org/abs/2010.09635
    """

    neurons_per_output: Count = 10


DecoderParameters = MeanRateParameters | LastVoltageParameters | PopulationDecoderParameters

DECODER_PARAMETERS: dict[str, type[DecoderParameters]] = {
    "mean_rate": MeanRateParameters,
    "last_voltage": LastVoltageParameters,
    "population": PopulationDecoderParameters,
}


@dataclass(frozen=True)
class LearnablePopulationParameters(BaseEncoder):
    """Gaussian receptive fields whose centres and widths are learned (PopSAN's encoder).

    For networks only. The centres start evenly spread over the range of standardised observations.
    """

    neurons_per_dimension: Annotated[int, Range(at_least=2)] = 10
    """Neurons for each value of an observation."""
    width: Positive = 1.0
    """Initial standard deviation of a receptive field, in units of the centres' spacing."""

    def channels(self, dimensions: int) -> int:
        """Return ``dimensions`` times ``neurons_per_dimension``."""
        return dimensions * self.neurons_per_dimension

    def macs(self, dimensions: int, time_steps: int) -> int:
        """Return the multiply-accumulates of a decision: ``3 + time_steps`` for each channel."""
        return (RECEPTIVE_FIELD_MACS + time_steps) * self.channels(dimensions)


NetworkEncoder = ConstantEncoder | SpikeEncoder | LearnablePopulationParameters
NETWORK_ENCODERS: Mapping[str, type[Any]] = ChainMap(
    {LEARNED: LearnablePopulationParameters}, cast("dict[str, type[Any]]", ENCODERS)
)


# ---- regulation ----------------------------------------------------------------------------------
Signals = Literal["own", "prune"]
ShedCost = Literal["synops", "operations", "cmos45", "loihi"]


@dataclass(frozen=True)
class ControllerParameters(Config):
    """Homeostasis of each neuron's synapses by its rate: speed and range of the changes.

    The rule and its sources are in ``snn_gym.spiking.regulation``.
    """

    gone: ClassVar[Mapping[str, Any]] = {
        "controlled": "synapses",
        "min_window_share": 0.1,
        "max_window_share": 0.5,
    }
    step: Positive = 0.5
    """Change of the gain's logarithm for a distance of 1 from the range of rates."""
    limit: Positive = 1.0
    """Largest change of the gain's logarithm over all of training."""
    min_samples: Count = 1024
    """Decisions that are measured for one change."""


@dataclass(frozen=True)
class LeanParameters(Config):
    """Shedding of spikes by a network that has learned, while its behaviour stays the same.

    The rules are in ``snn_gym.learners.lean_rules``; ``snn_gym.learners.lean`` makes algorithms
    that follow them.
    """

    bound: Positive = 0.03
    """Initial bound on the divergence from the network's own frozen policy: the mean over the
    visited states of ``worst_share`` of the Kullback-Leibler divergence (nat), for continuous
    actions of Gaussians whose standard deviation is a quarter of the action's range."""
    worst_share: PositiveShare = 1.0
    """Share of the visited states, those with the largest divergence, that are bounded; 1 for
    all. A mean over all states hides losses in the few states that decide."""
    max_bound: Positive = 0.05
    """Largest bound to which good returns may widen it; a larger initial bound is not widened."""
    max_synops: Positive | None = None
    """Synaptic operations of hidden spikes that a decision may cost: the divergence is minimised
    at that cost. None to minimise the cost at a bounded divergence."""
    latest_start: PositiveShare = 0.9
    """Share of the training after which learning counts as over unless the return still rises. The
    step sizes of most agents have then decayed, while policies frozen at 0.8 were still learning.
    """
    largest_rise: NonNegative | None = 0.2
    """Change of the training return that the rest of the training may still bring, in units of the
    gain so far, for learning to count as over from ``latest_start`` on. It is that of a policy that
    explores less and less: the best actions earn the same by then. None for any change, also where
    no return is known, as control experiments need it; then what is shed need not be measured."""
    patience: PositiveShare = 0.4
    """Share of the training without a better return after which learning is over."""
    tolerance: Share = 0.02
    """Allowed loss of return, in units of the gain since the start of training."""
    updates: Count = 3000
    """Updates of the weights, spread evenly over the rest of the training."""
    batch_size: Count = 256
    """Decisions in an update."""
    learning_rate: Positive = 0.003
    """Step size of Adam at the first update; falls linearly."""
    final_learning_rate: NonNegative = 0.00015
    """Step size at the last update."""
    first_strength: NonNegative = 0.3
    """Strength of the cost at the first update, at most 0.01 for filters that became dense layers;
    0, with ``control_rate`` 0, for no cost at all."""
    control_rate: NonNegative = 0.05
    """Change of the strength's logarithm at an update whose divergence is zero; 0 for a
    constant."""
    episodes: Count = 10
    """Least number of training episodes that are judged together."""
    widening: Annotated[float, Range(at_least=1)] = 1.5
    """Factor of the bound after episodes that kept their return; 1 for a constant bound."""
    signals: Signals = "own"
    """Signal of a neuron: the cost of its ``own`` spikes, or none, and synapses alone are pruned
    (``prune``)."""
    pruning: NonNegative = 3.0
    """Pruned synapses for each remaining one, in units of the strength; 0 for none. Synapses of
    the smallest weights are pruned, among those that spikes pass into every layer of neurons. With
    another ``cost`` than ``synops``: least relevance that stays, in units of the strength times the
    part's share in the price."""
    cost: ShedCost = "synops"
    """``synops`` sheds spikes and synapses. A price of ``snn_gym.program.prices``, such as
    ``operations``, sheds whatever costs under it: neurons, inputs, synapses, spikes and time steps.
    The network is then rebuilt without the neurons that are left over."""

    @property
    def sheds_neurons(self) -> bool:
        """Whether neurons and time steps are shed too, by the whole cost of a decision."""
        return self.cost != "synops"

    @property
    def sheds(self) -> bool:
        """Whether anything is shed; if not, only a teacher is followed."""
        return max(self.first_strength, self.control_rate) > 0

    def _check(self) -> None:
        if self.sheds_neurons and (self.signals != "own" or self.max_synops is not None):
            raise ValueError(
                f"cost {self.cost!r} sheds by the whole cost, and signals {self.signals!r} with "
                f"max_synops {self.max_synops} by synaptic operations; leave one of them out"
            )
        if self.signals == "prune" and self.pruning == 0:
            raise ValueError(
                "signals 'prune' with pruning 0 shed nothing; give pruning above 0, such as 3"
            )
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be at most learning_rate={self.learning_rate}, got "
                f"{self.final_learning_rate}"
            )


@dataclass(frozen=True)
class RegulationParameters(Config):
    """Regulation of a network: it keeps neurons responsive while the network is optimised.

    A penalty acts through the gradient, a controller between rollouts (both in
    ``snn_gym.spiking.regulation``). A rate is a neuron's spikes per time step, averaged
    over time steps and batch: 0 is silent, 1 fires at every step.
    """

    gone: ClassVar[Mapping[str, Any]] = {"voltage_strength": 0.0}
    min_rate: Share = 0.05
    """Least rate that is not regulated."""
    max_rate: Share = 0.5
    """Largest rate that is not regulated; equal to ``min_rate`` for a target rate."""
    rate_strength: NonNegative = 0.0
    """Weight in the loss of the penalty on rates outside of the range; 0 for none."""
    rescue_strength: NonNegative = 0.0
    """Additional weight of that penalty from when most neurons of the network are silent or
    saturated until few are; 0 for none."""
    controller: ControllerParameters | None = None
    """Homeostasis, with ``rescue_strength`` only while a rescue lasts; None for none."""
    lean: LeanParameters | None = None
    """Shedding of spikes once learning is over; None for none."""
    shuffle_seed: Annotated[int, Range(at_least=0, below=2**63)] | None = None
    """Seed of a permutation by which every neuron receives the signals of another neuron of its
    layer: a control experiment with signals of the same number and size at the wrong neurons.
    None for each neuron's own signals."""

    def _check(self) -> None:
        if self.min_rate > self.max_rate:
            raise ValueError(
                f"min_rate must be at most max_rate, got {self.min_rate} and {self.max_rate}"
            )
        if not self.penalised and self.controller is None and self.lean is None:
            raise ValueError(
                "regulation does nothing: give rate_strength or rescue_strength above 0, a "
                "controller or lean, or leave regulation out"
            )

    @property
    def penalised(self) -> bool:
        """Whether rates are penalised, always or while a rescue lasts."""
        return max(self.rate_strength, self.rescue_strength) > 0


# ---- network -------------------------------------------------------------------------------------
SurrogateName = Literal["superspike", "arctan", "triangle", "sigmoid"]
Backend = Literal["auto", "fused", "norse"]
InitialWeights = Literal["orthogonal", "relay"]
_PARTS: dict[str, Mapping[str, type[Any]]] = {
    "neuron": NEURONS,
    "encoder": NETWORK_ENCODERS,
    "decoder": DECODER_PARAMETERS,
}


@dataclass(frozen=True)
class NetworkConfig(Config):
    """Configuration of a spiking network.

    A part is a registered name and its typed parameters. ``None`` stands for the part's default
    parameters; a mapping is converted to the part's type.
    """

    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Neurons of each spiking layer, input side first; none for a linear policy, which does not
    spike."""
    time_steps: TimeSteps = 8
    """Integration steps T of one decision; spike trains give the number instead."""
    rows_per_step: Count = 1
    """Rows of a spike train that enter together, as their sum, in one time step. Networks that do
    not spike take single rows, 1, or all of them."""
    dt_ms: Positive = 1.0
    """Length of an integration step (ms)."""
    neuron: str | tuple[str, ...] = "lif_box"
    """``lif_box``, ``lif``, ``iaf``, ``alif``, or a name given to ``register_neuron``; a tuple
    names the neuron of each hidden layer."""
    neuron_parameters: NeuronParameters | tuple[NeuronParameters, ...] | None = None
    """Parameters of the neuron; a tuple holds those of each hidden layer."""
    learnable: tuple[str, ...] = ()
    """Constants that are learned, one value for each neuron, starting from the configured value:
    fields of ``neuron_parameters`` such as ``tau_mem``, ``v_threshold`` and ``beta``, with or
    without unit. Their valid ranges are described in ``snn_gym.spiking.layer_neurons``."""
    initial_weights: InitialWeights = "orthogonal"
    """``orthogonal``, or ``relay`` for deep networks, whose hidden layers after the first at the
    start pass on the spikes of the layer before."""
    recurrent: bool = False
    """Whether the spikes of every hidden layer return to that layer one time step later, through
    learned weights, each neuron's own spike included (Norse's ``autapses=True``)."""
    surrogate: SurrogateName = "superspike"
    surrogate_slope: Positive = 5.0
    """Slope of the surrogate gradient; its meaning depends on the surrogate."""
    encoder: str = "constant"
    """``constant``, ``rate``, ``latency``, ``population``, ``learnable_population``, or
    ``delta``, which compares with the previous decision and so needs a carried state
    (``needs_state``)."""
    encoder_parameters: NetworkEncoder | None = None
    decoder: str = "mean_rate"
    """``mean_rate``, ``last_voltage`` or ``population``."""
    decoder_parameters: DecoderParameters | None = None
    backend: Backend = "auto"
    """``fused`` kernels, ``norse`` stepping, or the fastest that applies (``auto``)."""
    regulation: RegulationParameters | None = None
    """Regulation of the neurons while the network is optimised; None for none."""
    convolutions: tuple[Convolution, ...] = ()
    """Layers of filters before those of ``hidden_sizes``; a critic of actions has none."""
    planes: tuple[Count, Count, Count] | None = None
    """Number, rows and columns of the observed planes; policies set it from their space."""
    channels_last: bool = False
    """Whether the planes are observed as (rows, columns, number); policies set it, too."""

    def __post_init__(self) -> None:
        """Convert mappings, fill in default parameters of the parts, and check the values."""
        for part in _PARTS:
            field = f"{part}_parameters"
            parameters = _typed_part(part, getattr(self, part), getattr(self, field))
            object.__setattr__(self, field, parameters)
        super().__post_init__()
        self._check_layers()
        self._name_learnable()
        self._check_time_constants()

    @property
    def layer_neurons(self) -> tuple[tuple[str, NeuronParameters], ...]:
        """Name and parameters of each hidden layer's neuron."""
        names, parameters = self.neuron, self.neuron_parameters
        assert parameters is not None  # filled in by __post_init__
        count = self.depth
        names = names if isinstance(names, tuple) else (names,) * count
        parameters = parameters if isinstance(parameters, tuple) else (parameters,) * count
        return tuple(zip(names, parameters, strict=True))

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.convolutions) + len(self.hidden_sizes)

    @property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Planes, rows and columns of the observation and of each layer of filters.

        Raises:
            ValueError: There are convolutions and no ``planes``.
        """
        if not self.convolutions:
            return ()
        if self.planes is None:
            raise ValueError(
                "convolutions need planes: observe MultiBinary((C, H, W)) or an image, or give "
                "planes=(C, H, W) to NetworkConfig"
            )
        shapes = [self.planes]
        for layer in self.convolutions:
            shapes.append(layer.shape(shapes[-1]))
        return tuple(shapes)

    @property
    def operators(self) -> tuple[Filtered, ...]:
        """Each convolution with the planes that it reads, as for ``shapes``."""
        return tuple(
            Filtered(layer, planes, channels_last=self.channels_last and k == 0)
            for k, (layer, planes) in enumerate(zip(self.convolutions, self.shapes, strict=False))
        )

    @property
    def needs_state(self) -> bool:
        """Whether the network is useful only where its state is carried between decisions.

        True for the encoder ``delta``, and at one time step for a neuron that feels its input one
        step late, such as ``alif``.
        """
        assert self.encoder_parameters is not None  # filled in by __post_init__
        late = self.time_steps == 1 and not all(
            feels_at_once(equations(NEURONS[name])) for name, _ in self.layer_neurons
        )
        return late or self.encoder_parameters.needs_previous

    def _check_layers(self) -> None:
        for name in ("neuron", "neuron_parameters"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.depth:
                raise ValueError(
                    f"{name} names {len(value)} layers and hidden_sizes {self.depth}; "
                    "give one for each hidden layer, or one for all"
                )
        if self.planes is not None and self.convolutions:
            _ = self.shapes  # raises where a filter does not fit
        lean = None if self.regulation is None else self.regulation.lean
        if self.convolutions and lean is not None and lean.sheds and lean.sheds_neurons:
            raise ValueError(
                f"cost {lean.cost!r} sheds single neurons, and those of a filter share their "
                "weights: leave regulation.lean.cost at 'synops', or give the trained agent to "
                "snn_gym.make_lean, which gives each neuron its own"
            )

    def _name_learnable(self) -> None:
        """Add units to learnable names that lack one, and check the start values."""
        allowed = dict.fromkeys(
            field for _, parameters in self.layer_neurons for field in parameters.learnable_fields
        )
        learnable = dict.fromkeys(
            name if name in allowed else f"{name}_ms" for name in self.learnable
        )
        unknown = [name for name in self.learnable if not {name, f"{name}_ms"} & set(allowed)]
        if unknown:
            raise ValueError(
                f"learnable {', '.join(map(repr, unknown))} is unknown; allowed: "
                f"{', '.join(name.removesuffix('_ms') for name in allowed) or 'none'}"
            )
        object.__setattr__(self, "learnable", tuple(learnable))
        for name, parameters in self.layer_neurons:
            for field in set(learnable) & set(parameters.learnable_fields):
                value = getattr(parameters, field)
                # dt / tau = sigmoid(w) has no solution at tau <= dt, nor softplus(w) = 0
                least = self.dt_ms if field.startswith("tau_") else 0.0
                if field != "v_threshold" and value <= least:
                    raise ValueError(
                        f"learnable {field} of neuron {name!r} must start above {least}, got "
                        f"{value}"
                    )

    def _check_time_constants(self) -> None:
        parts = [("neuron", parameters) for _, parameters in self.layer_neurons]
        for part, parameters in [*parts, ("decoder", self.decoder_parameters)]:
            for field in ("tau_mem_ms", "tau_syn_ms", "tau_adapt_ms"):
                tau_ms = getattr(parameters, field, 0.0)
                # The Euler step of Norse overshoots and oscillates beyond this.
                if 0 < tau_ms < self.dt_ms:
                    raise ValueError(
                        f"{part}_parameters.{field}={tau_ms} is below dt_ms={self.dt_ms}: the "
                        "integration would overshoot; use a smaller dt_ms or a larger time constant"
                    )

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> NetworkConfig:
        """Build a configuration from plain values, as ``to_dict`` returns them.

        Args:
            mapping: Values by field name; lists serve as tuples, mappings as parameters.

        Raises:
            ValueError: A key is unknown, or a value has a wrong type or is not allowed.
        """
        if not isinstance(mapping, Mapping):
            raise ValueError(f"network: expected a table of settings, got {mapping!r:.60}")
        values = dict(mapping)
        for part in _PARTS:
            name, given = values.get(part, getattr(cls, part)), values.get(f"{part}_parameters")
            if isinstance(name, list):
                name = tuple(name)
            if given is not None and isinstance(name, str | tuple):
                try:
                    values[f"{part}_parameters"] = _typed_part(part, name, given)
                except ValueError as error:
                    raise ValueError(f"network: {error}") from error
        return from_mapping(cls, values, "network")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON types."""
        return to_mapping(self)


def _typed_part(part: str, name: str | tuple[str, ...], given: Any) -> Any:
    """Return the parameters of a part, as a tuple where names or parameters are given per layer."""
    if part != "neuron" or not (isinstance(name, tuple) or isinstance(given, tuple | list)):
        return _typed(part, name, given)
    count = len(name if isinstance(name, tuple) else given)
    names = name if isinstance(name, tuple) else (name,) * count
    if not all(isinstance(x, str) for x in names):
        raise ValueError(f"neuron must name the neuron of each hidden layer, got {name!r:.60}")
    parameters = (None,) * len(names) if given is None else given
    if not isinstance(parameters, tuple | list) or len(parameters) != len(names):
        raise ValueError(
            f"neuron_parameters must be one for each of {', '.join(names)}, got {given!r}"
        )
    return tuple(_typed(part, *pair) for pair in zip(names, parameters, strict=True))


def _typed(part: str, name: Any, given: Any) -> Any:
    types = _PARTS[part]
    if name not in tuple(types):
        own = "; one of your own: import the package that registers it first (on the command line, "
        hint = f"{own}--module PACKAGE)" if part == "neuron" else ""
        near = did_you_mean(str(name), types)
        raise ValueError(f"{part} {name!r} is unknown{near} allowed: {', '.join(types)}{hint}")
    kind = types[name].Parameters if part == "neuron" else types[name]
    if given is None:
        return kind()
    if isinstance(given, Mapping):
        return from_mapping(kind, given, f"{part} {name!r}")
    if not isinstance(given, kind):
        raise ValueError(
            f"{part}_parameters of {part} {name!r} must be {kind.__name__}, "
            f"got {type(given).__name__}"
        )
    return given
