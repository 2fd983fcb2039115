"""Tests of the places that filters read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.program.layers import Convolution, Filtered
from tests.program.convolutions import LAYERS


def test_fields_by_hand():
    """Filters of 2 x 2 over two planes of 2 x 3: places are columns 0 and 1."""
    fields = Filtered(Convolution(filters=5, kernel=2), (2, 2, 3)).receptive_fields()
    # plane 0 is numbered 0 1 2 / 3 4 5, plane 1 from 6 on
    assert fields[..., 0].tolist() == [[0, 1, 3, 4, 6, 7, 9, 10], [1, 2, 4, 5, 7, 8, 10, 11]]


def test_padding_reads_zeros():
    fields = Filtered(Convolution(filters=1, kernel=3, padding=1), (1, 1, 1)).receptive_fields()
    assert fields[..., 0].tolist() == [[1, 1, 1, 1, 0, 1, 1, 1, 1]]


def test_pooled_fields_by_hand():
    """A pool of 2 makes 2 x 2 places of 5 x 4, without the last row; a filter reads one."""
    layer = Convolution(filters=1, kernel=1, pool=2)
    assert layer.shape((1, 5, 4)) == (1, 2, 2)
    assert Filtered(layer, (1, 5, 4)).receptive_fields()[:, 0].tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"kernel": 3}, (4, 8, 8)),
        ({"kernel": 3, "padding": 1}, (4, 10, 10)),
        ({"kernel": 3, "stride": 2}, (4, 4, 4)),
        ({"kernel": 2, "stride": 2, "pool": 2}, (4, 2, 2)),
    ],
)
def test_shapes(settings, shape):
    assert Convolution(filters=4, **settings).shape((1, 10, 10)) == shape
    fields = Filtered(Convolution(filters=4, **settings), (1, 10, 10)).receptive_fields()
    assert len(fields) == np.prod(shape[1:])


def test_a_filter_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a filter of 3 x 3 does not fit planes of 2 x 5 .*pool"):
        Convolution(filters=1).shape((1, 2, 5))


def test_channels_may_come_last():
    """Over 2 x 2 places of 3 planes, number (y * 2 + x) * 3 + plane, a filter reads one place."""
    layer = Filtered(Convolution(filters=1, kernel=1), (3, 2, 2), channels_last=True)
    assert layer.receptive_fields()[..., 0].tolist() == [
        [0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11],
    ]  # fmt: skip


@given(layer=LAYERS, last=st.booleans(), seed=st.integers(0, 99))
def test_filters_and_dense_weights(layer, last, seed):
    operator = Filtered(layer, (2, 6, 7), last)
    rng = np.random.default_rng(seed)
    filters = rng.normal(size=(layer.filters, 2 * layer.kernel**2)).astype(np.float32)
    weights = operator.unrolled(filters)
    np.testing.assert_array_equal(operator.shared(weights) * layer.pool**2, filters)
    assert np.count_nonzero(weights) == operator.synapses
    rows, columns = np.nonzero(weights)
    weights[rows[0], columns[0]] += 1.0
    if np.prod(operator.shape[1:]) > 1:
        with pytest.raises(ValueError, match="the weights are not those of"):
            operator.shared(weights)
