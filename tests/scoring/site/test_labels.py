"""Names beside points: where they stand, and that those that are shown cover no other."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.scoring.site.labels import Label, placed, places

POINTS = st.lists(
    st.tuples(st.text("ab-", max_size=12), st.integers(0, 720), st.integers(0, 380)), max_size=12
)


def test_places_by_hand():
    # Four letters are 30 pixels wide.
    assert places("abcd", 100, 50, 720) == [
        Label("abcd", 110, 44, False),
        Label("abcd", 90, 44, True),
        Label("abcd", 110, 66, False),
        Label("abcd", 90, 66, True),
    ]
    assert [one.to_the_left for one in places("abcd", 700, 50, 720)] == [True, True]
    assert [one.to_the_left for one in places("abcd", 20, 50, 720)] == [False, False]
    assert places("a" * 99, 20, 50, 720) == [Label("a" * 99, 30, 44, False)]


def test_a_second_name_at_the_same_place_stands_elsewhere():
    labels = placed([("abcd", 100, 50)] * 5, 720)
    assert [(one.x, one.y, free) for one, free in labels] == [
        *((110, 44, True), (90, 44, True), (110, 66, True), (90, 66, True)),
        (110, 44, False),
    ]


def test_a_name_stands_on_no_other_point_where_it_can():
    # Right and above it would cover the point at (120, 40): from 110 to 140, from 32 to 48.
    (first, _), (second, _) = placed([("abcd", 100, 50), ("e", 120, 40)], 720)
    assert (first.x, first.y, first.to_the_left) == (90, 44, True)
    assert (second.x, second.y) == (130, 34)


@pytest.mark.parametrize(
    ("x", "y", "covered"),
    [(120, 40, True), (102, 40, False), (104, 40, True), (120, 56, False), (120, 54, True)],
)
def test_a_point_is_covered_where_a_name_comes_near(x, y, covered):
    # Letters from 110 to 140, and from 32 to 48.
    assert Label("abcd", 110, 44, False).covers_point(x, y) == covered


@given(points=POINTS)
def test_names_that_are_shown_cover_no_other(points):
    labels = placed(points, 720)
    assert [one.text for one, _ in labels] == [text for text, _, _ in points]
    shown = [one for one, free in labels if free]
    assert not any(a.covers(b) for a, b in itertools.combinations(shown, 2))
