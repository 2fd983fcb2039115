"""Configuration of a spiking network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from snn_gym.config import Config, Count, Positive, from_mapping, to_mapping
from snn_gym.spiking.coding.parameters import (
    DECODER_PARAMETERS,
    NETWORK_ENCODERS,
    DecoderParameters,
    NetworkEncoder,
)
from snn_gym.spiking.neurons.parameters import NEURON_PARAMETERS, NeuronParameters
from snn_gym.spiking.regulation.parameters import RegulationParameters

SurrogateName = Literal["superspike", "arctan", "triangle", "sigmoid"]
Backend = Literal["auto", "fused", "norse"]
ParametersT = TypeVar("ParametersT")

_PARTS: dict[str, Mapping[str, type[Any]]] = {
    "neuron": NEURON_PARAMETERS,
    "encoder": NETWORK_ENCODERS,
    "decoder": DECODER_PARAMETERS,
}


@dataclass(frozen=True)
class NetworkConfig(Config):
    """What a spiking network is made of.

    A part is a registered name and its typed parameters; parameters left out (``None``) are the
    part's defaults, and a mapping is turned into the part's type.
    """

    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Neurons of each spiking layer, input side first."""
    time_steps: Count = 8
    """Integration steps T of one decision."""
    dt_ms: Positive = 1.0
    """Length of an integration step (ms)."""
    neuron: str = "lif_box"
    """``lif_box``, ``lif``, ``iaf``, ``alif``, or a name given to ``register_neuron``."""
    neuron_parameters: NeuronParameters | None = None
    """Parameters of the neuron; its defaults if None."""
    recurrent: bool = False
    """Whether every hidden layer's spikes come back to it, one time step later, through learned
    weights; a neuron's own spike too (Norse's ``autapses=True``)."""
    surrogate: SurrogateName = "superspike"
    """Surrogate gradient of the spike."""
    surrogate_slope: Positive = 5.0
    """Slope of the surrogate gradient; its meaning is the surrogate's."""
    encoder: str = "constant"
    """``constant``, ``rate``, ``latency``, ``population``, ``learnable_population``, or ``delta``,
    which compares with the decision before and so needs a carried state (``needs_state``)."""
    encoder_parameters: NetworkEncoder | None = None
    """Parameters of the encoder; its defaults if None."""
    decoder: str = "mean_rate"
    """``mean_rate``, ``last_voltage``, ``max_voltage`` or ``population``."""
    decoder_parameters: DecoderParameters | None = None
    """Parameters of the decoder; its defaults if None."""
    backend: Backend = "auto"
    """``fused`` kernels, ``norse`` stepping, or the fastest that applies (``auto``)."""
    regulation: RegulationParameters | None = None
    """What keeps the neurons in their responsive range while the network is optimised; None for
    nothing."""

    def __post_init__(self) -> None:
        """Check the values and fill in the parts' parameters."""
        for part in _PARTS:
            self._fill(part)
        super().__post_init__()
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes must name at least one layer")
        self._check_time_constants()
        self._check_controlled_slope()

    @property
    def needs_state(self) -> bool:
        """Whether the network is of use only where its state is carried between decisions.

        So with the encoder ``delta``, and with ``alif`` at one time step: it feels its input one
        step late.
        """
        assert self.encoder_parameters is not None  # filled in above
        late = self.neuron == "alif" and self.time_steps == 1
        return late or self.encoder_parameters.needs_previous

    def _fill(self, part: str) -> None:
        name, types = getattr(self, part), _PARTS[part]
        _check_choice(part, name, tuple(types))
        given = getattr(self, f"{part}_parameters")
        object.__setattr__(self, f"{part}_parameters", _typed(given, types[name], part, name))

    def _check_controlled_slope(self) -> None:
        controller = None if self.regulation is None else self.regulation.controller
        if (
            controller is not None
            and controller.controlled == "slope"
            and self.surrogate == "triangle"
        ):
            raise ValueError(
                "the window of surrogate 'triangle' is as wide at every slope, so controlled="
                "'slope' has nothing to move; use another surrogate, or control 'gain' or "
                "'threshold'"
            )

    def _check_time_constants(self) -> None:
        for part in ("neuron", "decoder"):
            parameters = getattr(self, f"{part}_parameters")
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
        """Build a configuration from plain values, as ``to_dict`` gives them.

        Args:
            mapping: Values by field name; lists serve as tuples, mappings as parameters.

        Raises:
            ValueError: A key is unknown, or a value has a wrong type or is not allowed.
        """
        values = dict(mapping)
        for part, types in _PARTS.items():
            name = values.get(part, getattr(cls, part))
            given = values.get(f"{part}_parameters")
            if isinstance(given, Mapping) and isinstance(name, str):
                _check_choice(part, name, tuple(types))
                values[f"{part}_parameters"] = from_mapping(types[name], given, f"network: {part}")
        return from_mapping(cls, values, "network")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON types."""
        return to_mapping(self)


def _typed(given: Any, kind: type[ParametersT], part: str, name: str) -> ParametersT:
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


def _check_choice(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        own = "; one of your own: import the package that registers it first"
        hint = own if field == "neuron" else ""
        raise ValueError(f"{field} {value!r} is unknown; allowed: {', '.join(allowed)}{hint}")
