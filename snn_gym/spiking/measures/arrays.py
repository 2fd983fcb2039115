"""Measures of neurons and synapses as functions of arrays, with their units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# ---- measure -------------------------------------------------------------------------------------
FloatArray: TypeAlias = NDArray[np.float64]
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Measure:
    """Values of one measure, with their unit and validity."""

    value: FloatArray
    """(N,) of neurons, (post, pre) of synapses, () of a layer; NaN where undefined."""
    unit: str
    """Unit of the values; "1" for pure numbers."""
    valid: NDArray[np.bool_]
    """Of the shape of ``value``: False where the value is undefined or the recording is so short
    that it would be noise."""
    reason: str | None = None
    """Why values are not valid; None if all are."""

    @property
    def all_valid(self) -> bool:
        """Whether every value is valid."""
        return bool(self.valid.all())

    def mean(self) -> float:
        """Return the mean of the valid values, NaN if there are none."""
        return float(self.value[self.valid].mean()) if self.valid.any() else math.nan


def make_measure(
    value: ArrayLike, unit: str, *, enough: ArrayLike = True, reason: str = ""
) -> Measure:
    """Return a measure whose NaN and insufficiently sampled values are marked as not valid.

    Args:
        value: Values, any shape.
        unit: Their unit.
        enough: Whether the recording is long enough, broadcast against ``value``.
        reason: What makes values undefined or noise; dropped if all are valid.
    """
    values = np.asarray(value, dtype=np.float64)
    valid = np.isfinite(values) & np.broadcast_to(np.asarray(enough, dtype=np.bool_), values.shape)
    return Measure(values, unit, valid, None if valid.all() else reason)


# ---- neurons -------------------------------------------------------------------------------------
# Measures of single neurons, as functions of arrays.
#
# Spikes and voltages are (T, B, N): T time steps of B decisions, N neurons. Every measure pools the
# decisions of the batch, as if they were one recording of T·B time steps; intervals between spikes
# never reach from one decision into the next.
def spikes_per_step(spikes: Array) -> FloatArray:
    """Return the share of time steps with a spike.

    Args:
        spikes: (T, B, N), 0 or 1.

    Returns:
        (N,) float64 in [0, 1], spikes per time step.
    """
    share: FloatArray = spikes.mean(axis=(0, 1), dtype=np.float64)
    return share


def firing_rate_hz(spikes: Array, dt_ms: float) -> FloatArray:
    """Return spike counts over duration.

    ``rate_i = sum_tb s_itb / (T B dt)`` (Dayan & Abbott 2001, Theoretical Neuroscience, eq. 1.4).

    Args:
        spikes: (T, B, N), 0 or 1.
        dt_ms: Length of a time step (ms), above 0.

    Returns:
        (N,) float64, Hz.
    """
    return spikes_per_step(spikes) * (1000.0 / dt_ms)


def voltage_moments(voltages: Array) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the membrane potential before the reset.

    The variance divides by T·B.

    Args:
        voltages: (T, B, N), the neuron's voltage units.

    Returns:
        Mean (N,) and variance (N,), float64.
    """
    return (
        voltages.mean(axis=(0, 1), dtype=np.float64),
        voltages.var(axis=(0, 1), dtype=np.float64),
    )


def threshold_margins(voltages: Array, v_threshold: float | Array) -> tuple[FloatArray, FloatArray]:
    """Return how far below its threshold a neuron stays: ``theta - v``, negative when it fires.

    Args:
        voltages: (T, B, N) before the reset.
        v_threshold: Threshold, broadcast against the voltages where it adapts.

    Returns:
        Mean margin (N,) and the smallest margin (N,), float64, voltage units.
    """
    margins = np.asarray(v_threshold, dtype=np.float64) - voltages
    return margins.mean(axis=(0, 1)), margins.min(axis=(0, 1))


def window_share(voltages: Array, v_threshold: float | Array, half_width: float) -> FloatArray:
    """Return the share of time with ``|v - theta| < half_width``.

    There the surrogate gradient lets a neuron learn (pseudo-derivative of Bellec et al. 2020,
    https://doi.org/10.1038/s41467-020-17236-y, whose window ends where it becomes 0).

    Args:
        voltages: (T, B, N) before the reset.
        v_threshold: Threshold, broadcast against the voltages where it adapts.
        half_width: Half of the window's width, voltage units, above 0.

    Returns:
        (N,) float64 in [0, 1].
    """
    distance = np.abs(voltages - np.asarray(v_threshold, dtype=np.float64))
    share: FloatArray = (distance < half_width).mean(axis=(0, 1), dtype=np.float64)
    return share


