"""Fused T-step neuron kernels, forward (numba, CPU, float32).

Each kernel runs all ``T`` time steps of one layer in a single compiled call. A layer of ``N``
neurons on a batch of ``B`` is seen as ``M = B * N`` independent elements; arrays are ``(T, M)``,
contiguous, float32, and the state is ``(S, M)``, a row for each variable. The arithmetic repeats
Norse's step functions operation by operation (no fused multiply-add, no reassociation), so for
equal input currents spikes and voltages are equal to Norse's bit for bit. It is written without
branches, which is also what lets the compiler turn the inner loops into vector instructions.

A kernel writes ``voltages`` (the membrane potential that is compared with the threshold, before
the reset) and ``spikes``, and updates the state in place. ``currents`` of shape ``(1, M)`` mean the
same input at every time step. ``constants`` are a neuron's numbers at the places ``GAIN`` to
``BETA``; it reads those that it has.

A recurrent layer adds the weights of the neurons that fired in the step before, which at usual
rates is two to four times as fast as a dense product. Their sum has another order than the
product's: there, equality with Norse holds up to the first spike whose margin is within rounding.

A sequence is a run over ``L`` environment steps of ``T`` time steps each: arrays are
``(L * T, M)``, and inputs that are held over the time steps of an environment step ``(L, M)``.

Numba caches machine code by the file it was written in, so kernels call none of another file.

Reference: Norse 1.1.0, ``norse.torch.functional`` (``lif_box``, ``lif``, ``iaf``, ``lsnn``),
https://github.com/norse/norse.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]

LIF_BOX, IAF, LIF, ALIF = range(4)
"""Kinds of neuron."""

CONSTANTS = GAIN, CURRENT_GAIN, LEAK, THRESHOLD, RESET, ADAPT_GAIN, BETA = range(7)
"""Places in the constants: ``dt / tau_mem``, ``-dt / tau_syn``, resting potential, threshold at
rest, potential after a spike, ``dt / tau_adapt``, and the threshold's rise by a spike."""


