"""Measures of single synapses, as functions of arrays (post, pre), the layout of nn.Linear.weight.

Spikes are (T, B, N): T time steps of B decisions, N neurons.
"""

from __future__ import annotations

import math

import numpy as np

from snn_gym.spiking.measures.measure import Array, FloatArray


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