def interspike_intervals(spikes: Array) -> list[NDArray[np.int64]]:
    """Return the intervals between consecutive spikes of a decision, pooled over the batch.

    Args:
        spikes: (T, B, N), 0 or 1.

    Returns:
        One array of each neuron, (intervals,), time steps, at least 1.
    """
    # (T, B, N) -> (N, B, T): nonzero then walks each neuron's decisions in order of time
    neurons, samples, steps = np.nonzero(np.transpose(spikes, (2, 1, 0)))
    same = (np.diff(neurons) == 0) & (np.diff(samples) == 0)
    owners, intervals = neurons[1:][same], np.diff(steps)[same]
    ends = np.cumsum(np.bincount(owners, minlength=spikes.shape[2]))[:-1]
    return [part.astype(np.int64) for part in np.split(intervals, ends)]


def cv_of_intervals(spikes: Array) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
    """Return the irregularity of firing, ``CV = std(ISI) / mean(ISI)``.

    Clockwork fires at CV 0, a Poisson process at 1 (Softky & Koch 1993,
    https://doi.org/10.1523/JNEUROSCI.13-01-00334.1993). The deviation divides by the number of
    intervals.

    Args:
        spikes: (T, B, N), 0 or 1.

    Returns:
        CV (N,), NaN below two intervals; the number of intervals (N,); and their mean (N,), time
        steps, NaN where there are none.
    """
    intervals = interspike_intervals(spikes)
    counts = np.array([len(part) for part in intervals], dtype=np.int64)
    means = np.array([part.mean() if len(part) else math.nan for part in intervals])
    deviations = np.array([part.std() if len(part) > 1 else math.nan for part in intervals])
    return deviations / means, counts, means


def fano_factor(spikes: Array) -> FloatArray:
    """Return the variance of the spike counts of decisions over their mean.

    ``F = var_b(n_b) / mean_b(n_b)`` with ``n_b = sum_t s_tb``, 1 for a Poisson process (Fano 1947,
    https://doi.org/10.1103/PhysRev.72.26). It is defined for repetitions of one stimulus; over a
    batch of different observations it also holds what they differ by. The variance divides by B.

    Args:
        spikes: (T, B, N), 0 or 1.

    Returns:
        (N,) float64, NaN where there is no spike.
    """
    counts = spikes.sum(axis=0, dtype=np.float64)
    means = counts.mean(axis=0)
    factor: FloatArray = counts.var(axis=0) / np.where(means > 0, means, math.nan)
    return factor


# ---- synapses ------------------------------------------------------------------------------------
# Measures of single synapses, as functions of arrays (post, pre), the layout of nn.Linear.weight.
#
# Spikes are (T, B, N): T time steps of B decisions, N neurons.
def delayed(spikes: Array) -> Array:
    """Return the spikes as a recurrent synapse sees them: one time step later, silent at first.

    A recording does not hold the spikes before its first step, which are none from rest.

    Args:
        spikes: (T, B, N), 0 or 1.
    """
    late = np.zeros_like(spikes)
    late[1:] = spikes[:-1]
    return late


def decay(dt_ms: float, tau_ms: float) -> float:
    """Return what is left of an exponential trace after a time step, ``exp(-dt / tau)``.

    Args:
        dt_ms: Length of a time step (ms).
        tau_ms: Time constant (ms); 0 for no memory.

    Raises:
        ValueError: The time constant is negative or not finite.
    """
    if not (math.isfinite(tau_ms) and tau_ms >= 0):
        raise ValueError(f"a time constant must be at least 0 ms and finite, got {tau_ms}")
    return math.exp(-dt_ms / tau_ms) if tau_ms > 0 else 0.0


def low_pass(spikes: Array, dt_ms: float, tau_ms: float) -> FloatArray:
    """Return the exponential traces ``x(t) = exp(-dt / tau) x(t - 1) + s(t)``.

    Args:
        spikes: (T, ...), 0 or 1.
        dt_ms: Length of a time step (ms).
        tau_ms: Time constant (ms); 0 gives the spikes themselves.

    Returns:
        Traces (T, ...), float64, at least 0.
    """
    kept = decay(dt_ms, tau_ms)
    traces = spikes.astype(np.float64)
    for t in range(1, len(traces)):
        traces[t] += kept * traces[t - 1]
    return traces


