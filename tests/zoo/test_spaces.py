"""Tests of spaces as JSON."""

import json
from collections import OrderedDict

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.zoo.files import describe_space, describes

BOUND = st.floats(-1e6, 1e6, width=32)


@given(st.lists(st.tuples(BOUND, BOUND).map(sorted), min_size=1, max_size=5))
def test_descriptions_are_equal_only_for_equal_boxes(bounds):
    low, high = np.array(bounds, dtype=np.float32).T
    box = gym.spaces.Box(low, high)
    described = json.loads(json.dumps(describe_space(box), allow_nan=False))
    assert described == describe_space(gym.spaces.Box(low.copy(), high.copy()))
    assert described != describe_space(gym.spaces.Box(low, high + 1e6))


def test_infinite_bounds_are_described_in_strict_json():
    box = gym.spaces.Box(-np.inf, np.inf, (2,))
    assert json.loads(json.dumps(describe_space(box), allow_nan=False))["high"] == ["inf", "inf"]


@pytest.mark.parametrize(
    ("space", "description"),
    [
        (gym.spaces.Discrete(3, start=1), {"type": "Discrete", "n": 3, "start": 1}),
        (
            gym.spaces.MultiDiscrete([2, 3]),
            {"type": "MultiDiscrete", "nvec": [2, 3], "start": [0, 0]},
        ),
        (gym.spaces.MultiBinary((4, 5)), {"type": "MultiBinary", "shape": [4, 5]}),
        (
            gym.spaces.Dict({"b": gym.spaces.Discrete(2), "a": gym.spaces.MultiBinary(3)}),
            {
                "type": "Dict",
                "spaces": [
                    ["a", {"type": "MultiBinary", "shape": [3]}],
                    ["b", {"type": "Discrete", "n": 2, "start": 0}],
                ],
            },
        ),
    ],
)
def test_discrete_spaces_are_described(space, description):
    assert describe_space(space) == description


def test_other_spaces_are_refused():
    with pytest.raises(ValueError, match="Tuple spaces can't be saved"):
        describe_space(gym.spaces.Tuple([gym.spaces.Discrete(2)]))


def test_dictionaries_in_another_order_are_other_spaces():
    """Features stand in the order of the keys."""
    parts = {"a": gym.spaces.Discrete(2), "b": gym.spaces.Discrete(2)}
    turned = gym.spaces.Dict(OrderedDict(reversed(parts.items())))
    assert not describes(describe_space(gym.spaces.Dict(parts)), turned)


def test_image_limits_are_single_numbers():
    image = gym.spaces.Box(0, 255, (3, 210, 160), np.uint8)
    description = describe_space(image)
    assert (description["low"], description["high"]) == (0.0, 255.0)
    assert describes(json.loads(json.dumps(description)), image)
    # As versions before 1.1 wrote it.
    assert describes({**description, "low": [0.0] * image.low.size}, image)
    assert not describes({**description, "low": [1.0] * image.low.size}, image)
    assert not describes(description, gym.spaces.Box(0, 254, (3, 210, 160), np.uint8))
    high = np.full((3, 210, 160), 255, np.uint8)
    high[0, 0, 0] = 7
    other = gym.spaces.Box(np.zeros_like(high), high, dtype=np.uint8)
    assert not describes(description, other)
    assert describes(describe_space(other), other)
