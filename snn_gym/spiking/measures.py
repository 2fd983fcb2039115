"""Measures, as functions of arrays and by name.

Spikes (0 or 1) and voltages (before the reset) are (T, B, N): T time steps of B decisions, N
neurons. Weights are (post, pre), the layout of ``nn.Linear.weight``. Decisions are pooled, as if
they were one recording of T·B time steps; intervals between spikes never span two decisions.

A name has a formula, a unit, and the length of recording from which on the measure is valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Array: TypeAlias = NDArray[Any]


# ---- neurons -------------------------------------------------------------------------------------
def spikes_per_step(spikes: Array) -> FloatArray:
    """Return the share of time steps with a spike, (N,)."""
    share: FloatArray = spikes.mean(axis=(0, 1), dtype=np.float64)
    return share


def firing_rate_hz(spikes: Array, dt_ms: float) -> FloatArray:
    """Return spike counts over duration, (N,) in Hz.

    ``rate_i = sum_tb s_itb / (T B dt)`` (Dayan & Abbott 2001, Theoretical Neuroscience, eq. 1.4).
    """
    return spikes_per_step(spikes) * (1000.0 / dt_ms)


def voltage_mean(voltages: Array) -> FloatArray:
    """Return the mean membrane potential, (N,)."""
    mean: FloatArray = voltages.mean(axis=(0, 1), dtype=np.float64)
    return mean


def voltage_variance(voltages: Array) -> FloatArray:
    """Return the variance of the membrane potential, (N,); divides by T·B."""
    variance: FloatArray = voltages.var(axis=(0, 1), dtype=np.float64)
    return variance


def threshold_margins(voltages: Array, v_threshold: float | Array) -> FloatArray:
    """Return the distances below threshold ``theta - v``, (T, B, N), negative at a spike."""
    return np.asarray(v_threshold, dtype=np.float64) - voltages


def window_share(voltages: Array, v_threshold: float | Array, half_width: float) -> FloatArray:
    """Return the share of time with ``|v - theta| < half_width``, (N,).

    There the surrogate gradient lets a neuron learn (pseudo-derivative of Bellec et al. 2020,
    https://doi.org/10.1038/s41467-020-17236-y, whose window ends where it becomes 0).
    """
    distance = np.abs(voltages - np.asarray(v_threshold, dtype=np.float64))
    share: FloatArray = (distance < half_width).mean(axis=(0, 1), dtype=np.float64)
    return share


def interspike_intervals(spikes: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the time steps between consecutive spikes of a decision, and their neurons, in order.

    The first array holds the neurons, the second the intervals.
    """
    # (T, B, N) -> (N, B, T): nonzero then walks each neuron's decisions in order of time
    neurons, samples, steps = np.nonzero(np.transpose(spikes, (2, 1, 0)))
    same = (np.diff(neurons) == 0) & (np.diff(samples) == 0)
    return neurons[1:][same], np.diff(steps)[same]


def cv_of_intervals(spikes: Array) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
    """Return the irregularity of firing, and the number and mean of the intervals, each (N,).

    ``CV = std(ISI) / mean(ISI)`` is 0 for a clockwork and 1 for a Poisson process (Softky & Koch
    1993, https://doi.org/10.1523/JNEUROSCI.13-01-00334.1993). The deviation divides by the number
    of intervals. CV is NaN below two intervals, the mean where there are none.
    """
    neurons, intervals = interspike_intervals(spikes)
    size = spikes.shape[2]
    counts, sums, squares = (np.bincount(neurons, intervals**power, size) for power in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        cv = np.sqrt(counts * squares - sums**2) / np.where(counts > 1, sums, math.nan)
        return cv, counts.astype(np.int64), sums / counts


def fano_factor(spikes: Array) -> FloatArray:
    """Return the variance of the decisions' spike counts over their mean, (N,); NaN if silent.

    ``F = var_b(n_b) / mean_b(n_b)`` with ``n_b = sum_t s_tb``, 1 for a Poisson process (Fano 1947,
    https://doi.org/10.1103/PhysRev.72.26). It is defined for repetitions of one stimulus; over a
    batch it includes the differences between observations. The variance divides by B.
    """
    counts = spikes.sum(axis=0, dtype=np.float64)
    means = counts.mean(axis=0)
    factor: FloatArray = counts.var(axis=0) / np.where(means > 0, means, math.nan)
    return factor


# ---- synapses ------------------------------------------------------------------------------------
def delayed(spikes: Array) -> Array:
    """Return spikes (T, ...) one time step later, 0 at first, as recurrent synapses get them."""
    late = np.zeros_like(spikes)
    late[1:] = spikes[:-1]
    return late


def decay(dt_ms: float, tau_ms: float) -> float:
    """Return a trace's decay per time step, ``exp(-dt / tau)``, or 0 if tau is 0.

    Raises:
        ValueError: tau is below 0.
    """
    if not (math.isfinite(tau_ms) and tau_ms >= 0):
        raise ValueError(f"a time constant must be at least 0 ms and finite, got {tau_ms}")
    return math.exp(-dt_ms / tau_ms) if tau_ms > 0 else 0.0


def low_pass(spikes: Array, dt_ms: float, tau_ms: float) -> FloatArray:
    """Return the exponential traces ``x(t) = exp(-dt / tau) x(t - 1) + s(t)``, (T, ...)."""
    factor = decay(dt_ms, tau_ms)
    traces = spikes.astype(np.float64)
    for t in range(1, len(traces)):
        traces[t] += factor * traces[t - 1]
    return traces


def mean_eligibility(
    pre: Array, post: Array, dt_ms: float, taus_ms: tuple[float, float, float]
) -> FloatArray:
    """Return the eligibility of every synapse at the end of a decision, batch mean, (post, pre).

    With traces ``x_j`` of the presynaptic and ``y_i`` of the postsynaptic spikes (``low_pass``)::

        e_ij(t) = exp(-dt / tau_e) e_ij(t - 1) + y_i(t) x_j(t),    e_ij(0) = 0

    is taken at t = T, when a reward after the decision arrives. ``taus_ms`` are those of ``x``,
    ``y`` and ``e``. With tau 0, ``y_i`` is the spike itself, the potentiating half of
    spike-timing-dependent plasticity (Izhikevich 2007, https://doi.org/10.1093/cercor/bhl152;
    Frémaux & Gerstner 2016, https://doi.org/10.3389/fncir.2015.00085).
    """
    tau_pre_ms, tau_post_ms, tau_e_ms = taus_ms
    x, y = low_pass(pre, dt_ms, tau_pre_ms), low_pass(post, dt_ms, tau_post_ms)
    steps, batch, _ = x.shape
    # The recursion written out: step t of T counts with decay^(T - t).
    ages = np.arange(steps - 1, -1, -1, dtype=np.float64)
    y = y * (decay(dt_ms, tau_e_ms) ** ages)[:, np.newaxis, np.newaxis]
    # (T, B, N) -> (T * B, N): a sum over steps and decisions is one product
    mean: FloatArray = (y.reshape(steps * batch, -1).T @ x.reshape(steps * batch, -1)) / batch
    return mean


def coincidence(pre: Array, post: Array) -> FloatArray:
    """Return the share of time steps in which both neurons fire, ``mean_tb s_i s_j``, (post, pre).

    For independent neurons it is the product of their spikes per time step (zero-lag
    cross-correlation; Perkel, Gerstein & Moore 1967,
    https://doi.org/10.1016/S0006-3495(67)86597-4).
    """
    steps, batch, _ = pre.shape
    flat_pre = pre.reshape(steps * batch, -1).astype(np.float64)
    flat_post = post.reshape(steps * batch, -1).astype(np.float64)
    joint: FloatArray = flat_post.T @ flat_pre / (steps * batch)
    return joint


def drive(weights: Array, pre_rates: Array) -> FloatArray:
    """Return each synapse's drive ``|w_ij| r_j``, (post, pre), for rates ``pre_rates`` (pre,)."""
    return np.abs(weights).astype(np.float64) * pre_rates


def drive_share(weights: Array, pre_rates: Array, total: Array | None = None) -> FloatArray:
    """Return each synapse's share of its neuron's drive, ``|w_ij| r_j / sum_j |w_ij| r_j``.

    Ours; excitation and inhibition count alike. ``total`` (post,) includes the drive through other
    connections. NaN for neurons without drive.
    """
    own = drive(weights, pre_rates)
    whole = own.sum(axis=1) if total is None else np.asarray(total, dtype=np.float64)
    return own / np.where(whole > 0, whole, math.nan)[:, np.newaxis]


# ---- layers and weights --------------------------------------------------------------------------
SATURATED_SPIKES_PER_STEP = 0.9
"""Spikes per time step from which on a neuron counts as saturated."""


def silent_share(spikes: Array) -> float:
    """Return the share of neurons that never fire."""
    return float(np.mean(spikes_per_step(spikes) == 0.0))


def saturated_share(spikes: Array) -> float:
    """Return the share of neurons that fire in at least 0.9 of the time steps."""
    return float(np.mean(spikes_per_step(spikes) >= SATURATED_SPIKES_PER_STEP))


def synchrony(voltages: Array) -> float:
    """Return Golomb's synchrony, ``chi^2 = Var_t(mean_i v_i) / mean_i Var_t(v_i)``, 0 to 1.

    1 if all neurons move together, of order 1/N if they move independently, NaN if none moves
    (Golomb & Rinzel 1993, https://doi.org/10.1103/PhysRevE.48.4810; Golomb 2007,
    https://doi.org/10.4249/scholarpedia.1347, whose chi is the square root).
    """
    exact = voltages.astype(np.float64)
    # Variances over a decision's time steps, averaged over the batch before the division:
    # differences between observations do not count.
    together = exact.mean(axis=2).var(axis=0).mean()
    alone = exact.var(axis=0).mean()
    return float(together / alone) if alone > 0 else math.nan


def spike_ratio(spikes: Array, before: Array) -> float:
    """Return the spikes of a layer over those of the layer before it; NaN if that is silent.

    The layer-to-layer branching ratio of a feed-forward network: above 1 activity grows with
    depth, below 1 it dies out (Beggs & Plenz 2003,
    https://doi.org/10.1523/JNEUROSCI.23-35-11167.2003, define it over time).
    """
    total = float(before.sum(dtype=np.float64))
    return float(spikes.sum(dtype=np.float64)) / total if total > 0 else math.nan


def forward_sensitivity(spikes: Array, before: Array) -> float:
    """Return how much farther apart neighbours are than in the layer before.

    With ``d_l`` the number of spikes in which two decisions differ in layer l, and pairs (i, n(i))
    of each decision and the nearest one that differs in layer l - 1::

        r_l = mean_i d_l(i, n(i)) / mean_ij d_l(i, j),   forward sensitivity = r_l / r_(l-1)

    At 1 the layer keeps distances. Above it tears near decisions apart, so that after some layers
    near and far look alike: the chaotic phase of the theory of signal propagation (Schoenholz et
    al. 2017, https://arxiv.org/abs/1611.01232), whose correlation of two inputs it replaces,
    because a difference of spikes can't be infinitely small. NaN where the decisions of a layer
    don't differ. Of more than 512 decisions, the first 512 count.
    """
    distances = [_differing_spikes(x[:, :_MOST_COMPARED]) for x in (before, spikes)]
    alone = np.where(distances[0] > 0, distances[0], np.inf)
    nearest = alone.argmin(axis=1)
    rows = np.flatnonzero(np.isfinite(alone.min(axis=1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        near = [x[rows, nearest[rows]].sum() / x.sum() for x in distances]
        return float(near[1] / near[0])


def _differing_spikes(spikes: Array) -> FloatArray:
    """Return in how many spikes each two decisions (B, B) differ."""
    # Whole numbers up to 2^24 are exact in float32.
    flat = spikes.transpose(1, 0, 2).reshape(spikes.shape[1], -1).astype(np.float32)
    counts = flat.sum(axis=1)
    differing: FloatArray = counts[:, np.newaxis] + counts - 2.0 * flat @ flat.T
    return differing


def participation_dimension(spikes: Array) -> float:
    """Return the number of dimensions that activity spreads over, 1 to min(N, B - 1).

    ``(sum_k lambda_k)^2 / sum_k lambda_k^2`` with the eigenvalues of the covariance, over the
    batch, of the neurons' spike counts (Rajan, Abbott & Sompolinsky 2010, "Inferring stimulus
    selectivity from the spatial structure of neural network dynamics", NIPS 23; Litwin-Kumar et
    al. 2017, https://doi.org/10.1016/j.neuron.2017.01.030). Computed as ``tr(C)^2 / tr(C C)``,
    which is the same without an eigendecomposition. NaN if no count differs between decisions.
    """
    counts = spikes.sum(axis=0, dtype=np.float64)
    centred = counts - counts.mean(axis=0)
    # The smaller of (N, N) and (B, B): both have the same non-zero eigenvalues.
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    squares = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0 else math.nan


def frobenius_norm(weights: Array) -> float:
    """Return the square root of the sum of the squared weights."""
    return float(np.linalg.norm(weights.astype(np.float64)))


def spectral_norm(weights: Array) -> float:
    """Return the largest singular value: the most that the weights stretch an input."""
    return float(np.linalg.norm(weights.astype(np.float64), ord=2))


def relative_change(weights: Array, older: Array) -> float:
    """Return weights' change ``||w - w_old|| / ||w_old||`` (Frobenius), NaN if w_old is all 0."""
    base = frobenius_norm(older)
    return frobenius_norm(weights.astype(np.float64) - older) / base if base > 0 else math.nan


# ---- definitions ---------------------------------------------------------------------------------
# Of n samples, an event not seen has probability below 3 / n (Hanley & Lippman-Hand 1983,
# https://doi.org/10.1001/jama.1983.03330370053031): 0.1 for 30.
MIN_SAMPLES = 30
# The relative error of a CV, or of a variance, from n samples is about 1 / sqrt(2 n): 16 % for 20.
MIN_INTERVALS = 20
MIN_DECISIONS = 20
_MOST_COMPARED = 512  # decisions of which each is compared with each
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
    synops: Any
    """Synaptic operations of a decision; None where they are not counted."""

    @property
    def samples(self) -> int:
        """Time steps of all decisions together, T·B."""
        return int(self.spikes.shape[0] * self.spikes.shape[1])

    @cached_property
    def intervals(self) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
        """CV, number and mean of the intervals between spikes, each (N,)."""
        return cv_of_intervals(self.spikes)

    @cached_property
    def dimension(self) -> float:
        """Participation dimension of the spike counts."""
        return participation_dimension(self.spikes)


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
    gradient: Any
    """Norm of the weights' gradient over that of the weights; None if unknown."""
    next_gradient: Any
    """That of the connection to the next layer; None if unknown, or behind the last layer."""
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
    "rate_hz": Definition(lambda x: firing_rate_hz(x.spikes, x.dt_ms), "Hz"),
    "voltage_mean": Definition(lambda x: voltage_mean(x.voltages), "voltage", needs=("voltages",)),
    "voltage_variance": Definition(
        lambda x: voltage_variance(x.voltages),
        "voltage^2",
        needs=("voltages",),
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "margin_mean": Definition(
        lambda x: threshold_margins(x.voltages, x.threshold).mean(axis=(0, 1)),
        "voltage",
        needs=_THRESHOLD,
    ),
    "margin_closest": Definition(
        lambda x: threshold_margins(x.voltages, x.threshold).min(axis=(0, 1)),
        "voltage",
        needs=_THRESHOLD,
    ),
    "window_share": Definition(
        lambda x: window_share(x.voltages, x.threshold, x.half_width),
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
        lambda x: fano_factor(x.spikes),
        "1",
        is_sampled=lambda x: x.spikes.shape[1] >= MIN_DECISIONS,
        reason=f"fewer than {MIN_DECISIONS} decisions, or no spike",
    ),
}
"""Measures (N,) of a layer's neurons."""

LAYER_MEASURES: Mapping[str, Definition[LayerView]] = {
    "silent_share": Definition(
        lambda x: silent_share(x.spikes),
        "1",
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "saturated_share": Definition(
        lambda x: saturated_share(x.spikes),
        "1",
        is_sampled=_enough_samples,
        reason=_FEW_SAMPLES,
    ),
    "synchrony": Definition(
        lambda x: synchrony(x.voltages),
        "1",
        needs=("voltages",),
        is_sampled=_moves,
        reason=f"one neuron, one time step, potentials that don't move, or {_FEW_SAMPLES}",
    ),
    "spike_ratio": Definition(
        lambda x: spike_ratio(x.spikes, x.before),
        "1",
        needs=("before",),
        reason="the layer before is silent",
    ),
    "forward_sensitivity": Definition(
        lambda x: forward_sensitivity(x.spikes, x.before),
        "1",
        needs=("before",),
        is_sampled=lambda x: x.spikes.shape[1] >= MIN_DECISIONS,
        reason=f"fewer than {MIN_DECISIONS} decisions, or no difference between decisions",
    ),
    "participation_dimension": Definition(
        lambda x: x.dimension,
        "1",
        # A comparison with NaN is False.
        is_sampled=lambda x: MIN_DECISIONS_PER_DIMENSION * x.dimension <= x.spikes.shape[1] - 1,
        reason=f"fewer than {MIN_DECISIONS_PER_DIMENSION} decisions for each dimension, or no "
        "difference between decisions",
    ),
    "synops_per_decision": Definition(lambda x: x.synops, "SynOps per decision", needs=("synops",)),
}
"""Measures () of a layer."""


# ---- synapses and weights ------------------------------------------------------------------------
def _synapse_rates(view: ConnectionView, spikes: Array, axis: int) -> Array:
    rates = np.expand_dims(firing_rate_hz(spikes, view.dt_ms), axis)
    return np.broadcast_to(rates, view.weights.shape)


def _eligibility(view: ConnectionView) -> FloatArray:
    post = view.post
    if post is None:  # a readout learns from the presynaptic trace alone
        post = np.ones((*view.pre.shape[:2], view.weights.shape[0]))
    return mean_eligibility(view.pre, post, view.dt_ms, view.taus_ms)


def _drive_share(view: ConnectionView) -> FloatArray:
    rates = firing_rate_hz(view.pre, view.dt_ms)
    return drive_share(view.weights, rates, view.total_drive)


SYNAPSE_MEASURES: Mapping[str, Definition[ConnectionView]] = {
    "weight": Definition(lambda x: x.weights, "weight"),
    "pre_rate_hz": Definition(lambda x: _synapse_rates(x, x.pre, 0), "Hz", needs=("pre",)),
    "post_rate_hz": Definition(lambda x: _synapse_rates(x, x.post, 1), "Hz", needs=("post",)),
    "eligibility": Definition(_eligibility, "1", needs=("pre",)),
    "coincidence": Definition(
        lambda x: coincidence(x.pre, x.post),
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
    "frobenius_norm": Definition(lambda x: frobenius_norm(x.weights), "weight"),
    "spectral_norm": Definition(lambda x: spectral_norm(x.weights), "weight"),
    "relative_change": Definition(
        lambda x: relative_change(x.weights, x.older),
        "1",
        needs=("older",),
        reason="the older weights are 0",
    ),
    "relative_gradient": Definition(lambda x: x.gradient, "1", needs=("gradient",)),
    "backward_gain": Definition(
        lambda x: np.divide(x.gradient, x.next_gradient),
        "1",
        needs=("gradient", "next_gradient"),
        reason="no gradient reaches the next layer",
    ),
}
"""Measures () of a connection's weights."""
