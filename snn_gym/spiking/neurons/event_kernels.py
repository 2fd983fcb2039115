"""Products of weights with spikes by events, and the gradient of the weights (numba, CPU, float32).

An event is a number that is not zero: a spike, or a value of an encoder. A product adds up the rows
of the weights that events stand for, and the gradient of the weights the rows of gradients; silence
costs a bit. Weights are read in strips, (S, D, ``COLUMNS``), the last one filled up with zeros:
rows of a matrix lie so far apart that a cache keeps few of them, those of a strip side by side.

The order of a sum depends on the events alone, not on batch, chunk or processor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.spiking.neurons.event_intrinsics import COLUMNS, add_rows, lowest_bit

Array = NDArray[np.float32]
Source = Array | NDArray[np.uint8]
Words = NDArray[np.uint64]
Places = NDArray[np.int32]
Room = tuple[Words, Places, Places, Array, Array]
"""Scratch: bits, where rows' events begin, their places and values, and sums of a strip."""

_WORD = 64
_LINE = 64
"""Bytes of a line of the cache: a vector across two takes twice as long to read."""
_ROWS = 256
"""Rows of a source whose events are held at once."""


@njit(cache=True, error_model="numpy")
def empty_strips(rows: int, size: int) -> Array:
    """Return strips for a matrix (rows, size), all zeros, that begin with a line of the cache."""
    strips = (size + COLUMNS - 1) // COLUMNS
    count, spare = strips * rows * COLUMNS, _LINE // 4
    room = np.zeros(count + spare, np.float32)
    first = (-room.ctypes.data % _LINE) // 4
    aligned: Array = room[first : first + count].reshape(strips, rows, COLUMNS)
    return aligned


@njit(cache=True, error_model="numpy", _nrt=False)
def keep_strips(weight: Array, seen: Array, strips: Array) -> None:
    """Keep ``strips`` those of ``weight`` (N, D), of which ``seen`` is a copy."""
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
    """Return the strips of ``weight`` (N, D), as it is stored: a row for each neuron."""
    strips: Array = empty_strips(weight.shape[1], weight.shape[0])
    for n in range(weight.shape[0]):
        for d in range(weight.shape[1]):
            strips[n // COLUMNS, d, n % COLUMNS] = weight[n, d]
    return strips


@njit(cache=True, error_model="numpy", _nrt=False)
def _words(channels: int) -> int:
    """Return how many words hold a bit for each channel."""
    return (channels + _WORD - 1) // _WORD


@njit(cache=True, error_model="numpy", _nrt=False)
def _pack(source: Source, first: int, words: Words) -> None:
    """Set bits of ``words`` (R, W) where rows of ``source`` (.., D) from ``first`` on are not 0."""
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
    """List places and values of the events of each row that ``words`` holds.

    Those of row r stand from ``starts[r]`` to ``starts[r + 1]``.
    """
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
    """Add to rows of ``totals`` (.., N) from ``first`` on what their events stand for.

    ``room`` is scratch of ``COLUMNS`` numbers.
    """
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
    """List the events of up to 64 rows by channel, and as one more channel the bias's.

    ``block`` is scratch of 64 words.
    """
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
    """Add to each channel's row of ``strips`` the rows of gradients, in strips, of its events."""
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
    """Fill the first rows of ``strips`` with ``matrix`` (R, N); what is beyond stays."""
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
    """Fill the gradients of weights (N, D) and biases (N,).

    Args:
        source: (R, D) float32, or uint8 for spikes: what the synapses got.
        grad_currents: (R, N), gradients of what they gave.
        grad_weight: (N, D).
        grad_bias: (N,).
    """
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
