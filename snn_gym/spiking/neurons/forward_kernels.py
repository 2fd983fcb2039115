"""Fused T-step neuron kernels, forward (numba, CPU, float32).

Each kernel runs all ``T`` time steps of one layer in a single compiled call. A layer of ``N``
neurons on a batch of ``B`` is seen as ``M = B * N`` independent elements; arrays are ``(T, M)``,
contiguous, float32, and the state is ``(S, M)``, a row for each variable. The arithmetic of a time
step is that of ``step_kernels``, hence Norse's: for equal input currents spikes and voltages are
equal to Norse's bit for bit. It has no branches, which lets the compiler turn inner loops into
vector instructions. Products with spikes add weights of the neurons that fired, in
an order of their own: there, equality with Norse ends at a spike whose margin is within rounding.

A kernel writes ``voltages`` (the membrane potential that is compared with the threshold, before
the reset) and ``spikes``, and updates the state in place. ``currents`` of shape ``(1, M)`` mean the
same input at every time step. ``constants`` are a neuron's numbers at the places ``GAIN`` to
``BETA``. A sequence is ``L`` environment steps of ``T`` time steps: arrays are ``(L * T, M)``,
inputs held over an environment step ``(L, M)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.spiking.neurons.step_kernels import alif_step, iaf_step, lif_box_step, lif_step

Array = NDArray[np.float32]

LIF_BOX, IAF, LIF, ALIF = range(4)
VARIABLES = (1, 1, 2, 3)
"""Kinds of neuron, and how many state variables each has: potential, current, threshold."""

CONSTANTS = GAIN, CURRENT_GAIN, LEAK, THRESHOLD, RESET, ADAPT_GAIN, BETA = range(7)
"""Places in the constants: ``dt / tau_mem``, ``-dt / tau_syn``, resting potential, threshold at
rest, potential after a spike, ``dt / tau_adapt``, and the threshold's rise by a spike."""

DENSE_ROWS, DENSE_SHARE = 128, 0.2
"""Rows and share of spikes in them from which on a dense product is faster than one with events."""


@njit(cache=True, error_model="numpy")
def _lif_box(constants: Array, currents: Array, v: Array, voltages: Array, spikes: Array) -> None:
    gain, leak = constants[GAIN], constants[LEAK]
    threshold, reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            voltages[t, m], spikes[t, m], v[m] = lif_box_step(
                gain, leak, threshold, reset, v[m], currents[s, m]
            )


@njit(cache=True, error_model="numpy")
def _iaf(constants: Array, currents: Array, v: Array, voltages: Array, spikes: Array) -> None:
    threshold, reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            voltages[t, m], spikes[t, m], v[m] = iaf_step(threshold, reset, v[m], currents[s, m])


@njit(cache=True, error_model="numpy")
def _lif(
    constants: Array, currents: Array, v: Array, i: Array, voltages: Array, spikes: Array
) -> None:
    gain, current_gain, leak = constants[GAIN], constants[CURRENT_GAIN], constants[LEAK]
    threshold, reset = constants[THRESHOLD], constants[RESET]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            voltages[t, m], spikes[t, m], v[m], i[m] = lif_step(
                gain, current_gain, leak, threshold, reset, v[m], i[m], currents[s, m]
            )


@njit(cache=True, error_model="numpy")
def _alif(
    constants: Array, currents: Array, v: Array, i: Array, b: Array, voltages: Array, spikes: Array
) -> None:
    gain, current_gain, leak = constants[GAIN], constants[CURRENT_GAIN], constants[LEAK]
    base, reset = constants[THRESHOLD], constants[RESET]
    adapt_gain, beta = constants[ADAPT_GAIN], constants[BETA]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            voltages[t, m], spikes[t, m], v[m], i[m], threshold = alif_step(
                gain, current_gain, leak, base, reset, adapt_gain, v[m], i[m], b[m], currents[s, m]
            )
            b[m] = threshold + spikes[t, m] * beta


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


