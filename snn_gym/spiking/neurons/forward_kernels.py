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

Products with spikes add the weights of the neurons that fired (``_add_rows``). Their sum has
another order than a dense product's: of whole layers, equality with Norse holds up to the first
spike whose margin is within rounding.

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

DENSE_ROWS, DENSE_SHARE = 128, 0.125
"""Rows and share of spikes in them from which on a dense product is faster than one with events."""


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
def _add_rows(values: Array, weight: Array, total: Array, places: NDArray[np.int64]) -> None:
    """Add ``values @ weight`` to ``total`` (N,), of ``values`` (D,) only those that are not zero.

    A spike costs a row of ``weight`` (D, N), silence nothing. The order of the sum is that of the
    values, so that a sample gives the same bits alone and in a batch, on every processor.
    ``places`` is scratch of D + 1 entries.
    """
    count = 0
    for d in range(values.size):
        places[count] = d
        count += int(values[d] != np.float32(0.0))
    k = 0
    while k + 4 <= count:  # four at a time: fewer passes over the total
        a, b, c, d = places[k], places[k + 1], places[k + 2], places[k + 3]
        va, vb, vc, vd = values[a], values[b], values[c], values[d]
        wa, wb, wc, wd = weight[a], weight[b], weight[c], weight[d]
        for n in range(total.size):
            total[n] += (va * wa[n] + vb * wb[n]) + (vc * wc[n] + vd * wd[n])
        k += 4
    while k < count:
        va, wa = values[places[k]], weight[places[k]]
        for n in range(total.size):
            total[n] += va * wa[n]
        k += 1


@njit(cache=True, error_model="numpy")
def rows(weight: Array, seen: Array, transposed: Array) -> None:
    """Keep ``transposed`` (D, N) that of ``weight`` (N, D), of which ``seen`` is a copy.

    To compare is much less than to transpose, and sees every change, however it was made.
    """
    for n in range(weight.shape[0]):
        changed = 0
        for d in range(weight.shape[1]):
            changed += int(weight[n, d] != seen[n, d])
        if changed:
            seen[n] = weight[n]
            transposed[:, n] = weight[n]


@njit(cache=True, error_model="numpy")
def products(signal: Array, weight: Array, bias: Array, currents: Array) -> None:
    """Fill ``currents`` (R, N) with ``signal`` (R, D) times ``weight`` (D, N), plus ``bias``."""
    places = np.empty(weight.shape[0] + 1, dtype=np.int64)
    for r in range(signal.shape[0]):
        row = currents[r]
        row[:] = bias
        _add_rows(signal[r], weight, row, places)


@njit(cache=True, error_model="numpy")
def recurrent_forward(
    kind: int, constants: Array, weight: Array, currents: Array, previous: Array, state: Array,
    voltages: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run all time steps of a recurrent layer of neurons of that kind.

    ``weight`` is (N, N), row j the synapses **from** neuron j; ``previous`` (M,) are the spikes of
    the step before the first.
    """
    size = weight.shape[0]
    total = np.empty((1, previous.size), dtype=np.float32)
    places = np.empty(size + 1, dtype=np.int64)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        total[0] = currents[t * moving]
        source = previous if t == 0 else spikes[t - 1]
        for b in range(0, previous.size, size):
            _add_rows(source[b : b + size], weight, total[0, b : b + size], places)
        forward(kind, constants, total, state, voltages[t : t + 1], spikes[t : t + 1])


@njit(cache=True, error_model="numpy")
def _run_layer(
    kind: int, constants: Array, weight: Array, currents: Array, state: Array,
    voltages: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run a layer's time steps; with recurrent weights its last state variable is the spikes."""
    if weight.shape[0] == 0:
        forward(kind, constants, currents, state, voltages, spikes)
    else:
        recurrent_forward(
            kind, constants, weight, currents, state[-1], state[:-1], voltages, spikes
        )
        state[-1] = spikes[-1]


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
    kind: int, constants: Array, weight: Array, currents: Array, starts: NDArray[np.bool_],
    rest: Array, state: Array, entered: Array, voltages: Array, spikes: Array,
) -> None:  # fmt: skip
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
        _run_layer(kind, constants, weight, inputs, state, voltages[a:z], spikes[a:z])


