"""Measures by name: formula, unit, and the length of recording from which on they are valid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn_gym.spiking.measures import arrays
from snn_gym.spiking.measures.arrays import Array, FloatArray

# Of n samples, an event not seen has probability below 3 / n (Hanley & Lippman-Hand 1983,
# https://doi.org/10.1001/jama.1983.03330370053031): 0.1 for 30.
MIN_SAMPLES = 30
# The relative error of a CV, or of a variance, from n samples is about 1 / sqrt(2 n): 16 % for 20.
MIN_INTERVALS = 20
MIN_DECISIONS = 20
# Intervals longer than the recording are never seen, which makes firing look regular and fast.
MIN_STEPS_PER_INTERVAL = 5
# Of B decisions, 1 / dimension is overestimated by about 1 / (B - 1): at most a fifth is accepted.
MIN_DECISIONS_PER_DIMENSION = 5

_FEW_SAMPLES = f"fewer than {MIN_SAMPLES} time steps, all decisions of the batch together"


@dataclass(frozen=True, eq=False)
class Measure:
    """Values of one measure, with their unit and validity."""

    value: FloatArray
    """(N,) of neurons, (post, pre) of synapses, () of a layer; NaN where undefined."""
    unit: str
    """Unit of the values; "1" for pure numbers."""
    valid: NDArray[np.bool_]
    """Same shape: False where the value is undefined, or noise because the recording is short."""
    reason: str | None = None
    """Why values are not valid; None if all are."""

    @property
    def all_valid(self) -> bool:
        """Whether every value is valid."""
        return bool(self.valid.all())

    def mean(self) -> float:
        """Return the mean of the valid values, NaN if there are none."""
        return float(self.value[self.valid].mean()) if self.valid.any() else math.nan


# Any: a field may be None where the array is not known; ``Definition.needs`` guards the access.
@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer of a recording, as arrays."""

    name: str
    spikes: Array
    voltages: Any
    threshold: Any
    """Number, or (T, B, N) where it adapts."""
    half_width: Any
    """Half-width of the surrogate window."""
    before: Any
    """Spikes of the layer before; None for the first recorded layer."""
    dt_ms: float
    synops: float

    @property
    def samples(self) -> int:
        """Time steps of all decisions together, T·B."""
        return int(self.spikes.shape[0] * self.spikes.shape[1])

    @cached_property
    def intervals(self) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
        """CV, number and mean of the intervals between spikes, each (N,)."""
        return arrays.cv_of_intervals(self.spikes)

    @cached_property
    def dimension(self) -> float:
        """Participation dimension of the spike counts."""
        return arrays.participation_dimension(self.spikes)


@dataclass(frozen=True, eq=False)
class ConnectionView:
    """The synapses of one connection, as arrays."""

    name: str
    weights: Array
    pre: Any
    """Spikes (T, B, pre) that arrive at the synapses; None for an analogue input."""
    post: Any
    """Spikes (T, B, post); None for the readout."""
    older: Any
    """An older copy of the weights; None if unknown."""
    total_drive: FloatArray | None
    """Drive of each neuron (post,), in Hz times weight, of all spiking connections onto it."""
    dt_ms: float
    taus_ms: tuple[float, float, float]
    """Time constants of the eligibility: pre, post, e."""


ViewT = TypeVar("ViewT")


@dataclass(frozen=True)
class Definition(Generic[ViewT]):
    """Formula of a measure, its unit and its conditions."""

    formula: Callable[[ViewT], ArrayLike]
    unit: str
    needs: tuple[str, ...] = ()
    """Fields of the view that must be known."""
    is_sampled: Callable[[ViewT], ArrayLike] = lambda _view: True
    """Whether the recording is long enough, broadcast against the values."""
    reason: str = ""
    """Why values are undefined or noise."""

    def compute(self, view: ViewT) -> Measure:
        """Return the measure of a view, whose ``needs`` are not checked.

        Values that are not finite or insufficiently sampled are not valid.
        """
        values = np.asarray(self.formula(view), dtype=np.float64)
        sampled = np.asarray(self.is_sampled(view), dtype=np.bool_)
        valid = np.isfinite(values) & np.broadcast_to(sampled, values.shape)
        return Measure(values, self.unit, valid, None if valid.all() else self.reason)


# ---- neurons and layers --------------------------------------------------------------------------
def _enough_samples(view: LayerView) -> bool:
    return view.samples >= MIN_SAMPLES


def _enough_intervals(view: LayerView) -> Array:
    _, counts, means = view.intervals
    # A comparison with NaN, of a neuron without intervals, is False.
    long = MIN_STEPS_PER_INTERVAL * means <= view.spikes.shape[0]
    enough: Array = (counts >= MIN_INTERVALS) & long
    return enough


def _moves(view: LayerView) -> bool:
    time_steps, _, size = view.spikes.shape
    return size > 1 and time_steps > 1 and view.samples >= MIN_SAMPLES


_THRESHOLD = ("voltages", "threshold")