@njit(cache=True, error_model="numpy", inline="always")
def _add_rows(values: Array, weight: Array, total: Array, places: NDArray[np.int64]) -> None:
    """Add rows of ``weight`` (D, N) times ``values`` (D,) that are not zero to ``total`` (N,).

    Their order does not depend on batch or processor. ``places`` is scratch of D + 1 entries.
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
    """Keep ``transposed`` (D, N) that of ``weight`` (N, D), of which ``seen`` is a copy."""
    # To compare is much less than to transpose, and sees every change, however it was made.
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
        for n in range(bias.size):
            currents[r, n] = bias[n]
        _add_rows(signal[r], weight, currents[r], places)


@njit(cache=True, error_model="numpy")
def recurrent_forward(
    kind: int, constants: Array, weight: Array, currents: Array, previous: Array, state: Array,
    voltages: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run all time steps of a recurrent layer of neurons of that kind.

    ``weight`` (N, N) has in row j the synapses **from** neuron j; ``previous`` (M,) are the spikes
    of the step before the first.
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
    size = state.shape[1] // starts.size
    for b in range(starts.size):
        for s in range(state.shape[0] * int(starts[b])):
            value = rest[s, 0] if s < rest.shape[0] else np.float32(0.0)
            state[s, b * size : (b + 1) * size] = value


@njit(cache=True, error_model="numpy")
def sequence_forward(
    kind: int, constants: Array, weight: Array, currents: Array, starts: NDArray[np.bool_],
    rest: Array, state: Array, entered: Array, voltages: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run all environment steps of a layer; samples in ``starts`` (L, B) are reset before theirs.

    ``weight`` is that of ``recurrent_forward``, without rows for none; with it the last row of
    ``state`` is the spikes before. ``entered`` (L, S, M) gets the state that each step begins in.
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
    """Fill ``decoded`` (Q, B, N) from sample ``first`` on: coefficients (Q, T) times spikes."""
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
    sample l is, ``signal`` (L, K, D) is its input (K = T, or 1 for a held one), ``rest`` (S, 1) the
    state at rest. Writes ``voltages`` and ``spikes`` (L, T, N).
    """
    steps, size = signal.shape[1], weights.shape[2]
    currents = np.empty((steps, size), dtype=np.float32)
    state = np.empty((rest.shape[0], size), dtype=np.float32)
    for sample in range(owners.size):
        weight, bias = weights[owners[sample]], biases[owners[sample]]
        for k in range(steps):
            row = currents[k]
            row[:] = bias
            for d in range(weight.shape[0]):  # networks are small: no search for spikes
                x = signal[sample, k, d]
                if x != np.float32(0.0):
                    source = weight[d]
                    for n in range(size):
                        row[n] += source[n] * x
        state[:] = rest
        forward(kind, constants, currents, state, voltages[sample], spikes[sample])


