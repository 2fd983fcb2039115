"""Compiled kernels of layers: products with spikes, T time steps forward and backward (numba)."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.program.neuron_kernels import call

# ---- intrinsics ----------------------------------------------------------------------------------
# Numba has no operation for the place of a bit, and its loops over a row load and store the sums
# for every few rows, with a test for overlap each time. Here the sums of ``COLUMNS`` columns stay
# in registers while any number of rows is added to them.
COLUMNS = 32
"""Columns of a strip: 1,024 rows of them are 128 KiB, 256 rows fit the nearest cache of a core."""
_LANES = 16
"""Numbers of one vector; a processor with shorter vectors uses several."""

_INT = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_FIRST_LANE = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
_NO_VECTOR = ir.Constant(_VECTOR, ir.Undefined)


def _type_lowest_bit(_: Any, word: Any) -> Any:
    if word != types.uint64:
        raise TypingError(f"word is of type {word}; pass a uint64")

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest_bit: Any = intrinsic(_type_lowest_bit)
"""Return the place (int64) of the lowest bit that is set in a uint64, which must not be 0."""


def _type_add_rows(
    _: Any, total: Any, at: Any, strip: Any, above: Any, places: Any, values: Any, a: Any, z: Any
) -> Any:
    arrays = {"total": total, "strip": strip, "places": places, "values": values}
    for name, kind in arrays.items():
        if kind.layout != "C":
            raise TypingError(f"{name} is an array of layout {kind.layout}; pass one in order, C")
    for name, kind in {"at": at, "above": above, "a": a, "z": z}.items():
        if not isinstance(kind, types.Integer):
            raise TypingError(f"{name} is of type {kind}; pass an integer")
    place = types.int64
    signature = types.void(total, place, strip, place, places, values, place, place)
    return signature, _generate_add_rows


add_rows: Any = intrinsic(_type_add_rows)
"""Add ``values[k]`` times row ``places[k]`` of a strip, for k from a to z - 1, to a total.

The total is the ``COLUMNS`` numbers from flat place ``at`` on, the strip's rows start at flat
place ``above``; arrays are float32, ``places`` int32, all other arguments int64. The sum is
``((v w + v w) + (v w + v w))`` of four rows each, then of single rows, in order and without
fused multiply-adds, so that it has the same bits on every processor.
"""


def _generate_add_rows(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    total, at, strip, above, places, values, a, z = (
        context.make_array(kind)(context, builder, arg).data if hasattr(kind, "layout") else arg
        for kind, arg in zip(signature.args, args, strict=True)
    )
    start, top = builder.gep(total, [at]), builder.gep(strip, [above])
    sums = [
        cgutils.alloca_once(builder, _VECTOR)  # type: ignore[no-untyped-call]
        for _ in range(COLUMNS // _LANES)
    ]
    for j, room in enumerate(sums):
        builder.store(_load(builder, start, j), room)
    fours = builder.add(a, builder.and_(builder.sub(z, a), ir.Constant(_INT, -4)))
    for first, last, step in ((a, fours, 4), (fours, z, 1)):
        with cgutils.for_range_slice(builder, first, last, ir.Constant(_INT, step)) as (k, _):
            met = [builder.add(k, ir.Constant(_INT, i)) for i in range(step)]
            rows = [_row(builder, top, places, i) for i in met]
            factors = [_spread(builder, values, i) for i in met]
            for j, room in enumerate(sums):
                terms = [
                    builder.fmul(factor, _load(builder, row, j))
                    for factor, row in zip(factors, rows, strict=True)
                ]
                while len(terms) > 1:
                    pairs = zip(terms[::2], terms[1::2], strict=True)
                    terms = [builder.fadd(x, y) for x, y in pairs]
                builder.store(builder.fadd(builder.load(room), terms[0]), room)
    for j, room in enumerate(sums):
        builder.store(builder.load(room), _lanes(builder, start, j)).align = 4
    return context.get_dummy_value()


def _lanes(builder: Any, pointer: Any, j: int) -> Any:
    """Return a pointer to the j-th vector of numbers, counted from ``pointer`` on."""
    number = builder.gep(pointer, [ir.Constant(_INT, j * _LANES)])
    return builder.bitcast(number, _VECTOR.as_pointer())


def _load(builder: Any, pointer: Any, j: int) -> Any:
    loaded = builder.load(_lanes(builder, pointer, j))
    loaded.align = 4
    return loaded


def _row(builder: Any, top: Any, places: Any, k: Any) -> Any:
    """Return a pointer to row ``places[k]`` of the strip that begins at ``top``."""
    place = builder.sext(builder.load(builder.gep(places, [k])), _INT)
    return builder.gep(top, [builder.mul(place, ir.Constant(_INT, COLUMNS))])


def _spread(builder: Any, values: Any, k: Any) -> Any:
    """Return a vector filled with ``values[k]``."""
    value = builder.load(builder.gep(values, [k]))
    one = builder.insert_element(_NO_VECTOR, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, _NO_VECTOR, _FIRST_LANE)


# ---- kernels -------------------------------------------------------------------------------------
# An event is a number that is not zero: a spike, or a value of an encoder. A product adds up the
# rows of the weights at events, and the gradient of the weights the rows of gradients; silence
# costs a bit. Weights are read in strips, (S, D, ``COLUMNS``), zero-padded: rows of a matrix lie
# so far apart that a cache keeps few of them, rows of a strip side by side.
#
# The order of a sum depends on the events alone, not on batch, chunk or processor.
Array = NDArray[np.float32]
Source = Array | NDArray[np.uint8]
Words = NDArray[np.uint64]
Places = NDArray[np.int32]
Room = tuple[Words, Places, Places, Array, Array]
"""Scratch: bits, starts of rows' events, their places and values, and sums of a strip."""