NEURON_MEASURES: Mapping[str, Definition[LayerView]] = {
    "rate_hz": Definition(lambda x: arrays.firing_rate_hz(x.spikes, x.dt_ms), "Hz"),
    "voltage_mean": Definition(
        lambda x: arrays.voltage_mean(x.voltages), "voltage", needs=("voltages",)
    ),
    "voltage_variance": Definition(
        lambda x: arrays.voltage_variance(x.voltages),
        "voltage^2",
        needs=("voltages",),
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "margin_mean": Definition(
        lambda x: arrays.threshold_margins(x.voltages, x.threshold).mean(axis=(0, 1)),
        "voltage",
        needs=_THRESHOLD,
    ),
    "margin_closest": Definition(
        lambda x: arrays.threshold_margins(x.voltages, x.threshold).min(axis=(0, 1)),
        "voltage",
        needs=_THRESHOLD,
    ),
    "window_share": Definition(
        lambda x: arrays.window_share(x.voltages, x.threshold, x.half_width),
        "1",
        needs=(*_THRESHOLD, "half_width"),
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "cv_isi": Definition(
        lambda x: x.intervals[0],
        "1",
        is_sampled=_enough_intervals,
        reason=f"fewer than {MIN_INTERVALS} intervals between spikes, or a decision shorter than "
        f"{MIN_STEPS_PER_INTERVAL} mean intervals",
    ),
    "fano_factor": Definition(
        lambda x: arrays.fano_factor(x.spikes),
        "1",
        is_sampled=lambda x: x.spikes.shape[1] >= MIN_DECISIONS,
        reason=f"fewer than {MIN_DECISIONS} decisions, or no spike",
    ),
}
"""Measures (N,) of a layer's neurons."""

LAYER_MEASURES: Mapping[str, Definition[LayerView]] = {
    "silent_share": Definition(
        lambda x: arrays.silent_share(x.spikes),
        "1",
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "saturated_share": Definition(
        lambda x: arrays.saturated_share(x.spikes),
        "1",
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "synchrony": Definition(
        lambda x: arrays.synchrony(x.voltages),
        "1",
        needs=("voltages",),
        is_sampled=_moves,
        reason=f"one neuron, one time step, potentials that don't move, or {_FEW_SAMPLES}",
    ),
    "spike_ratio": Definition(
        lambda x: arrays.spike_ratio(x.spikes, x.before),
        "1",
        needs=("before",),
        reason="the layer before is silent",
    ),
    "participation_dimension": Definition(
        lambda x: x.dimension,
        "1",
        # A comparison with NaN is False.
        is_sampled=lambda x: MIN_DECISIONS_PER_DIMENSION * x.dimension <= x.spikes.shape[1] - 1,
        reason=f"fewer than {MIN_DECISIONS_PER_DIMENSION} decisions for each dimension, or no "
        "difference between decisions",
    ),
    "synops_per_decision": Definition(lambda x: x.synops, "SynOps per decision"),
}
"""Measures () of a layer."""


# ---- synapses and weights ------------------------------------------------------------------------
def _synapse_rates(view: ConnectionView, spikes: Array, axis: int) -> Array:
    rates = np.expand_dims(arrays.firing_rate_hz(spikes, view.dt_ms), axis)
    return np.broadcast_to(rates, view.weights.shape)


def _eligibility(view: ConnectionView) -> FloatArray:
    post = view.post
    if post is None:  # a readout learns from the presynaptic trace alone
        post = np.ones((*view.pre.shape[:2], view.weights.shape[0]))
    return arrays.mean_eligibility(view.pre, post, view.dt_ms, view.taus_ms)


def _drive_share(view: ConnectionView) -> FloatArray:
    rates = arrays.firing_rate_hz(view.pre, view.dt_ms)
    return arrays.drive_share(view.weights, rates, view.total_drive)


SYNAPSE_MEASURES: Mapping[str, Definition[ConnectionView]] = {
    "weight": Definition(lambda x: x.weights, "weight"),
    "pre_rate_hz": Definition(lambda x: _synapse_rates(x, x.pre, 0), "Hz", needs=("pre",)),
    "post_rate_hz": Definition(lambda x: _synapse_rates(x, x.post, 1), "Hz", needs=("post",)),
    "eligibility": Definition(_eligibility, "1", needs=("pre",)),
    "coincidence": Definition(
        lambda x: arrays.coincidence(x.pre, x.post),
        "1",
        needs=("pre", "post"),
        is_sampled=lambda x: x.pre.shape[0] * x.pre.shape[1] >= MIN_SAMPLES,
        reason=_FEW_SAMPLES,
    ),
    "drive_share": Definition(
        _drive_share,
        "1",
        needs=("pre",),
        reason="a neuron gets no spikes through its synapses",
    ),
}
"""Measures (post, pre) of a connection's synapses."""

WEIGHT_MEASURES: Mapping[str, Definition[ConnectionView]] = {
    "frobenius_norm": Definition(lambda x: arrays.frobenius_norm(x.weights), "weight"),
    "spectral_norm": Definition(lambda x: arrays.spectral_norm(x.weights), "weight"),
    "relative_change": Definition(
        lambda x: arrays.relative_change(x.weights, x.older),
        "1",
        needs=("older",),
        reason="the older weights are 0",
    ),
}
"""Measures () of a connection's weights."""