@njit(cache=True, error_model="numpy", nogil=True)
def population_readout(
    coefficients: Array, weights: Array, biases: Array, owners: NDArray[np.int64], spikes: Array,
    features: Array, outputs: Array,
) -> None:  # fmt: skip
    """Decode spikes (L, T, N) to ``features`` (L, N), and read these to ``outputs`` (L, O).

    ``weights`` (P, O, N) and ``biases`` (P, O) are heads, ``owners`` (L,) says whose sample l is.
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


@njit(cache=True, error_model="numpy")
def _move(states: Array, offset: int, state: Array, leaving: bool) -> None:
    """Fill ``state`` (S, C * N) from flat states (C, F) from ``offset`` on, or write it back."""
    size = state.shape[1] // states.shape[0]
    for s in range(state.shape[0]):
        for c in range(states.shape[0]):
            a, k = offset + s * size, c * size
            for n in range(size):  # of slices, an assignment takes longer
                if leaving:
                    states[c, a + n] = state[s, k + n]
                else:
                    state[s, k + n] = states[c, a + n]


@njit(cache=True, error_model="numpy")
def spike_products(spikes: Array, weight: Array, bias: Array, currents: Array) -> None:
    """Do what ``products`` does, by a dense product where that is faster."""
    fired, flat = np.int32(0), spikes.reshape(-1)
    if len(spikes) >= DENSE_ROWS:
        for m in range(flat.size):
            fired += np.int32(flat[m] != np.float32(0.0))
    if fired <= DENSE_SHARE * flat.size:
        products(spikes, weight, bias, currents)
        return
    np.dot(spikes, weight, currents)
    for r in range(len(currents)):
        for n in range(bias.size):
            currents[r, n] += bias[n]


@njit(cache=True, error_model="numpy")
def network_forward(
    kinds: NDArray[np.int64], layers: tuple[tuple[Array, ...], ...], coefficients: Array,
    signal: Array, states: Array, voltages: tuple[Array, ...],
    kept: tuple[NDArray[np.uint8], ...], decoded: Array, limits: tuple[int, int],
) -> None:  # fmt: skip
    """Run a network, a chunk of samples after the other, whose arrays stay in the cache.

    Args:
        kinds: (layers,) int64.
        layers: Constants (7,), biases (N,), and twice weights, those of the input and the recurrent
            ones: each as it is stored (N, D), with what ``rows`` keeps of it; (0, 0) for no
            recurrence. An entry for each layer.
        coefficients: (Q, T) of the decoder.
        signal: (K, B, D), input at K = T time steps or, for K = 1, at all of them.
        states: (B, F) flat, updated in place.
        voltages: (T * B * N,) each to be kept, chunk by chunk (T, C * N), or (T * chunk * N,).
        kept: (T * B * N,) each, written with spikes in the same order, or empty.
        decoded: (Q, B, N), written.
        limits: Samples of a chunk, neurons of a layer.
    """
    constants, biases, stored, seen, weights, looped, seen_looped, recurrent = layers
    for k in range(len(weights)):
        rows(stored[k], seen[k], weights[k])
        rows(looped[k], seen_looped[k], recurrent[k])
    (held, batch, _), steps, chunk = signal.shape, coefficients.shape[1], limits[0]
    scratch = np.empty((3, steps * chunk * limits[1]), np.float32)
    currents, spikes, source = scratch[0], scratch[1], scratch[2]
    for first in range(0, batch, chunk):
        last, offset = min(first + chunk, batch), 0
        count = last - first
        for k in range(len(weights)):
            fan_in, size = weights[k].shape
            across, given = count * size, held if k == 0 else steps
            driven = currents[: given * across].reshape(given * count, size)
            if k == 0:
                for t in range(held):
                    own = driven[t * count : (t + 1) * count]
                    products(signal[t, first:last], weights[k], biases[k], own)
            else:
                fired = source[: steps * count * fan_in].reshape(steps * count, fan_in)
                spike_products(fired, weights[k], biases[k], driven)
            state = np.empty((VARIABLES[kinds[k]] + min(len(recurrent[k]), 1), across), np.float32)
            _move(states[first:last], offset, state, False)
            a = steps * first * size if len(voltages[k]) > steps * chunk * size else 0
            _run_layer(
                kinds[k], constants[k], recurrent[k], driven.reshape(given, across), state,
                voltages[k][a : a + steps * across].reshape(steps, across),
                spikes[: steps * across].reshape(steps, across),
            )  # fmt: skip
            _move(states[first:last], offset, state, True)
            if len(kept[k]):
                room = kept[k][a : a + steps * across]
                for m in range(room.size):
                    room[m] = spikes[m] != np.float32(0.0)
            offset += len(state) * size
            source, spikes = spikes, source
        decode(coefficients, source[: steps * across].reshape(steps, across), first, decoded)
