"""Measures of single neurons, as functions of arrays.

Spikes and voltages are (T, B, N): T time steps of B decisions, N neurons. Every measure pools the
decisions of the batch, as if they were one recording of T·B time steps; intervals between spikes
never reach from one decision into the next.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.measures.measure import Array, FloatArray


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
