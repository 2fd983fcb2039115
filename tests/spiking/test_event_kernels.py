from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from snn_gym.spiking import event_kernels
from snn_gym.spiking.event_kernels import (
    COLUMNS,
    add_products,
    add_rows,
    empty_strips,
    event_room,
    keep_strips,
    lowest_bit,
    strips_of,
    synapse_gradients,
)
from tests.spiking import events_in_python

# Words have 64 bits, strips 32 columns, and 256 rows (of a gradient 64) are taken at once.
rows = st.sampled_from([1, 2, 63, 65, 256, 300])
channels = st.sampled_from([1, 4, 63, 64, 65, 130])
sizes = st.sampled_from([1, 2, 31, 32, 33, 70])
shares = st.sampled_from([0.0, 0.02, 0.4, 1.0])


def events(rng, shape, share, kind):
    fired = rng.random(shape) < share
    values = np.ones(shape) if kind is np.uint8 else rng.standard_normal(shape)
    return np.where(fired, values, 0).astype(kind)


@settings(max_examples=40, deadline=None)
@given(rows, channels, sizes, shares, st.sampled_from([np.float32, np.uint8]), st.integers(0, 99))
def test_products_equal_matrix_products(count, fan_in, size, share, kind, seed):
    rng = np.random.default_rng(seed)
    source = events(rng, (count, fan_in), share, kind)
    weight = rng.standard_normal((size, fan_in)).astype(np.float32)
    totals = rng.standard_normal((count, size)).astype(np.float32)
    expected = totals + source.astype(np.float64) @ weight.T
    add_products(source, strips_of(weight), totals, event_room(fan_in))
    np.testing.assert_allclose(totals, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(rows, channels, sizes, shares, st.sampled_from([np.float32, np.uint8]), st.integers(0, 99))
def test_gradients_equal_matrix_gradients(count, fan_in, size, share, kind, seed):
    rng = np.random.default_rng(seed)
    source = events(rng, (count, fan_in), share, kind)
    grads = rng.standard_normal((count, size)).astype(np.float32)
    # Filled whatever they held.
    weight, bias = np.full((size, fan_in), np.nan, np.float32), np.full(size, np.nan, np.float32)
    synapse_gradients(source, grads, weight, bias)
    wide = grads.astype(np.float64)
    np.testing.assert_allclose(weight, wide.T @ source, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(bias, wide.sum(0), rtol=1e-4, atol=1e-3)


def test_products_by_hand():
    signal = np.array([[0, 1, 0], [2, 0, -1], [0, 0, 0]], np.float32)
    weight = np.array([[0, 2, 4], [1, 3, 5]], np.float32)
    totals = np.tile(np.array([10, 20], np.float32), (3, 1))
    add_products(signal, strips_of(weight), totals, event_room(3))
    assert totals.tolist() == [[12, 23], [10 - 4, 22 - 5], [10, 20]]
    grad_weight, grad_bias = np.empty((2, 3), np.float32), np.empty(2, np.float32)
    synapse_gradients(signal, totals, grad_weight, grad_bias)
    assert grad_weight.tolist() == [[12, 12, -6], [34, 23, -17]]
    assert grad_bias.tolist() == [28, 60]


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 99))
def test_rows_are_added_in_a_fixed_order(above, count, seed):
    rng = np.random.default_rng(seed)
    strip = rng.standard_normal((20, COLUMNS)).astype(np.float32)
    places = rng.integers(0, 20 - above, count).astype(np.int32)
    values = rng.standard_normal(count).astype(np.float32)
    compiled = rng.standard_normal(COLUMNS + 7).astype(np.float32)
    plain = compiled.copy()
    _add_rows(compiled, 5, strip, above * COLUMNS, places, values, 0, count)
    events_in_python.add_rows(plain, 5, strip, above * COLUMNS, places, values, 0, count)
    assert np.array_equal(compiled, plain)


@given(st.integers(1, 2**64 - 1))
def test_the_lowest_bit(word):
    assert _lowest_bit(np.uint64(word)) == events_in_python.lowest_bit(np.uint64(word))
    assert word >> _lowest_bit(np.uint64(word)) & 1


def test_words_are_transposed():
    block = np.random.default_rng(0).integers(0, 2**64, 64, dtype=np.uint64, endpoint=False)
    before = [[int(word) >> k & 1 for k in range(64)] for word in block]
    event_kernels._turn(block)
    after = [[int(word) >> k & 1 for k in range(64)] for word in block]
    assert after == [list(column) for column in zip(*before, strict=True)]


def test_strips_follow_their_weights():
    weight = np.arange(35 * 2, dtype=np.float32).reshape(35, 2)
    seen, strips = np.full_like(weight, np.nan), empty_strips(2, 35)
    for _ in range(2):
        keep_strips(weight, seen, strips)
        assert np.array_equal(strips, strips_of(weight))
        assert strips.shape == (2, 2, COLUMNS)
        assert strips[1, 1, :3].tolist() == weight[32:, 1].tolist()
        assert not strips[1, :, 3:].any()
        weight[33, 1] = -7.0


def test_strips_begin_with_a_line_of_the_cache():
    assert {empty_strips(k, 40).ctypes.data % 64 for k in range(1, 20)} == {0}


@pytest.mark.parametrize(("name", "place"), [("total", 0), ("strip", 2), ("values", 5)])
def test_arrays_out_of_order_are_refused(name, place):
    number = np.zeros((2, COLUMNS), np.float32)
    given = [number, 0, number, 0, np.zeros(2, np.int32), np.zeros(2, np.float32), 0, 2]
    given[place] = np.zeros((4, 2 * COLUMNS), np.float32)[::2, ::2]
    with pytest.raises(TypingError, match=f"{name} is an array of layout A; pass one in order, C"):
        _add_rows(*given)


@njit
def _lowest_bit(word):
    return lowest_bit(word)


@njit
def _add_rows(total, at, strip, above, places, values, a, z):
    add_rows(total, at, strip, above, places, values, a, z)
