"""Encoders: intensities in [0, 1] to spikes over time steps.

Environments and networks share one implementation of each encoder. It computes in numpy, so that
its import is cheap and equal values give equal spikes: a tensor is viewed as an array, and its
spikes come back as a tensor on the same device. Spikes carry no gradient to the intensity.
Intensities outside [0, 1] are clipped, as a sensor saturates at its limits.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, Positive, PositiveShare, Range, from_mapping
from snn_gym._base.lazy import cached
from snn_gym._base.names import check_new_name, check_subclass, did_you_mean

ArrayT = TypeVar("ArrayT")
"""A numpy array or a torch tensor."""

FloatArray: TypeAlias = NDArray[np.float32]
Timing = Literal["poisson", "regular"]

LEARNED = "learnable_population"
"""Name of the learned encoder, which only networks have."""

SPIKE_TRAINS = "spikes"
"""Name in place of an encoder's if observations are spike trains."""

RECEPTIVE_FIELD_MACS = 3
"""Multiplications of a Gaussian receptive field: by the inverse width, the square, by -1/2."""

INTENSITY_RANGE = 3.0
"""Standardised observations in [-3, 3] span the intensities [0, 1] of encoders in networks."""

NOTHING_SEEN = -1.0
"""Intensity before the first one of an episode, in the state of a network that compares them."""

INTEGRATED = 0.999
"""Activity for a spike of ``ReceptiveFields``: 1 - ε of the paper, as in its authors' code."""


class EncoderInputs(NamedTuple):
    """Checked numbers of a spike encoder."""

    intensity: FloatArray
    """(..., D) in [0, 1]."""
    time_steps: int
    noise: FloatArray
    """(T, ..., channels) in [0, 1), or empty where not needed."""
    previous: FloatArray
    """(..., D) in [0, 1], or empty where not needed."""


class BaseEncoder(Config):
    """Interface of all encoders, with the defaults of the simplest one."""

    channel_macs: ClassVar[int] = 0
    """Multiplications for each channel in a decision."""

    @property
    def needs_noise(self) -> bool:
        """Whether encoding draws uniform random numbers."""
        return False

    @property
    def needs_previous(self) -> bool:
        """Whether encoding compares with the intensity one environment step before."""
        return False

    def channels(self, dimensions: int) -> int:
        """Return the number of input channels for ``dimensions`` values."""
        return dimensions

    def macs(self, dimensions: int, time_steps: int) -> int:
        """Return the multiplications of one decision, ``channel_macs`` for each channel."""
        del time_steps
        return self.channel_macs * self.channels(dimensions)


@dataclass(frozen=True)
class ConstantEncoder(BaseEncoder):
    """Feed the observation as a current that is constant over the time steps; for networks only."""


class SpikeEncoder(BaseEncoder, ABC):
    """Base of encoders from intensities to spikes.

    A subclass is a frozen dataclass whose fields are its parameters. It defines ``_spikes``, and
    overrides ``channels``, ``macs``, ``needs_noise`` and ``needs_previous`` if they differ.
    """

    def encode(
        self,
        intensity: ArrayT,
        time_steps: int,
        *,
        noise: ArrayT | None = None,
        previous: ArrayT | None = None,
    ) -> ArrayT:
        """Encode intensities as spikes.

        Args:
            intensity: Array or tensor (..., D), clipped to [0, 1].
            time_steps: Number T of time steps, at least 1.
            noise: Uniform in [0, 1), (T, ..., channels); needed if ``needs_noise``,
                else ignored.
            previous: Intensity of the last environment step, of the same shape; needed if
                ``needs_previous``, else ignored.

        Returns:
            Spikes (T, ..., channels), float32, each 0 or 1, of the type and on the
            device of ``intensity``.

        Raises:
            ValueError: ``time_steps`` is below 1, an intensity is NaN, or noise or
                previous is needed and absent or of a wrong shape.
        """
        if time_steps < 1:
            raise ValueError(f"time_steps must be at least 1, got {time_steps}")
        values = _intensities(intensity, "intensity")
        noise_values = self._noise_for(values, time_steps, noise)
        previous_values = self._previous_for(values, previous)
        spikes = self._spikes(EncoderInputs(values, time_steps, noise_values, previous_values))
        if isinstance(intensity, np.ndarray):
            return cast(ArrayT, spikes)
        # A tensor's library is loaded already; users of environments need not load it.
        tensor: Any = intensity
        return cast(ArrayT, sys.modules["torch"].from_numpy(spikes).to(tensor.device))

    @abstractmethod
    def _spikes(self, inputs: EncoderInputs) -> FloatArray:
        """Return the spikes (T, ..., channels) of checked inputs."""

    def _noise_for(self, intensity: FloatArray, time_steps: int, noise: Any) -> FloatArray:
        """Return the noise (T, ..., channels), empty if not needed; ValueError if unfit."""
        if not self.needs_noise:
            return np.empty(0, np.float32)
        dimensions = intensity.shape[-1]
        expected = (time_steps, *intensity.shape[:-1], self.channels(dimensions))
        if noise is None:
            raise ValueError(f"{type(self).__name__} needs noise: pass uniform numbers {expected}")
        values = _as_float_array(noise)
        if values.shape != expected:
            raise ValueError(f"noise has shape {values.shape}, expected {expected}")
        return values

    def _previous_for(self, intensity: FloatArray, previous: Any) -> FloatArray:
        """Return the last intensity, empty if not needed; ValueError if it doesn't fit."""
        if not self.needs_previous:
            return np.empty(0, np.float32)
        if previous is None:
            raise ValueError(
                f"{type(self).__name__} needs previous: pass the intensity one environment "
                "step before, at the start of an episode the intensity itself"
            )
        values = _intensities(previous, "previous")
        if values.shape != intensity.shape:
            raise ValueError(f"previous has shape {values.shape}, expected {intensity.shape}")
        return values


