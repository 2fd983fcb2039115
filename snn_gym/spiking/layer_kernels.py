"""Compiled kernels of layers: T time steps forward and backward (numba)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.program.neuron_kernels import call
from snn_gym.spiking.event_kernels import Array, Room, add_products, event_room, keep_strips

# ---- forward -------------------------------------------------------------------------------------
# A layer of ``N`` neurons on a batch of ``B`` is seen as ``M = B * N`` independent elements; arrays
# are ``(T, M)``, contiguous, float32, and the state is ``(S, M)``, a row for each variable. The
# neuron is a kernel of its own, printed from its text (``program.neuron_kernels``) and called by
# address. Products with spikes add weights of the neurons that fired, in their own order: there,
# equality with Norse ends at a spike whose margin is within rounding.
#
# A kernel fills ``spikes`` and the stored values ``kept`` (K, T, M), the recorded variable first,
# and updates the state in place. ``currents`` of shape ``(1, M)`` hold for all time steps.
# ``constants`` are (P, 1), or (P, N) where neurons differ. A sequence is ``L`` environment steps of
# ``T`` time steps: arrays are ``(L * T, M)``, held inputs ``(L, M)``.

SCRATCH = 4
"""Rows of scratch before the state's: currents, two for spikes, a time step's currents."""


@njit(cache=True, error_model="numpy", _nrt=False)
def forward(
    kernel: int, constants: Array, currents: Array, state: Array, kept: Array, spikes: Array
) -> None:
    """Run all time steps: update ``state`` (S, M); fill ``spikes`` (T, M), ``kept`` (K, T, M)."""
    elements = state.shape[1]
    call(
        kernel, constants, currents, 1 if currents.shape[0] > 1 else 0, state, kept,
        max(kept.strides[0] // 4, 1), spikes, spikes.shape[0], elements,
        constants.shape[1], elements,
    )  # fmt: skip


@njit(cache=True, error_model="numpy", _nrt=False)
def recurrent_forward(
    kernel: int, constants: Array, weight: Array, currents: Array, previous: Array, state: Array,
    kept: Array, spikes: Array, total: Array, events: Room,
) -> None:  # fmt: skip
    """Run all time steps of a recurrent layer, with the effects of ``forward``.

    ``weight`` (S, N, ``COLUMNS``) are strips, ``previous`` (M,) the spikes before the first time
    step. ``total`` (M,) and ``events`` are scratch.
    """
    size, given = weight.shape[1], total.reshape(1, total.size)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(spikes.shape[0]):
        for m in range(total.size):
            total[m] = currents[t * moving, m]
        source = previous if t == 0 else spikes[t - 1]
        add_products(source.reshape(-1, size), weight, total.reshape(-1, size), events)
        forward(kernel, constants, given, state, kept[:, t : t + 1], spikes[t : t + 1])


@njit(cache=True, error_model="numpy", _nrt=False)
def _run_layer(
    kernel: int, constants: Array, weight: Array, currents: Array, state: Array,
    kept: Array, spikes: Array, total: Array, events: Room,
) -> None:  # fmt: skip
    """Run a layer; if ``weight`` is not empty, it is recurrent and its last state row is spikes."""
    if weight.shape[0] == 0:
        forward(kernel, constants, currents, state, kept, spikes)
    else:
        last = state.shape[0] - 1
        recurrent_forward(
            kernel, constants, weight, currents, state[last], state[:last], kept, spikes,
            total, events,
        )  # fmt: skip
        for m in range(total.size):
            state[last, m] = spikes[spikes.shape[0] - 1, m]


@njit(cache=True, error_model="numpy")
def _reset(starts: NDArray[np.bool_], rest: Array, state: Array) -> None:
    """Set samples that start an episode to ``rest`` (S, 1) or (S, N), previous spikes to 0."""
    size = state.shape[1] // starts.size
    for b in range(starts.size):
        for s in range(state.shape[0] * int(starts[b])):
            for n in range(size):
                value = np.float32(0.0)
                if s < rest.shape[0]:
                    value = rest[s, n if rest.shape[1] > 1 else 0]
                state[s, b * size + n] = value


@njit(cache=True, error_model="numpy")
def sequence_forward(
    kernel: int, constants: Array, weight: Array, currents: Array, starts: NDArray[np.bool_],
    rest: Array, state: Array, entered: Array, kept: Array, spikes: Array,
) -> None:  # fmt: skip
    """Run all environment steps of a layer; samples in ``starts`` (L, B) are reset first.

    ``weight`` is that of ``recurrent_forward``, empty for none. ``entered`` (L, S, M) gets the
    state at the start of each environment step.
    """
    rounds = starts.shape[0]
    steps, held = spikes.shape[0] // rounds, currents.shape[0] // rounds
    total, events = np.empty(state.shape[1], np.float32), event_room(weight.shape[1])
    for k in range(rounds):
        _reset(starts[k], rest, state)
        entered[k] = state
        inputs, a, z = currents[k * held : (k + 1) * held], k * steps, (k + 1) * steps
        _run_layer(
            kernel, constants, weight, inputs, state, kept[:, a:z], spikes[a:z], total, events
        )


@njit(cache=True, error_model="numpy", _nrt=False)
def decode(coefficients: Array, spikes: Array, first: int, decoded: Array) -> None:
    """Fill ``decoded`` (Q, B, N), from sample ``first`` on, by coefficients @ spikes (T, C * N)."""
    size = decoded.shape[2]
    for q in range(decoded.shape[0]):
        for c in range(spikes.shape[1] // size):
            row = decoded[q, first + c]
            for n in range(size):
                row[n] = np.float32(0.0)
            for t in range(spikes.shape[0]):
                share = coefficients[q, t]
                for n in range(size):
                    row[n] += share * spikes[t, c * size + n]


@njit(cache=True, error_model="numpy")
def spread(coefficients: Array, grad_decoded: Array, chunk: int, grad_spikes: Array) -> None:
    """Fill ``grad_spikes`` (T * B * N,), chunk after chunk, from the gradient of ``decode``."""
    (outputs, batch, size), steps, r = grad_decoded.shape, coefficients.shape[1], 0
    for first in range(0, batch, chunk):
        for t in range(steps):
            for b in range(first, min(first + chunk, batch)):
                row = grad_spikes[r : r + size]
                row[:] = np.float32(0.0)
                for q in range(outputs):
                    share, grad = coefficients[q, t], grad_decoded[q, b]
                    for n in range(size):
                        row[n] += share * grad[n]
                r += size


# Nothing below counts references, which numba does at each use of an array where some are made.
@njit(cache=True, error_model="numpy", _nrt=False)
def _move(states: Array, offset: int, state: Array, leaving: bool) -> None:
    """Copy flat states (C, F) at ``offset`` to ``state`` (S, C * N), or back if ``leaving``."""
    size = state.shape[1] // states.shape[0]
    for s in range(state.shape[0]):
        for c in range(states.shape[0]):
            a, k = offset + s * size, c * size
            for n in range(size):  # faster than assigning slices
                if leaving:
                    states[c, a + n] = state[s, k + n]
                else:
                    state[s, k + n] = states[c, a + n]


@njit(cache=True, error_model="numpy", _nrt=False)
def _fill_rows(bias: Array, currents: Array) -> None:
    """Fill every row of ``currents`` (R, N) with ``bias`` (N,)."""
    for r in range(currents.shape[0]):
        for n in range(bias.size):
            currents[r, n] = bias[n]


@njit(cache=True, error_model="numpy", _nrt=False)
def network_forward(
    neurons: NDArray[np.int64], layers: tuple[tuple[Array, ...], ...], coefficients: Array,
    signal: Array, states: Array, kept: tuple[Array, ...],
    fired: tuple[NDArray[np.uint8], ...], decoded: Array, chunk: int,
    room: tuple[Array, Room],
) -> None:  # fmt: skip
    """Run a network in chunks of samples, whose arrays stay in the cache.

    Args:
        neurons: (layers, 3) int64: address of the kernel, state variables, stored values.
        layers: Tuples of an array per layer: constants (P, 1), biases (N,), input weights (N, D),
            or none of their rows if they have not changed, with the arguments of ``keep_strips``,
            and the same for recurrent weights, which are empty for no recurrence.
        coefficients: (Q, T) of the decoder.
        signal: (K, B, D), input at K = T time steps or, for K = 1, at all of them.
        states: (B, F) flat, updated in place.
        kept: (V * T * B * N,) each, filled with V values, chunk by chunk (V, T, C * N).
        fired: (T * B * N,) each, filled with spikes in the same order, or empty.
        decoded: (Q, B, N), filled.
        chunk: Samples C of a chunk.
        room: Scratch (``SCRATCH`` rows and those of the state, of at least T * chunk times the
            widest layer), and that of ``add_products``.
    """
    constants, biases, stored, seen, weights, looped, seen_looped, recurrent = layers
    for k in range(len(weights)):
        keep_strips(stored[k], seen[k], weights[k])
        keep_strips(looped[k], seen_looped[k], recurrent[k])
    (held, batch, _), steps, (scratch, events) = signal.shape, coefficients.shape[1], room
    currents, spikes, source, total = scratch[0], scratch[1], scratch[2], scratch[3]
    variables = scratch[SCRATCH:].reshape(-1)
    for first in range(0, batch, chunk):
        last, offset = min(first + chunk, batch), 0
        count = last - first
        for k in range(len(weights)):
            size, fan_in = biases[k].size, weights[k].shape[1]
            across, given = count * size, held if k == 0 else steps
            driven = currents[: given * across].reshape(given * count, size)
            _fill_rows(biases[k], driven)
            if k == 0:
                for t in range(held):
                    own = driven[t * count : (t + 1) * count]
                    add_products(signal[t, first:last], weights[k], own, events)
            else:
                arrived = source[: steps * count * fan_in].reshape(steps * count, fan_in)
                add_products(arrived, weights[k], driven, events)
            own_variables = neurons[k, 1] + min(recurrent[k].shape[0], 1)
            state = variables[: own_variables * across].reshape(own_variables, across)
            _move(states[first:last], offset, state, False)
            rows = neurons[k, 2]
            a = steps * first * size
            _run_layer(
                neurons[k, 0], constants[k], recurrent[k], driven.reshape(given, across), state,
                kept[k][rows * a : rows * (a + steps * across)].reshape(rows, steps, across),
                spikes[: steps * across].reshape(steps, across), total[:across], events,
            )  # fmt: skip
            _move(states[first:last], offset, state, True)
            if fired[k].size > 0:
                fired_at = fired[k][a : a + steps * across]
                for m in range(fired_at.size):
                    fired_at[m] = spikes[m] != np.float32(0.0)
            offset += own_variables * size
            source, spikes = spikes, source
        decode(coefficients, source[: steps * across].reshape(steps, across), first, decoded)


# ---- backward ------------------------------------------------------------------------------------
# A kernel walks the time steps in reverse over ``kept``. ``grad_state`` is the gradient of the
# final state on entry and of the initial state on return; ``grad_voltages`` are those of the
# recorded variable, for kernels that take them. ``grad_currents`` of shape ``(1, M)``, a sum over
# time steps, must be zero on entry.
#
# The reset ``v' = (1 - z) v + z v_reset`` and the jump of an adaptive threshold let the gradient
# through ``z``, as Norse's feed-forward steps do. (Of its recurrent ones, those of the LIF and the
# LSNN do not, that of the IAF does.)
BackwardNeuron = tuple[int, Array, np.float32, Array]
"""Backward kernel's address, constants (P, 1) or (P, N), slope of the surrogate gradient, and
gradients (P, N) of the constants, (0, 0) where they are shared."""


@njit(cache=True, error_model="numpy")
def backward(
    neuron: BackwardNeuron, kept: Array, grad_spikes: Array, grad_voltages: Array,
    grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``forward``: fill ``grad_currents``, or add to it if it is (1, M).

    ``grad_state`` (S, M) holds the gradient of the final state on entry, of the initial one on
    return. The gradients of the constants in ``neuron`` add up.
    """
    kernel, constants, slope, grad_constants = neuron
    elements = grad_state.shape[1]
    call(
        kernel, constants, slope, 1 if grad_currents.shape[0] > 1 else 0, kept,
        max(kept.strides[0] // 4, 1), grad_spikes, grad_voltages, grad_state, grad_currents,
        grad_constants, kept.shape[1], elements, constants.shape[1], elements,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def surrogate_derivative(
    kernel: int, slope: np.float32, distances: Array, derivatives: Array
) -> None:
    """Fill ``derivatives`` (M,) of a surrogate at ``distances``, by the kernel at this address."""
    size = distances.size
    call(kernel, slope, distances, derivatives, 1, size, 1, size)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_product(left: Array, weight: Array, total: Array) -> None:
    """Add ``left @ weight`` to ``total``, both (B, N): two rows and four weights at a time."""
    batch, size = left.shape
    spare = np.zeros(size, dtype=np.float32)
    for b in range(0, batch, 2):
        paired = b + 1 < batch
        a, row = left[b], total[b]
        c, other = (left[b + 1], total[b + 1]) if paired else (left[b], spare)
        k = 0
        while k + 4 <= size:
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
            c0, c1, c2, c3 = c[k], c[k + 1], c[k + 2], c[k + 3]
            for n in range(size):
                row[n] += a0 * w0[n] + a1 * w1[n] + a2 * w2[n] + a3 * w3[n]
                other[n] += c0 * w0[n] + c1 * w1[n] + c2 * w2[n] + c3 * w3[n]
            k += 4
        while k < size:
            w0, a0, c0 = weight[k], a[k], c[k]
            for n in range(size):
                row[n] += a0 * w0[n]
                other[n] += c0 * w0[n]
            k += 1


@njit(cache=True, error_model="numpy")
def recurrent_backward(
    neuron: BackwardNeuron, weight: Array, kept: Array, grad_spikes: Array, grad_voltages: Array,
    grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``recurrent_forward``.

    ``weight`` is (N, N), row i the synapses **onto** neuron i. ``grad_spikes`` (1 + T, M), row 0
    for the spikes before the first step, also collects gradients through the recurrence.
    """
    size = weight.shape[0]
    for t in range(kept.shape[1] - 1, -1, -1):
        for m in range(grad_currents.shape[1]):
            grad_currents[t, m] = np.float32(0.0)
        # A slice beyond the end of an array without rows has none.
        backward(
            neuron, kept[:, t : t + 1], grad_spikes[t + 1 : t + 2], grad_voltages[t : t + 1],
            grad_state, grad_currents[t : t + 1],
        )  # fmt: skip
        _add_product(grad_currents[t].reshape(-1, size), weight, grad_spikes[t].reshape(-1, size))


@njit(cache=True, error_model="numpy")
def _block(starts: NDArray[np.bool_], grad_state: Array) -> None:
    """Zero ``grad_state`` (S, B * N) for samples where ``starts`` (B,) is True."""
    size = grad_state.shape[1] // starts.size
    for b in range(starts.size):
        if starts[b]:
            grad_state[:, b * size : (b + 1) * size] = np.float32(0.0)


@njit(cache=True, error_model="numpy")
def sequence_backward(
    neuron: BackwardNeuron, weight: Array, starts: NDArray[np.bool_], kept: Array,
    grad_spikes: Array, grad_voltages: Array, grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``sequence_forward``.

    ``weight`` is that of ``recurrent_backward``, empty for no recurrence; with it the last row of
    ``grad_state`` belongs to the previous spikes. Where an episode starts, by ``starts`` (L, B), no
    gradient of the state passes to the step before.
    """
    rounds = starts.shape[0]
    steps, held = kept.shape[1] // rounds, grad_currents.shape[0] // rounds
    gathered = np.empty((steps + 1, kept.shape[2]), dtype=np.float32)
    for k in range(rounds - 1, -1, -1):
        a, z, inputs = k * steps, (k + 1) * steps, grad_currents[k * held : (k + 1) * held]
        if weight.shape[0] == 0:
            backward(neuron, kept[:, a:z], grad_spikes[a:z], grad_voltages[a:z], grad_state, inputs)
        else:
            gathered[0] = np.float32(0.0)
            gathered[1:] = grad_spikes[a:z]
            gathered[-1] += grad_state[-1]
            recurrent_backward(
                neuron, weight, kept[:, a:z], gathered, grad_voltages[a:z], grad_state[:-1],
                inputs,
            )  # fmt: skip
            grad_state[-1] = gathered[0]
        _block(starts[k], grad_state)


@njit(cache=True, error_model="numpy")
def layer_backward(
    neuron: BackwardNeuron, shape: tuple[int, int, int], place: int, kept: Array,
    grad_spikes: Array, chunk: int, grad_states: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through a layer's neurons in ``network_forward``, chunk by chunk.

    ``shape`` holds N neurons, S state variables and K stored values. ``grad_states`` (B, F) holds
    the gradient of the final flat states on entry and of the first ones on return; the layer's S *
    N start at ``place``. ``kept`` (K * T * B * N,), ``grad_spikes`` and ``grad_currents`` (T * B *
    N,) are flat; the last is (B * N,) and zero on entry for a constant input.
    """
    (size, variables, rows), batch = shape, len(grad_states)
    steps = kept.size // (rows * batch * size)
    moving = grad_currents.size == steps * batch * size
    unseen = np.empty((0, 0), dtype=np.float32)
    for first in range(0, batch, chunk):
        count = min(first + chunk, batch) - first
        a, across = steps * first * size, count * size
        z = a + steps * across
        grad_state = np.empty((variables, across), dtype=np.float32)
        _move(grad_states[first : first + count], place, grad_state, False)
        if moving:
            inputs = grad_currents[a:z].reshape(steps, across)
        else:
            inputs = grad_currents[first * size : first * size + across].reshape(1, across)
        backward(
            neuron, kept[rows * a : rows * z].reshape(rows, steps, across),
            grad_spikes[a:z].reshape(steps, across), unseen, grad_state, inputs,
        )  # fmt: skip
        _move(grad_states[first : first + count], place, grad_state, True)