_WORD = 64
_LINE = 64
"""Bytes of a line of the cache: a vector across two takes twice as long to read."""
_ROWS = 256
"""Rows of a source whose events are listed at once."""


@njit(cache=True, error_model="numpy")
def empty_strips(rows: int, size: int) -> Array:
    """Return zero strips (S, rows, ``COLUMNS``) for ``size`` columns, aligned to a cache line."""
    strips = (size + COLUMNS - 1) // COLUMNS
    count, spare = strips * rows * COLUMNS, _LINE // 4
    room = np.zeros(count + spare, np.float32)
    first = (-room.ctypes.data % _LINE) // 4
    aligned: Array = room[first : first + count].reshape(strips, rows, COLUMNS)
    return aligned


@njit(cache=True, error_model="numpy", _nrt=False)
def keep_strips(weight: Array, seen: Array, strips: Array) -> None:
    """Copy rows of ``weight`` (N, D) that differ from ``seen`` to ``seen`` and ``strips``."""
    # To compare is much less than to transpose, and sees every change, however it was made.
    for n in range(weight.shape[0]):
        changed = 0
        for d in range(weight.shape[1]):
            changed += int(weight[n, d] != seen[n, d])
        if changed:
            s, column = n // COLUMNS, n % COLUMNS
            for d in range(weight.shape[1]):
                seen[n, d] = weight[n, d]
                strips[s, d, column] = weight[n, d]