class _RateCode(SpikeEncoder):
    """Base of encoders whose channels spike at a rate, with Poisson or regular timing."""

    timing: Timing  # a field of the subclasses

    @property
    def needs_noise(self) -> bool:
        """Whether ``encode`` needs uniform random numbers: with Poisson timing."""
        return self.timing == "poisson"

    def macs(self, dimensions: int, time_steps: int) -> int:
        """Return the multiplications of one decision; regular timing adds t·x at each time step."""
        steps = time_steps if self.timing == "regular" else 0
        return (self.channel_macs + steps) * self.channels(dimensions)


@dataclass(frozen=True)
class RateEncoder(_RateCode):
    """Spike at a rate proportional to the intensity x, at most once per time step.

    ``poisson``: independent spikes of probability x in every time step (the Bernoulli
    approximation of a Poisson process). ``regular``: evenly spaced spikes, one whenever
    ⌊t·x⌋ grows, so that T time steps hold exactly ⌊T·x⌋ spikes.

    Rate coding: Adrian and Zotterman, "The impulses produced by sensory nerve endings:
    Part II", J. Physiol. 61 (1926), https://doi.org/10.1113/jphysiol.1926.sp002281.
    """

    timing: Timing = "poisson"
    """``poisson`` or ``regular``."""

    def _spikes(self, inputs: EncoderInputs) -> FloatArray:
        return _rate_spikes(inputs.intensity, inputs, self.timing)


@dataclass(frozen=True)
class LatencyEncoder(SpikeEncoder):
    """Spike exactly once, the earlier the higher the intensity x (time to first spike).

    The spike falls in time step ⌊(1 − x)(T − 1) + 1/2⌋ of 0 … T − 1: the first for x = 1, the last
    for x = 0. With T = 1 it carries no information.

    Thorpe, Delorme and Van Rullen, "Spike-based strategies for rapid processing",
    Neural Networks 14 (2001), https://doi.org/10.1016/S0893-6080(01)00083-1.
    """

    channel_macs = 1  # for the time of the spike

    def _spikes(self, inputs: EncoderInputs) -> FloatArray:
        last = np.float32(inputs.time_steps - 1)
        spike_time = np.floor((1 - inputs.intensity) * last + np.float32(0.5))
        spikes: NDArray[np.bool_] = _steps(inputs.time_steps, spike_time.ndim) == spike_time
        return spikes.astype(np.float32)


