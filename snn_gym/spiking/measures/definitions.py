"""The measures by name: what each is computed from, its unit, and when it is valid.

A layer's or connection's view holds the arrays; a field that is None is not known, and a measure
that needs it does not apply. What recordings are too short for follows from the sampling error of
each measure, given beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from snn_gym.spiking.measures import arrays
from snn_gym.spiking.measures.arrays import (
    Array,
    FloatArray,
    Measure,
    make_measure,
    spikes_per_step,
)

# ---- layers --------------------------------------------------------------------------------------
# Measures of layers and of the weights between them, as functions of arrays.
#
# Spikes and voltages are (T, B, N): T time steps of B decisions, N neurons.
SATURATED_SPIKES_PER_STEP = 0.9
"""From here on a neuron counts as saturated: it can hardly fire more."""


def silent_share(spikes: Array) -> float:
    """Return the share of neurons that never fire in the recording, all decisions pooled.

    Args:
        spikes: (T, B, N), 0 or 1.
    """
    return float(np.mean(spikes_per_step(spikes) == 0.0))


def saturated_share(spikes: Array) -> float:
    """Return the share of neurons that fire in at least 0.9 of the time steps.

    Args:
        spikes: (T, B, N), 0 or 1.
    """
    return float(np.mean(spikes_per_step(spikes) >= SATURATED_SPIKES_PER_STEP))


def synchrony(voltages: Array) -> float:
    """Return Golomb's synchrony, ``chi^2 = Var_t(mean_i v_i) / mean_i Var_t(v_i)``.

    1 if all neurons move as one, of order 1/N if they move independently (Golomb & Rinzel 1993,
    https://doi.org/10.1103/PhysRevE.48.4810; Golomb 2007,
    https://doi.org/10.4249/scholarpedia.1347, whose chi is the square root). Variances are over
    the time steps of a decision and are averaged over the batch before the division, so that
    differences between observations don't count. Potentials are those before the reset.

    Args:
        voltages: (T, B, N).

    Returns:
        chi^2 in [0, 1], NaN if no potential moves.
    """
    exact = voltages.astype(np.float64)
    together = exact.mean(axis=2).var(axis=0).mean()
    alone = exact.var(axis=0).mean()
    return float(together / alone) if alone > 0 else math.nan


def spike_ratio(spikes: Array, before: Array) -> float:
    """Return the spikes of a layer over those of the layer before it.

    The layer-to-layer branching ratio of a feed-forward network: above 1 activity grows with
    depth, below 1 it dies out (Beggs & Plenz 2003,
    https://doi.org/10.1523/JNEUROSCI.23-35-11167.2003, define it over time).

    Args:
        spikes: (T, B, N), 0 or 1.
        before: (T, B, M), 0 or 1.

    Returns:
        Ratio, at least 0; NaN if the layer before is silent.
    """
    total = float(before.sum(dtype=np.float64))
    return float(spikes.sum(dtype=np.float64)) / total if total > 0 else math.nan


def participation_dimension(spikes: Array) -> float:
    """Return how many dimensions the layer's activity spreads over decisions.

    ``(sum_k lambda_k)^2 / sum_k lambda_k^2`` with the eigenvalues of the covariance, over the
    batch, of the neurons' spike counts (Rajan, Abbott & Sompolinsky 2010, "Inferring stimulus
    selectivity from the spatial structure of neural network dynamics", NIPS 23; Litwin-Kumar et
    al. 2017, https://doi.org/10.1016/j.neuron.2017.01.030). Computed as ``tr(C)^2 / tr(C C)``,
    which is the same without an eigendecomposition.

    Args:
        spikes: (T, B, N), 0 or 1.

    Returns:
        Dimension, from 1 to min(N, B - 1); NaN if no count differs between decisions.
    """
    counts = spikes.sum(axis=0, dtype=np.float64)
    centred = counts - counts.mean(axis=0)
    # The smaller of (N, N) and (B, B): both have the same non-zero eigenvalues.
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    squares = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0 else math.nan


def frobenius_norm(weights: Array) -> float:
    """Return the square root of the sum of the squared weights.

    Args:
        weights: (post, pre).
    """
    return float(np.linalg.norm(weights.astype(np.float64)))


def spectral_norm(weights: Array) -> float:
    """Return the largest singular value: the most that the weights stretch an input.

    Args:
        weights: (post, pre).
    """
    return float(np.linalg.norm(weights.astype(np.float64), ord=2))


def relative_change(weights: Array, older: Array) -> float:
    """Return how far weights have moved, ``||w - w_old|| / ||w_old||`` (Frobenius).

    Args:
        weights: (post, pre).
        older: (post, pre), an older copy.

    Returns:
        Relative change, at least 0; NaN if the older weights are all 0.
    """
    base = frobenius_norm(older)
    return frobenius_norm(weights.astype(np.float64) - older) / base if base > 0 else math.nan


# ---- definitions ---------------------------------------------------------------------------------
ViewT = TypeVar("ViewT")

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
_FEW_INTERVALS = (
    f"fewer than {MIN_INTERVALS} intervals between spikes, or a decision shorter than "
    f"{MIN_STEPS_PER_INTERVAL} mean intervals"
)
_FEW_COUNTS = f"fewer than {MIN_DECISIONS} decisions, or no spike"
_FEW_VOLTAGES = f"one neuron, one time step, potentials that don't move, or {_FEW_SAMPLES}"
_FEW_DECISIONS = (
    f"fewer than {MIN_DECISIONS_PER_DIMENSION} decisions for each dimension, or no difference "
    "between decisions"
)


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer of a recording, as arrays."""

    name: str
    spikes: Array
    voltages: Array | None
    threshold: float | Array | None
    half_width: float | None
    before: Array | None
    """Spikes of the layer before."""
    dt_ms: float
    synops: float

    @property
    def samples(self) -> int:
        """Time steps of all decisions together, T·B."""
        return int(self.spikes.shape[0] * self.spikes.shape[1])


@dataclass(frozen=True, eq=False)
class ConnectionView:
    """The synapses of one connection, as arrays."""

    name: str
    weights: Array
    pre: Array | None
    """Spikes (T, B, pre) as the synapses see them."""
    post: Array | None
    """Spikes (T, B, post); None for the readout."""
    older: Array | None
    """An older copy of the weights."""
    total_drive: FloatArray | None
    """Drive of each neuron (post,), in Hz times weight, of all spiking connections onto it."""
    dt_ms: float
    taus_ms: tuple[float, float, float]
    """Time constants of the eligibility: pre, post, e."""


@dataclass(frozen=True)
class Definition(Generic[ViewT]):
    """How a measure is computed from a view, and the fields of the view that must be known."""

    compute: Callable[[ViewT], Measure]
    needs: tuple[str, ...] = ()


def _known(value: Array | None) -> Array:
    assert value is not None  # ``needs`` was checked
    return value


def _rate(view: LayerView) -> Measure:
    return make_measure(arrays.firing_rate_hz(view.spikes, view.dt_ms), "Hz")


def _voltage_mean(view: LayerView) -> Measure:
    return make_measure(arrays.voltage_moments(_known(view.voltages))[0], "voltage")


def _voltage_variance(view: LayerView) -> Measure:
    variance = arrays.voltage_moments(_known(view.voltages))[1]
    enough = view.samples >= MIN_SAMPLES
    return make_measure(variance, "voltage^2", enough=enough, reason=_FEW_SAMPLES)


def _margin(view: LayerView, which: int) -> Measure:
    assert view.threshold is not None  # ``needs`` was checked
    margins = arrays.threshold_margins(_known(view.voltages), view.threshold)
    return make_measure(margins[which], "voltage")


def _window(view: LayerView) -> Measure:
    assert view.threshold is not None  # ``needs`` was checked
    assert view.half_width is not None
    share = arrays.window_share(_known(view.voltages), view.threshold, view.half_width)
    return make_measure(share, "1", enough=view.samples >= MIN_SAMPLES, reason=_FEW_SAMPLES)


def _cv(view: LayerView) -> Measure:
    cv, counts, means = arrays.cv_of_intervals(view.spikes)
    # A comparison with NaN, of a neuron without intervals, is False.
    long = MIN_STEPS_PER_INTERVAL * means <= view.spikes.shape[0]
    return make_measure(cv, "1", enough=(counts >= MIN_INTERVALS) & long, reason=_FEW_INTERVALS)


def _fano(view: LayerView) -> Measure:
    enough = view.spikes.shape[1] >= MIN_DECISIONS
    return make_measure(arrays.fano_factor(view.spikes), "1", enough=enough, reason=_FEW_COUNTS)


def _activity_share(view: LayerView, share: Callable[[Array], float]) -> Measure:
    enough = view.samples >= MIN_SAMPLES
    return make_measure(share(view.spikes), "1", enough=enough, reason=_FEW_SAMPLES)


def _synchrony(view: LayerView) -> Measure:
    time_steps, _, size = view.spikes.shape
    enough = size > 1 and time_steps > 1 and view.samples >= MIN_SAMPLES
    value = synchrony(_known(view.voltages))
    return make_measure(value, "1", enough=enough, reason=_FEW_VOLTAGES)


def _spike_ratio(view: LayerView) -> Measure:
    ratio = spike_ratio(view.spikes, _known(view.before))
    return make_measure(ratio, "1", reason="the layer before is silent")


def _participation(view: LayerView) -> Measure:
    dimension = participation_dimension(view.spikes)
    # A comparison with NaN is False.
    enough = MIN_DECISIONS_PER_DIMENSION * dimension <= view.spikes.shape[1] - 1
    return make_measure(dimension, "1", enough=enough, reason=_FEW_DECISIONS)


def _synops(view: LayerView) -> Measure:
    return make_measure(view.synops, "SynOps per decision")


def _synapse_rate(view: ConnectionView, spikes: Array | None, axis: int) -> Measure:
    rates = arrays.firing_rate_hz(_known(spikes), view.dt_ms)
    return make_measure(np.broadcast_to(np.expand_dims(rates, axis), view.weights.shape), "Hz")


def _eligibility(view: ConnectionView) -> Measure:
    pre = _known(view.pre)
    post = view.post
    if post is None:
        # A readout learns from the presynaptic trace alone.
        post = np.ones((*pre.shape[:2], view.weights.shape[0]))
    eligibility = arrays.mean_eligibility(pre, post, view.dt_ms, view.taus_ms)
    return make_measure(eligibility, "1")


def _coincidence(view: ConnectionView) -> Measure:
    pre = _known(view.pre)
    enough = pre.shape[0] * pre.shape[1] >= MIN_SAMPLES
    joint = arrays.coincidence(pre, _known(view.post))
    return make_measure(joint, "1", enough=enough, reason=_FEW_SAMPLES)


def _drive_share(view: ConnectionView) -> Measure:
    rates = arrays.firing_rate_hz(_known(view.pre), view.dt_ms)
    share = arrays.drive_share(view.weights, rates, view.total_drive)
    return make_measure(share, "1", reason="a neuron gets no spikes through its synapses")


def _relative_change(view: ConnectionView) -> Measure:
    change = relative_change(view.weights, _known(view.older))
    return make_measure(change, "1", reason="the older weights are 0")


_MARGIN_NEEDS = ("voltages", "threshold")

NEURON_MEASURES: Mapping[str, Definition[LayerView]] = {
    "rate_hz": Definition(_rate),
    "voltage_mean": Definition(_voltage_mean, ("voltages",)),
    "voltage_variance": Definition(_voltage_variance, ("voltages",)),
    "margin_mean": Definition(lambda view: _margin(view, 0), _MARGIN_NEEDS),
    "margin_closest": Definition(lambda view: _margin(view, 1), _MARGIN_NEEDS),
    "window_share": Definition(_window, (*_MARGIN_NEEDS, "half_width")),
    "cv_isi": Definition(_cv),
    "fano_factor": Definition(_fano),
}
"""Measures (N,) of a layer's neurons."""

LAYER_MEASURES: Mapping[str, Definition[LayerView]] = {
    "silent_share": Definition(lambda view: _activity_share(view, silent_share)),
    "saturated_share": Definition(lambda view: _activity_share(view, saturated_share)),
    "synchrony": Definition(_synchrony, ("voltages",)),
    "spike_ratio": Definition(_spike_ratio, ("before",)),
    "participation_dimension": Definition(_participation),
    "synops_per_decision": Definition(_synops),
}
"""Measures () of a layer."""

SYNAPSE_MEASURES: Mapping[str, Definition[ConnectionView]] = {
    "weight": Definition(lambda view: make_measure(view.weights, "weight")),
    "pre_rate_hz": Definition(lambda view: _synapse_rate(view, view.pre, 0), ("pre",)),
    "post_rate_hz": Definition(lambda view: _synapse_rate(view, view.post, 1), ("post",)),
    "eligibility": Definition(_eligibility, ("pre",)),
    "coincidence": Definition(_coincidence, ("pre", "post")),
    "drive_share": Definition(_drive_share, ("pre",)),
}
"""Measures (post, pre) of a connection's synapses."""

WEIGHT_MEASURES: Mapping[str, Definition[ConnectionView]] = {
    "frobenius_norm": Definition(lambda view: make_measure(frobenius_norm(view.weights), "weight")),
    "spectral_norm": Definition(lambda view: make_measure(spectral_norm(view.weights), "weight")),
    "relative_change": Definition(_relative_change, ("older",)),
}
"""Measures () of a connection's weights."""