@njit(cache=True, error_model="numpy")
def strips_of(weight: Array) -> Array:
    """Return ``weight`` (N, D), transposed, as strips (S, D, ``COLUMNS``) padded with zeros."""
    strips: Array = empty_strips(weight.shape[1], weight.shape[0])
    for n in range(weight.shape[0]):
        for d in range(weight.shape[1]):
            strips[n // COLUMNS, d, n % COLUMNS] = weight[n, d]
    return strips


@njit(cache=True, error_model="numpy", _nrt=False)
def _words(channels: int) -> int:
    """Return the number of 64-bit words with a bit for each channel."""
    return (channels + _WORD - 1) // _WORD


@njit(cache=True, error_model="numpy", _nrt=False)
def _pack(source: Source, first: int, words: Words) -> None:
    """Fill ``words`` (R, W): a bit is 1 where ``source`` (.., D) from row ``first`` on is not 0."""
    channels = source.shape[1]
    for r in range(words.shape[0]):
        row = source[first + r]
        for w in range(words.shape[1]):
            start = w * _WORD
            count, word = min(_WORD, channels - start), np.uint64(0)
            for k in range(count):
                word |= np.uint64(row[start + k] != 0) << np.uint64(k)
            words[r, w] = word


@njit(cache=True, error_model="numpy", _nrt=False)
def _list_events(
    source: Source, first: int, words: Words, starts: Places, places: Places, values: Array
) -> None:
    """List places and values of the events in ``words``; row r begins at ``starts[r]``."""
    count = 0
    for r in range(words.shape[0]):
        starts[r] = count
        for w in range(words.shape[1]):
            word, start = words[r, w], w * _WORD
            while word:
                d = start + lowest_bit(word)
                places[count], values[count] = d, np.float32(source[first + r, d])
                word &= word - np.uint64(1)
                count += 1
    starts[words.shape[0]] = count


@njit(cache=True, error_model="numpy", _nrt=False)
def _add_strips(
    strips: Array, starts: Places, places: Places, values: Array, first: int, room: Array,
    totals: Array,
) -> None:  # fmt: skip
    """Add the strips' rows of the listed events to ``totals`` (.., N) from row ``first`` on."""
    channels, size = strips.shape[1], totals.shape[1]
    for s in range(strips.shape[0]):
        above, start = s * channels * COLUMNS, s * COLUMNS
        count = min(COLUMNS, size - start)
        for r in range(starts.size - 1):
            a, z = np.int64(starts[r]), np.int64(starts[r + 1])
            if a == z:
                continue
            if count == COLUMNS:
                at = (first + r) * size + start
                add_rows(totals, at, strips, above, places, values, a, z)
                continue
            for n in range(count):
                room[n] = totals[first + r, start + n]
            add_rows(room, 0, strips, above, places, values, a, z)
            for n in range(count):
                totals[first + r, start + n] = room[n]


@njit(cache=True, error_model="numpy")
def event_room(channels: int) -> Room:
    """Return scratch of ``add_products`` for sources of up to that many channels."""
    most = _ROWS * channels
    return (
        np.empty(_ROWS * _words(channels), np.uint64),
        np.empty(_ROWS + 1, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.float32),
        np.empty(COLUMNS, np.float32),
    )


@njit(cache=True, error_model="numpy", _nrt=False)
def add_products(source: Source, strips: Array, totals: Array, room: Room) -> None:
    """Add ``source`` (R, D) times the weights in ``strips`` to ``totals`` (R, N)."""
    words, starts, places, values, spare = room
    width = _words(source.shape[1])
    for first in range(0, source.shape[0], _ROWS):
        count = min(_ROWS, source.shape[0] - first)
        own, ends = words[: count * width].reshape(count, width), starts[: count + 1]
        _pack(source, first, own)
        _list_events(source, first, own, ends, places, values)
        _add_strips(strips, ends, places, values, first, spare, totals)


@njit(cache=True, error_model="numpy", _nrt=False)
def _turn(block: Words) -> None:
    """Transpose 64 words of 64 bits in place.

    By exchanging ever smaller squares: Warren, "Hacker's Delight", 2nd ed. 2013, figure 7-6.
    """
    half, mask = 32, np.uint64(0x00000000FFFFFFFF)
    while half:
        k, shift = 0, np.uint64(half)
        while k < _WORD:
            other = k | half
            swapped = ((block[k] >> shift) ^ block[other]) & mask
            block[k] ^= swapped << shift
            block[other] ^= swapped
            k = (other + 1) & ~half
        half >>= 1
        mask ^= mask << np.uint64(half)


@njit(cache=True, error_model="numpy", _nrt=False)
def _list_by_channel(
    source: Source, first: int, words: Words, block: Words, starts: Places, places: Places,
    values: Array,
) -> None:  # fmt: skip
    """List the events of up to 64 rows by channel, the bias last; ``block`` (64,) is scratch."""
    count, channels = 0, source.shape[1]
    for w in range(words.shape[1]):
        for r in range(_WORD):
            block[r] = words[r, w] if r < words.shape[0] else np.uint64(0)
        _turn(block)
        start = w * _WORD
        for d in range(start, min(start + _WORD, channels)):
            starts[d], word = count, block[d - start]
            while word:
                r = lowest_bit(word)
                places[count], values[count] = r, np.float32(source[first + r, d])
                word &= word - np.uint64(1)
                count += 1
    starts[channels] = count
    for r in range(words.shape[0]):  # the bias is the weight of an input that is always one
        places[count], values[count] = r, np.float32(1.0)
        count += 1
    starts[channels + 1] = count


@njit(cache=True, error_model="numpy", _nrt=False)
def _add_outer(grads: Array, starts: Places, places: Places, values: Array, strips: Array) -> None:
    """Add to each channel's row of ``strips`` the rows of ``grads`` times values of its events."""
    channels = strips.shape[1]
    for s in range(strips.shape[0]):
        above = s * _WORD * COLUMNS
        for d in range(channels):
            a, z = np.int64(starts[d]), np.int64(starts[d + 1])
            if a < z:
                at = (s * channels + d) * COLUMNS
                add_rows(strips, at, grads, above, places, values, a, z)


@njit(cache=True, error_model="numpy", _nrt=False)
def _to_strips(matrix: Array, strips: Array) -> None:
    """Fill the first R rows of ``strips`` with ``matrix`` (R, N)."""
    for s in range(strips.shape[0]):
        start = s * COLUMNS
        for r in range(matrix.shape[0]):
            for n in range(min(COLUMNS, matrix.shape[1] - start)):
                strips[s, r, n] = matrix[r, start + n]


@njit(cache=True, error_model="numpy", _nrt=False)
def _from_strips(strips: Array, first: int, weight: Array) -> None:
    """Fill ``weight`` (N, D) with the D rows of ``strips`` from ``first`` on."""
    for s in range(strips.shape[0]):
        start = s * COLUMNS
        for n in range(min(COLUMNS, weight.shape[0] - start)):
            for d in range(weight.shape[1]):
                weight[start + n, d] = strips[s, first + d, n]


@njit(cache=True, error_model="numpy")
def synapse_gradients(
    source: Source, grad_currents: Array, grad_weight: Array, grad_bias: Array
) -> None:
    """Fill ``grad_weight`` (N, D) and ``grad_bias`` (N,) with gradients for sources (R, D)."""
    (rows, channels), size = source.shape, grad_currents.shape[1]
    words = np.empty((_WORD, _words(channels)), np.uint64)
    block, starts = np.empty(_WORD, np.uint64), np.empty(channels + 2, np.int32)
    places = np.empty(_WORD * (channels + 1), np.int32)
    values = np.empty(_WORD * (channels + 1), np.float32)
    grads, strips = empty_strips(_WORD, size), empty_strips(channels + 1, size)
    for first in range(0, rows, _WORD):
        count = min(_WORD, rows - first)
        _pack(source, first, words[:count])
        _list_by_channel(source, first, words[:count], block, starts, places, values)
        _to_strips(grad_currents[first : first + count], grads)
        _add_outer(grads, starts, places, values, strips)
    _from_strips(strips, 0, grad_weight)
    _from_strips(strips, channels, grad_bias.reshape(size, 1))


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

    ``weight`` (S, N, ``COLUMNS``) are strips, ``previous`` (M,) the spikes before the first step;
    ``total`` (M,) and ``events`` are scratch.
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
@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def population_layer(
    kernel: int, constants: Array, rest: Array, weights: Array, biases: Array,
    owners: NDArray[np.int64], signal: Array, voltages: Array, spikes: Array, room: Array,
) -> None:  # fmt: skip
    """Run one layer of many networks from rest, each sample by the weights of its owner.

    ``weights`` (P, D, N) and ``biases`` (P, N) belong to P networks, ``owners`` (L,) names the
    network of each sample, ``signal`` (L, K, D) is the input (K = T, or 1 for a constant), ``rest``
    (S, 1). Fills ``voltages`` and ``spikes`` (L, T, N); ``room`` (K + S, N) is scratch.
    """
    steps, size = signal.shape[1], weights.shape[2]
    currents, state = room[:steps], room[steps:]
    for sample in range(owners.size):
        owner = owners[sample]
        for k in range(steps):
            for n in range(size):
                currents[k, n] = biases[owner, n]
            for d in range(weights.shape[1]):  # networks are small: no search for spikes
                x = signal[sample, k, d]
                if x != np.float32(0.0):
                    for n in range(size):
                        currents[k, n] += weights[owner, d, n] * x
        for s in range(rest.shape[0]):
            for n in range(size):
                state[s, n] = rest[s, 0]
        forward(kernel, constants, currents, state, voltages[sample : sample + 1], spikes[sample])


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def population_readout(
    coefficients: Array, weights: Array, biases: Array, owners: NDArray[np.int64], spikes: Array,
    features: Array, outputs: Array,
) -> None:  # fmt: skip
    """Decode spikes (L, T, N) by coefficients (T,) to ``features`` (L, N) and ``outputs`` (L, O).

    ``weights`` (P, O, N) and ``biases`` (P, O) are heads, ``owners`` (L,) names that of each
    sample.
    """
    for sample in range(owners.size):
        owner = owners[sample]
        for n in range(features.shape[1]):
            features[sample, n] = np.float32(0.0)
        for t in range(coefficients.size):
            for n in range(features.shape[1]):
                features[sample, n] += coefficients[t] * spikes[sample, t, n]
        for o in range(biases.shape[1]):
            total = biases[owner, o]
            for n in range(features.shape[1]):
                total += weights[owner, o, n] * features[sample, n]
            outputs[sample, o] = total


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
        kept: (K * T * B * N,) each, filled chunk by chunk (K, T, C * N).
        fired: (T * B * N,) each, filled with spikes in the same order, or empty.
        decoded: (Q, B, N), filled.
        chunk: Samples of a chunk.
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
    """Back-propagate through ``forward``: fill ``grad_currents``, or add to it if (1, M).

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
    """Fill ``derivatives`` (M,) with a surrogate's at ``distances``; ``kernel`` is its address."""
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