@dataclass(frozen=True)
class PopulationEncoder(_RateCode):
    """Encode each value by a population of neurons with Gaussian receptive fields.

    Neuron i of n prefers the intensity c_i = i / (n − 1) and has the activity
    a_i(x) = exp(−(x − c_i)² / 2σ²), σ = width / (n − 1), which is then encoded as a
    rate. Channels are ordered value by value: value d owns channels d·n … d·n + n − 1.

    Receptive fields: Bohte, La Poutré and Kok, "Unsupervised clustering with spiking
    neurons by sparse temporal coding and multilayer RBF networks", IEEE Trans. Neural
    Networks 13 (2002), https://doi.org/10.1109/72.991428. Population coding of
    observations for control: Tang et al., "Deep reinforcement learning with
    population-coded spiking neural network for continuous control" (2020),
    https://arxiv.org/abs/2010.09635; centres and widths are learned there and fixed here.
    """

    channel_macs = RECEPTIVE_FIELD_MACS

    neurons_per_dimension: Annotated[int, Range(at_least=2)] = 10
    width: Positive = 1.0
    """Standard deviation σ of a receptive field in units of the spacing of the centres."""
    timing: Timing = "regular"
    """``regular`` or ``poisson``, as in ``RateEncoder``."""

    def channels(self, dimensions: int) -> int:
        """Return ``dimensions`` times ``neurons_per_dimension``."""
        return dimensions * self.neurons_per_dimension

    @property
    def centres(self) -> FloatArray:
        """Preferred intensities (n,)."""
        return _centres(self.neurons_per_dimension)

    @property
    def steepness(self) -> float:
        """1/σ: the range of intensities, 0 to 1, in standard deviations of a receptive field."""
        return (self.neurons_per_dimension - 1) / self.width

    def _spikes(self, inputs: EncoderInputs) -> FloatArray:
        intensity, neurons = inputs.intensity, self.neurons_per_dimension
        # (..., D, 1) - (n,) -> (..., D, n), distance in standard deviations
        distance = (intensity[..., np.newaxis] - self.centres) * np.float32(self.steepness)
        activity = np.exp(np.float32(-0.5) * distance * distance)
        # (..., D, n) -> (..., D * n)
        activity = activity.reshape(*intensity.shape[:-1], intensity.shape[-1] * neurons)
        return _rate_spikes(activity, inputs, self.timing)


@dataclass(frozen=True)
class DeltaEncoder(SpikeEncoder):
    """Report changes since the last environment step as ON and OFF spikes.

    A rise by Δ gives ⌊Δ / threshold⌋ spikes, at most T, on the value's ON channel, and a fall as
    many on its OFF channel, in the first time steps. Value d owns channels 2d (ON) and 2d + 1
    (OFF). Unlike in the sensor, a change below the threshold is not carried over to the next
    environment step. At the start of an episode every channel is silent.

    The event-based sensor: Lichtsteiner, Posch and Delbruck, "A 128×128 120 dB 15 μs
    latency asynchronous temporal contrast vision sensor", IEEE J. Solid-State Circuits
    43 (2008), https://doi.org/10.1109/JSSC.2007.914337.
    """

    channel_macs = 1  # the division by the threshold

    threshold: PositiveShare = 0.01
    """Change of intensity that makes one spike."""

    @property
    def needs_previous(self) -> bool:
        """True: ``encode`` needs the last intensity."""
        return True

    def channels(self, dimensions: int) -> int:
        """Return two channels, ON and OFF, for each value."""
        return 2 * dimensions

    def _spikes(self, inputs: EncoderInputs) -> FloatArray:
        change = inputs.intensity - inputs.previous
        # (..., D) twice -> (..., D, 2) -> (..., 2 * D); a negative count gives no spike
        signed = np.stack([change, -change], axis=-1)
        signed = signed.reshape(*change.shape[:-1], 2 * change.shape[-1])
        count = np.floor(signed / np.float32(self.threshold))
        return (_steps(inputs.time_steps, change.ndim) < count).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ReceptiveFields:
    """Learned Gaussian receptive fields; each adds up its activity until it spikes.

    Value d has n fields, whose activity is ``exp(-((x - centre) / width)**2 / 2)``. Channels are
    ordered value by value, as in ``PopulationEncoder``. Tang et al. 2020,
    https://arxiv.org/abs/2010.09635, equations 1 and 2.
    """

    centres: FloatArray
    """(D, n), in units of standardised observations."""
    widths: FloatArray
    """(D, n), standard deviations in these units, not 0."""

    def __post_init__(self) -> None:
        """Raise ValueError unless centres and widths are both (D, n) and no width is 0."""
        if self.centres.ndim != 2 or self.centres.shape != self.widths.shape:
            raise ValueError(
                f"receptive fields have centres of shape {self.centres.shape} and widths of "
                f"{self.widths.shape}; expected (D, n) of both"
            )
        if not np.all(self.widths != 0):
            raise ValueError("the widths of receptive fields must not be 0")

    def macs(self, dimensions: int, time_steps: int) -> int:
        """Return the multiplications of one decision: 3 for each channel, and T to add up."""
        del dimensions
        return (RECEPTIVE_FIELD_MACS + time_steps) * self.centres.size

    def encode(self, values: FloatArray, time_steps: int) -> FloatArray:
        """Encode standardised observations (B, D) as spikes (T, B, D * n), float32."""
        distance = (values[..., np.newaxis] - self.centres) / self.widths
        activity = np.exp(np.float32(-0.5) * distance * distance).reshape(len(values), -1)
        # Soft reset: activity above the threshold remains for the next time step.
        summed, spikes = np.zeros_like(activity), []
        for _ in range(time_steps):
            summed = summed + activity
            fired = (summed > np.float32(INTEGRATED)).astype(np.float32)
            summed = summed - np.float32(INTEGRATED) * fired
            spikes.append(fired)
        return np.stack(spikes)