@njit(cache=True, error_model="numpy")
def decode(coefficients: Array, spikes: Array, first: int, decoded: Array) -> None:
    """Weigh spikes (T, C * N) by coefficients (Q, T), of the C samples from ``first`` on.

    The sums go to ``decoded`` (Q, B, N).
    """
    size = decoded.shape[2]
    for q in range(decoded.shape[0]):
        for c in range(spikes.shape[1] // size):
            row = decoded[q, first + c]
            row[:] = np.float32(0.0)
            for t in range(spikes.shape[0]):
                share = coefficients[q, t]
                for n in range(size):
                    row[n] += share * spikes[t, c * size + n]


@njit(cache=True, error_model="numpy", nogil=True)
def population_layer(
    kind: int, constants: Array, rest: Array, weights: Array, biases: Array,
    owners: NDArray[np.int64], signal: Array, voltages: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run one layer of many networks from rest, each sample by the weights of its own network.

    ``weights`` (P, D, N) and ``biases`` (P, N) are those of P networks, ``owners`` (L,) says whose
    sample l is, ``signal`` (L, K, D) is its input at K = T time steps or, for K = 1, at all of
    them, and ``rest`` (S, 1) the state at rest. Writes ``voltages`` and ``spikes`` (L, T, N).
    """
    steps, size = signal.shape[1], weights.shape[2]
    currents = np.empty((steps, size), dtype=np.float32)
    state = np.empty((rest.shape[0], size), dtype=np.float32)
    for sample in range(owners.size):
        products(signal[sample], weights[owners[sample]], biases[owners[sample]], currents)
        state[:] = rest
        forward(kind, constants, currents, state, voltages[sample], spikes[sample])


@njit(cache=True, error_model="numpy", nogil=True)
def population_readout(
    coefficients: Array, weights: Array, biases: Array, owners: NDArray[np.int64], spikes: Array,
    features: Array, outputs: Array,
) -> None:  # fmt: skip
    """Decode spikes (L, T, N) to ``features`` (L, N) and read them to ``outputs`` (L, O).

    ``coefficients`` (T,) weigh the time steps; ``weights`` (P, O, N) and ``biases`` (P, O) are the
    heads of P networks, ``owners`` (L,) says whose sample l is.
    """
    for sample in range(owners.size):
        weight, bias, feature = weights[owners[sample]], biases[owners[sample]], features[sample]
        decode(coefficients.reshape(1, -1), spikes[sample], 0, feature.reshape(1, 1, -1))
        for o in range(bias.size):
            total = bias[o]
            for n in range(feature.size):
                total += weight[o, n] * feature[n]
            outputs[sample, o] = total


@njit(cache=True, error_model="numpy")
def _enter(states: Array, offset: int, size: int, rest: Array, state: Array) -> None:
    """Fill ``state`` (S, C * N) from flat states (C, F) from ``offset`` on, or for F = 0 with rest.

    Spikes of the time step before, which have no row in ``rest``, are zero at rest.
    """
    for s in range(state.shape[0]):
        if states.shape[1] == 0:
            state[s] = rest[s, 0] if s < rest.shape[0] else np.float32(0.0)
        else:
            a = offset + s * size
            for c in range(states.shape[0]):
                state[s, c * size : (c + 1) * size] = states[c, a : a + size]


@njit(cache=True, error_model="numpy")
def _leave(states: Array, offset: int, size: int, state: Array) -> None:
    """Write ``state`` back to where ``_enter`` took it from."""
    if states.shape[1]:
        for s in range(state.shape[0]):
            a = offset + s * size
            for c in range(states.shape[0]):
                states[c, a : a + size] = state[s, c * size : (c + 1) * size]


@njit(cache=True, error_model="numpy")
def _chunk_currents(
    first: int, count: int, signal: Array, source: Array, weight: Array, bias: Array,
    currents: Array, places: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill ``currents`` (K, C * N) of the C samples from ``first`` on.

    Their input is ``signal`` (B, K, D) or, where that is empty, ``source`` (K * C * D,).
    """
    fan_in, size = weight.shape
    driven = currents.reshape(-1, size)
    if len(driven) >= DENSE_ROWS and not signal.size:
        spikes, fired = source[: len(driven) * fan_in], 0
        for m in range(spikes.size):
            fired += int(spikes[m] != np.float32(0.0))
        if fired > DENSE_SHARE * spikes.size:
            np.dot(spikes.reshape(-1, fan_in), weight, driven)
            for r in range(len(driven)):
                for n in range(size):
                    driven[r, n] += bias[n]
            return
    for r in range(len(driven)):
        row = driven[r]
        row[:] = bias
        if signal.size:
            values = signal[first + r % count, r // count]
        else:
            values = source[r * fan_in : (r + 1) * fan_in]
        _add_rows(values, weight, row, places)


@njit(cache=True, error_model="numpy")
def network_forward(
    kinds: NDArray[np.int64], layers: tuple[tuple[Array, ...], ...], coefficients: Array,
    signal: Array, states: Array, voltages: tuple[Array, ...],
    kept: tuple[NDArray[np.uint8], ...], decoded: Array, limits: tuple[int, int, int],
) -> None:  # fmt: skip
    """Run a network, a chunk of samples after the other, whose arrays stay in the cache.

    Args:
        kinds: (layers,) int64.
        layers: Constants (7,), rests (S, 1), biases (N,), and twice weights, those of the input and
            the recurrent ones: each as it is stored (N, D), with what ``rows`` keeps of it; (0, 0)
            for no recurrence. An entry for each layer.
        coefficients: (Q, T) of the decoder.
        signal: (B, K, D), input at K = T time steps or, for K = 1, at all of them.
        states: (B, F) flat, updated in place; (B, 0) to start from rest.
        voltages: Flat each: (T * B * N,) to be kept, chunk by chunk (T, C * N), or
            (T * chunk * N,), which the next chunk overwrites.
        kept: (T * B * N,) each, written with spikes in the same order, or empty.
        decoded: (Q, B, N), written.
        limits: Samples of a chunk, inputs and neurons of a layer, at most.
    """
    constants, rests, biases, stored, seen, weights, looped, seen_looped, recurrent = layers
    for k in range(len(weights)):
        rows(stored[k], seen[k], weights[k])
        rows(looped[k], seen_looped[k], recurrent[k])
    nothing, steps = signal[:0], coefficients.shape[1]
    chunk, places = limits[0], np.empty(limits[1] + 1, np.int64)
    longest = max(steps, signal.shape[1]) * chunk * limits[2]
    currents, spikes = np.empty(longest, np.float32), np.empty(longest, np.float32)
    source = np.empty(longest, np.float32)
    for first in range(0, len(signal), chunk):
        last, offset = min(first + chunk, len(signal)), 0
        for k in range(len(weights)):
            size, given = weights[k].shape[1], signal if k == 0 else nothing
            across, held = (last - first) * size, signal.shape[1] if k == 0 else steps
            driven = currents[: held * across].reshape(held, across)
            _chunk_currents(
                first, last - first, given, source, weights[k], biases[k], driven, places
            )
            state = np.empty((rests[k].shape[0] + min(len(recurrent[k]), 1), across), np.float32)
            _enter(states[first:last], offset, size, rests[k], state)
            a = steps * first * size if len(voltages[k]) > steps * chunk * size else 0
            fired = spikes[: steps * across]
            _run_layer(
                kinds[k], constants[k], recurrent[k], driven, state,
                voltages[k][a : a + fired.size].reshape(steps, across),
                fired.reshape(steps, across),
            )  # fmt: skip
            _leave(states[first:last], offset, size, state)
            if len(kept[k]):
                room = kept[k][a : a + fired.size]
                for m in range(fired.size):
                    room[m] = fired[m] != np.float32(0.0)
            offset += len(state) * size
            source, spikes = spikes, source
        decode(coefficients, fired.reshape(steps, across), first, decoded)
