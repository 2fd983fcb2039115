"""Measures of layers and of the weights between them, as functions of arrays.

Spikes and voltages are (T, B, N): T time steps of B decisions, N neurons.
"""

from __future__ import annotations

import math

import numpy as np

from snn_gym.spiking.measures.measure import Array
from snn_gym.spiking.measures.neurons import spikes_per_step

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