@njit(cache=True, error_model="numpy")
def _lif_box(constants: Array, currents: Array, v: Array, voltages: Array, spikes: Array) -> None:
    """Run ``dv = gain * ((x + v_leak) - v)``, threshold and hard reset."""
    zero, one = np.float32(0.0), np.float32(1.0)
    gain, v_leak = constants[GAIN], constants[LEAK]
    v_threshold, v_reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            decayed = v[m] + gain * ((currents[s, m] + v_leak) - v[m])
            z = np.float32(decayed - v_threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            v[m] = (one - z) * decayed + z * v_reset


@njit(cache=True, error_model="numpy")
def _iaf(constants: Array, currents: Array, v: Array, voltages: Array, spikes: Array) -> None:
    """Run ``v = v + x``, threshold and hard reset."""
    zero, one = np.float32(0.0), np.float32(1.0)
    v_threshold, v_reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            summed = v[m] + currents[s, m]
            z = np.float32(summed - v_threshold > zero)
            voltages[t, m] = summed
            spikes[t, m] = z
            v[m] = (one - z) * summed + z * v_reset


@njit(cache=True, error_model="numpy")
def _lif(
    constants: Array, currents: Array, v: Array, i: Array, voltages: Array, spikes: Array
) -> None:
    """Run the current-based LIF."""
    zero, one = np.float32(0.0), np.float32(1.0)
    gain, current_gain, v_leak = constants[GAIN], constants[CURRENT_GAIN], constants[LEAK]
    v_threshold, v_reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            jumped = i[m] + currents[s, m]
            decayed = v[m] + gain * ((v_leak - v[m]) + jumped)
            i[m] = jumped + current_gain * jumped
            z = np.float32(decayed - v_threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            v[m] = (one - z) * decayed + z * v_reset


@njit(cache=True, error_model="numpy")
def _alif(
    constants: Array, currents: Array, v: Array, i: Array, b: Array, voltages: Array, spikes: Array
) -> None:
    """Run the adaptive LIF, whose threshold is ``b``."""
    zero, one = np.float32(0.0), np.float32(1.0)
    gain, current_gain, v_leak = constants[GAIN], constants[CURRENT_GAIN], constants[LEAK]
    v_threshold, v_reset = constants[THRESHOLD], constants[RESET]
    adapt_gain, beta = constants[ADAPT_GAIN], constants[BETA]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            decayed = v[m] + gain * ((v_leak - v[m]) + i[m])
            threshold = b[m] + adapt_gain * (v_threshold - b[m])
            z = np.float32(decayed - threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            i[m] = (i[m] + current_gain * i[m]) + currents[s, m]
            v[m] = (one - z) * decayed + z * v_reset
            b[m] = threshold + z * beta


@njit(cache=True, error_model="numpy")
def forward(
    kind: int, constants: Array, currents: Array, state: Array, voltages: Array, spikes: Array
) -> None:
    """Run all time steps of a layer of neurons of that kind."""
    if kind == LIF_BOX:
        _lif_box(constants, currents, state[0], voltages, spikes)
    elif kind == IAF:
        _iaf(constants, currents, state[0], voltages, spikes)
    elif kind == LIF:
        _lif(constants, currents, state[0], state[1], voltages, spikes)
    else:
        _alif(constants, currents, state[0], state[1], state[2], voltages, spikes)


@njit(cache=True, error_model="numpy")
def _add_fired(source: Array, weight: Array, total: Array, fired: NDArray[np.int64]) -> None:
    """Add to ``total`` (B * N) the rows of ``weight`` whose neurons fired in ``source`` (B * N)."""
    size = weight.shape[0]
    for b in range(source.size // size):
        row = total[b * size : (b + 1) * size]
        count = 0
        for j in range(size):
            fired[count] = j
            count += int(source[b * size + j] != np.float32(0.0))
        k = 0
        while k + 4 <= count:  # four at a time: fewer passes over the row
            w0, w1 = weight[fired[k]], weight[fired[k + 1]]
            w2, w3 = weight[fired[k + 2]], weight[fired[k + 3]]
            for n in range(size):
                row[n] += (w0[n] + w1[n]) + (w2[n] + w3[n])
            k += 4
        while k < count:
            w0 = weight[fired[k]]
            for n in range(size):
                row[n] += w0[n]
            k += 1


@njit(cache=True, error_model="numpy")
def recurrent_forward(
    kind: int,
    constants: Array,
    weight: Array,
    currents: Array,
    previous: Array,
    state: Array,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run all time steps of a recurrent layer of neurons of that kind.

    ``weight`` is (N, N), row j the synapses **from** neuron j; ``previous`` (M,) are the spikes of
    the step before the first.
    """
    size = weight.shape[0]
    total = np.empty((1, previous.size), dtype=np.float32)
    fired = np.empty(size, dtype=np.int64)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        total[0] = currents[t * moving]
        _add_fired(previous if t == 0 else spikes[t - 1], weight, total[0], fired)
        forward(kind, constants, total, state, voltages[t : t + 1], spikes[t : t + 1])


@njit(cache=True, error_model="numpy")
def _reset(starts: NDArray[np.bool_], rest: Array, state: Array) -> None:
    """Set the state of samples that start an episode to ``rest`` (S, 1), spikes after it to 0."""
    size, variables = state.shape[1] // starts.size, rest.shape[0]
    for b in range(starts.size):
        if starts[b]:
            for s in range(state.shape[0]):
                value = rest[s, 0] if s < variables else np.float32(0.0)
                state[s, b * size : (b + 1) * size] = value


@njit(cache=True, error_model="numpy")
def sequence_forward(
    kind: int,
    constants: Array,
    weight: Array,
    currents: Array,
    starts: NDArray[np.bool_],
    rest: Array,
    state: Array,
    entered: Array,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run all environment steps of a layer; samples in ``starts`` (L, B) are reset before theirs.

    ``weight`` is that of ``recurrent_forward``, without rows for no recurrence; with it the last
    row of ``state`` and ``entered`` is the spikes of the time step before. Writes to ``entered``
    (L, S, M) the state in which each environment step begins.
    """
    rounds = starts.shape[0]
    steps, held = voltages.shape[0] // rounds, currents.shape[0] // rounds
    for k in range(rounds):
        _reset(starts[k], rest, state)
        entered[k] = state
        inputs, a, z = currents[k * held : (k + 1) * held], k * steps, (k + 1) * steps
        if weight.shape[0] == 0:
            forward(kind, constants, inputs, state, voltages[a:z], spikes[a:z])
        else:
            recurrent_forward(
                kind, constants, weight, inputs, state[-1], state[:-1], voltages[a:z], spikes[a:z]
            )
            state[-1] = spikes[z - 1]


@njit(cache=True, error_model="numpy", nogil=True)
def population_layer(
    kind: int,
    constants: Array,
    rest: Array,
    weights: Array,
    biases: Array,
    owners: NDArray[np.int64],
    signal: Array,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run one layer of many networks from rest, each sample by the weights of its own network.

    ``weights`` (P, D, N) and ``biases`` (P, N) are those of P networks, ``owners`` (L,) says whose
    sample l is, ``signal`` (L, K, D) is its input at K = T time steps or, for K = 1, at all of
    them, and ``rest`` (S, 1) the state at rest. Writes ``voltages`` and ``spikes`` (L, T, N).
    """
    steps, size = signal.shape[1], weights.shape[2]
    currents = np.empty((steps, size), dtype=np.float32)
    state = np.empty((rest.shape[0], size), dtype=np.float32)
    for sample in range(owners.size):
        weight, bias = weights[owners[sample]], biases[owners[sample]]
        for k in range(steps):
            row = currents[k]
            row[:] = bias
            for d in range(weight.shape[0]):
                x = signal[sample, k, d]
                if x != np.float32(0.0):  # of spikes most are
                    source = weight[d]
                    for n in range(size):
                        row[n] += source[n] * x
        state[:] = rest
        forward(kind, constants, currents, state, voltages[sample], spikes[sample])


@njit(cache=True, error_model="numpy", nogil=True)
def population_readout(
    coefficients: Array,
    weights: Array,
    biases: Array,
    owners: NDArray[np.int64],
    spikes: Array,
    features: Array,
    outputs: Array,
) -> None:
    """Decode spikes (L, T, N) to ``features`` (L, N) and read them to ``outputs`` (L, O).

    ``coefficients`` (T,) weigh the time steps; ``weights`` (P, O, N) and ``biases`` (P, O) are the
    heads of P networks, ``owners`` (L,) says whose sample l is.
    """
    for sample in range(owners.size):
        weight, bias, feature = weights[owners[sample]], biases[owners[sample]], features[sample]
        feature[:] = np.float32(0.0)
        for t in range(coefficients.size):
            for n in range(feature.size):
                feature[n] += coefficients[t] * spikes[sample, t, n]
        for o in range(bias.size):
            total = bias[o]
            for n in range(feature.size):
                total += weight[o, n] * feature[n]
            outputs[sample, o] = total
