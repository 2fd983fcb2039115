"""Dataclasses of numbers and arrays, to named arrays and back."""

from dataclasses import dataclass

import numpy as np
import pytest

from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix


@dataclass
class Carried:
    count: int
    mean: float
    seen: bool
    baseline: np.float32
    weights: np.ndarray


def test_what_is_carried_comes_back_with_its_types():
    first = Carried(3, 0.5, True, np.float32(0.1), np.arange(4, dtype=np.int8))
    arrays = to_arrays(first)
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        "count": ((), np.int64),
        "mean": ((), np.float64),
        "seen": ((), np.bool_),
        "baseline": ((), np.float32),
        "weights": ((4,), np.int8),
    }
    back = from_arrays(Carried(0, 0.0, False, np.float32(0), np.zeros(4)), arrays, "it")
    for name, value in vars(back).items():
        assert type(value) is type(getattr(first, name))
        assert np.array_equal(value, getattr(first, name))
    assert back.weights.dtype == np.int8


def test_nothing_is_shared():
    first = Carried(3, 0.5, True, np.float32(0.1), np.zeros(4))
    arrays = to_arrays(first)
    back = from_arrays(first, arrays, "it")
    arrays["weights"][:] = 1.0
    assert not first.weights.any()
    assert not back.weights.any()


def test_other_names_are_refused():
    with pytest.raises(ValueError, match=r"^it carries \['baseline', .*'weights'\], got \['x'\]$"):
        from_arrays(Carried(0, 0.0, False, np.float32(0), np.zeros(1)), {"x": np.zeros(1)}, "it")


def test_values_with_a_prefix_are_found_again_and_others_left_out():
    named = {**prefixed("a", {"x": 1, "b.y": 2}), **prefixed("ab", {"x": 3}), "a": 4}
    assert named == {"a.x": 1, "a.b.y": 2, "ab.x": 3, "a": 4}
    assert with_prefix("a", named) == {"x": 1, "b.y": 2}
    assert with_prefix("a.b", named) == {"y": 2}
