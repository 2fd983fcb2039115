"""Tests of name suggestions and of seeds as text."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.names import did_you_mean, parse_seeds, shown_seeds


def test_errors_suggest_the_nearest_name():
    assert did_you_mean("ppo-lfi", ["dqsn", "ppo-lif"]) == "; did you mean 'ppo-lif'?"
    assert did_you_mean("x", ["dqsn", "ppo-lif"]) == ";"
    assert did_you_mean("x", [], "; none") == "; none"


def test_shown_seeds_by_hand():
    assert shown_seeds([7, 0, 1, 2]) == "0-2, 7"
    assert shown_seeds([3]) == "3"
    assert shown_seeds([]) == ""


@given(st.sets(st.integers(0, 40), min_size=1))
def test_shown_seeds_are_read_back(seeds):
    ranges = [parse_seeds(text) for text in shown_seeds(seeds).split(", ")]
    assert sorted(seed for part in ranges for seed in part) == sorted(seeds)
    assert all(one[-1] + 1 < two[0] for one, two in itertools.pairwise(ranges))