def eligibility_trace(
    pre: Array,
    post: Array,
    dt_ms: float,
    *,
    tau_pre_ms: float = 20.0,
    tau_post_ms: float = 0.0,
    tau_e_ms: float = 20.0,
) -> FloatArray:
    """Return the eligibility of every synapse at the end of each decision.

    With traces ``x_j`` of the presynaptic and ``y_i`` of the postsynaptic spikes (``low_pass``)::

        e_ij(t) = exp(-dt / tau_e) e_ij(t - 1) + y_i(t) x_j(t),    e_ij(0) = 0

    and ``e_ij(T)`` is returned: what a reward after the decision finds. With tau_post 0, the
    default, ``y_i`` is the spike itself, the potentiating half of spike-timing-dependent
    plasticity (Izhikevich 2007, https://doi.org/10.1093/cercor/bhl152; Frémaux & Gerstner 2016,
    https://doi.org/10.3389/fncir.2015.00085).

    Args:
        pre: Spikes (T, B, pre), 0 or 1.
        post: Spikes (T, B, post), 0 or 1; ones for a readout that does not spike.
        dt_ms: Length of a time step (ms).
        tau_pre_ms: Time constant of the presynaptic trace (ms).
        tau_post_ms: Time constant of the postsynaptic trace (ms).
        tau_e_ms: Time constant of the eligibility (ms).

    Returns:
        (B, post, pre) float64, at least 0.

    Raises:
        ValueError: A time constant is negative or not finite.
    """
    x, y = _traces(pre, post, dt_ms, (tau_pre_ms, tau_post_ms, tau_e_ms))
    # (T, B, N) -> (B, post, T) @ (B, T, pre)
    trace: FloatArray = y.transpose(1, 2, 0) @ x.transpose(1, 0, 2)
    return trace


def mean_eligibility(
    pre: Array, post: Array, dt_ms: float, taus_ms: tuple[float, float, float]
) -> FloatArray:
    """Return the mean of ``eligibility_trace`` over the batch, without an array for each decision.

    Args:
        pre: Spikes (T, B, pre), 0 or 1.
        post: Spikes (T, B, post), 0 or 1; ones for a readout that does not spike.
        dt_ms: Length of a time step (ms).
        taus_ms: Time constants pre, post and e (ms).

    Returns:
        (post, pre) float64, at least 0.

    Raises:
        ValueError: A time constant is negative or not finite.
    """
    x, y = _traces(pre, post, dt_ms, taus_ms)
    steps, batch, _ = x.shape
    # (T, B, N) -> (T * B, N): a sum over steps and decisions is one product
    mean: FloatArray = (y.reshape(steps * batch, -1).T @ x.reshape(steps * batch, -1)) / batch
    return mean


def _traces(
    pre: Array, post: Array, dt_ms: float, taus_ms: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return the traces whose products, summed over time, are the eligibility at the end."""
    tau_pre_ms, tau_post_ms, tau_e_ms = taus_ms
    x = low_pass(pre, dt_ms, tau_pre_ms)
    y = low_pass(post, dt_ms, tau_post_ms)
    # The recursion written out: step t of T counts with decay^(T - t).
    ages = np.arange(len(x) - 1, -1, -1, dtype=np.float64)
    return x, y * (decay(dt_ms, tau_e_ms) ** ages)[:, np.newaxis, np.newaxis]


def coincidence(pre: Array, post: Array) -> FloatArray:
    """Return the share of time steps in which both neurons fire, ``mean_tb s_i s_j``.

    For independent neurons it is the product of their spikes per time step (zero-lag
    cross-correlation; Perkel, Gerstein & Moore 1967,
    https://doi.org/10.1016/S0006-3495(67)86597-4).

    Args:
        pre: Spikes (T, B, pre), 0 or 1.
        post: Spikes (T, B, post), 0 or 1.

    Returns:
        (post, pre) float64 in [0, 1].
    """
    steps, batch, _ = pre.shape
    flat_pre = pre.reshape(steps * batch, -1).astype(np.float64)
    flat_post = post.reshape(steps * batch, -1).astype(np.float64)
    joint: FloatArray = flat_post.T @ flat_pre / (steps * batch)
    return joint


def drive(weights: Array, pre_rates: Array) -> FloatArray:
    """Return the drive that each synapse delivers, ``|w_ij| r_j``.

    Args:
        weights: (post, pre).
        pre_rates: (pre,), any unit of rate.

    Returns:
        (post, pre) float64, at least 0, in the unit of the rates times that of the weights.
    """
    magnitude: FloatArray = np.abs(weights).astype(np.float64) * pre_rates
    return magnitude


def drive_share(weights: Array, pre_rates: Array, total: Array | None = None) -> FloatArray:
    """Return each synapse's share of its neuron's drive, ``|w_ij| r_j / sum_j |w_ij| r_j``.

    Ours; excitation and inhibition count alike.

    Args:
        weights: (post, pre).
        pre_rates: (pre,), any unit of rate.
        total: Drive of each neuron (post,) where other synapses reach it too; the sum over these
            if None.

    Returns:
        (post, pre) float64 in [0, 1], NaN for neurons without drive.
    """
    own = drive(weights, pre_rates)
    whole = own.sum(axis=1) if total is None else np.asarray(total, dtype=np.float64)
    share: FloatArray = own / np.where(whole > 0, whole, math.nan)[:, np.newaxis]
    return share