Encoder: TypeAlias = ConstantEncoder | SpikeEncoder

ENCODERS: dict[str, type[ConstantEncoder] | type[SpikeEncoder]] = {
    "constant": ConstantEncoder,
    "rate": RateEncoder,
    "latency": LatencyEncoder,
    "population": PopulationEncoder,
    "delta": DeltaEncoder,
}
"""Encoders by name; ``register_encoder`` adds to it."""


def encoder_name(encoder: SpikeEncoder | ReceptiveFields) -> str:
    """Return the registered name of an encoder; ValueError if its class is not registered."""
    if isinstance(encoder, ReceptiveFields):
        return LEARNED
    for name, kind in ENCODERS.items():
        if kind is type(encoder):
            return name
    raise ValueError(
        f"encoder {type(encoder).__name__!r} is not registered, and files hold names and no code; "
        "call snn_gym.spiking.register_encoder first"
    )


def spike_encoders() -> tuple[str, ...]:
    """Return the names of registered encoders to spikes: all but ``constant``."""
    return tuple(name for name, kind in ENCODERS.items() if issubclass(kind, SpikeEncoder))


def register_encoder(name: str, encoder_type: type[SpikeEncoder]) -> None:
    """Add an encoder for environments and ``NetworkConfig.encoder``.

    Configurations and files hold the name and the parameters, never code: register the encoder
    before a model with it is loaded.

    Args:
        name: A new identifier.
        encoder_type: A frozen dataclass derived from ``SpikeEncoder``, all of whose fields have
            defaults.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: ``encoder_type`` is no such subclass, no dataclass, or abstract. Whether fields
            have defaults is not checked.
    """
    check_new_name(name, "encoder", (*ENCODERS, LEARNED, SPIKE_TRAINS))
    check_subclass("encoder_type", encoder_type, SpikeEncoder)
    missing = sorted(getattr(encoder_type, "__abstractmethods__", ()))
    if missing:
        raise TypeError(f"{encoder_type.__name__} must define {', '.join(missing)}")
    if "__dataclass_fields__" not in vars(encoder_type):
        raise TypeError(
            f"{encoder_type.__name__} must be a dataclass: decorate it with @dataclass(frozen=True)"
        )
    ENCODERS[name] = encoder_type


def make_encoder(name: str, parameters: Mapping[str, Any] | None = None) -> Encoder:
    """Make an encoder by its registered name; parameters that are not given take their defaults.

    Raises:
        ValueError: The name or a parameter is unknown, or a value does not fit.
    """
    if name not in ENCODERS:
        near = did_you_mean(str(name), ENCODERS)
        raise ValueError(f"encoder {name!r} is unknown{near} known encoders: {', '.join(ENCODERS)}")
    return from_mapping(ENCODERS[name], parameters or {}, f"encoder {name!r}")


def _as_float_array(values: Any) -> FloatArray:
    if not isinstance(values, np.ndarray):
        values = values.detach().cpu().numpy()
    return cast(FloatArray, values.astype(np.float32, copy=False))


def _intensities(values: Any, name: str) -> FloatArray:
    """Return values as float32 clipped to [0, 1]; NaN raises ValueError."""
    array = _as_float_array(values)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis (..., D), got a scalar")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds NaN; encoders need numbers, clipped to [0, 1]")
    return np.clip(array, np.float32(0), np.float32(1))


@cached
def _centres(neurons: int) -> FloatArray:
    """Return preferred intensities (n,), evenly spaced from 0 to 1."""
    centres = np.linspace(0, 1, neurons, dtype=np.float32)
    centres.setflags(write=False)  # all callers share it
    return centres


@cached
def _steps(time_steps: int, intensity_axes: int) -> FloatArray:
    """Return 0 … T − 1 in the shape (T, 1, …), to broadcast against intensities."""
    steps = np.arange(time_steps, dtype=np.float32).reshape(-1, *[1] * intensity_axes)
    steps.setflags(write=False)  # all callers share it
    return steps


def _rate_spikes(rate: FloatArray, inputs: EncoderInputs, timing: Timing) -> FloatArray:
    """Return spikes (T, ...) at ``rate``, in spikes per time step."""
    if timing == "poisson":  # noise in [0, 1) is below a rate of 1 at every time step
        return (inputs.noise < rate).astype(np.float32)
    spikes_until = np.floor(_steps(inputs.time_steps + 1, rate.ndim) * rate)
    return cast(FloatArray, spikes_until[1:] - spikes_until[:-1])
