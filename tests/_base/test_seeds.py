"""Seeds as commands and plans write them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.names import parse_seeds, shown_seeds


def test_shown_seeds_by_hand():
    assert shown_seeds([7, 0, 1, 2]) == "0-2, 7"
    assert shown_seeds([3]) == "3"
    assert shown_seeds([]) == ""


@given(st.sets(st.integers(0, 40), min_size=1))
def test_shown_seeds_are_read_back_as_they_were(seeds):
    ranges = [parse_seeds(text) for text in shown_seeds(seeds).split(", ")]
    assert sorted(seed for part in ranges for seed in part) == sorted(seeds)
    assert all(one[-1] + 1 < two[0] for one, two in itertools.pairwise(ranges))
