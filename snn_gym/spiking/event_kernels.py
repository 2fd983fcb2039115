"""Compiled products of spikes and weights, and gradients of the weights (numba)."""

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
