"""Names beside points: where they stand, and that those that are shown cover nothing."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard.site.front import Box, Label, placed, places, point_box

FIGURE = Box(64, 0, 720, 332)
POINTS = st.lists(
    st.tuples(st.text("ab-", max_size=12), st.integers(0, 720), st.integers(0, 380)), max_size=12
)
BOXES = st.lists(
    st.tuples(*[st.integers(0, 720)] * 4).map(
        lambda ends: Box(min(ends[:2]), min(ends[2:]), max(ends[:2]), max(ends[2:]))
    ),
    max_size=3,
)


def test_places_by_hand():
    heights = (44, 66, 39, 69, 55)
    assert places("abcd", 100, 50) == [
        Label("abcd", x, y, to_the_left)
        for y in heights
        for x, to_the_left in ((110, False), (90, True))
    ]


@pytest.mark.parametrize(
    ("label", "box"),
    [
        # Four letters are 30 pixels wide, and go 4 below the base line.
        (Label("abcd", 110, 44, False), Box(110, 32, 140, 48)),
        (Label("abcd", 90, 44, True), Box(60, 32, 90, 48)),
    ],
)
def test_the_space_of_a_name(label, box):
    assert label.box == box


@pytest.mark.parametrize(
    ("x", "y", "covered"),
    [(120, 40, True), (102, 40, False), (104, 40, True), (120, 56, False), (120, 54, True)],
)
def test_a_point_is_covered_where_a_name_comes_near(x, y, covered):
    # Letters from 110 to 140, and from 32 to 48.
    assert Label("abcd", 110, 44, False).box.meets(point_box(x, y)) == covered


@pytest.mark.parametrize(
    ("box", "held"),
    [
        (Box(64, 0, 720, 332), True),
        (Box(63, 0, 100, 10), False),
        (Box(64, -1, 100, 10), False),
        (Box(64, 0, 721, 10), False),
        (Box(64, 0, 100, 333), False),
    ],
)
def test_what_lies_within(box, held):
    assert FIGURE.holds(box) == held


def test_names_at_the_same_place_stand_elsewhere_or_are_not_shown():
    labels = placed([("abcd", 200, 50)] * 5, FIGURE, [])
    # At 39, 69 and 55 they would cover the first four, which go from 32 to 48 and from 54 to 70.
    assert [(one.x, one.y, clear) for one, clear in labels] == [
        *((210, 44, True), (190, 44, True), (210, 66, True), (190, 66, True)),
        (210, 44, False),
    ]


def test_a_name_stands_on_no_other_point():
    # Right and above it would cover the point at (220, 40): from 210 to 240, from 32 to 48.
    (first, _), (second, _) = placed([("abcd", 200, 50), ("e", 220, 40)], FIGURE, [])
    assert (first.x, first.y, first.to_the_left) == (190, 44, True)
    assert (second.x, second.y) == (230, 34)


def test_a_name_stands_clear_of_a_point_at_the_same_height():
    ((label, clear), _) = placed([("abcd", 70, 50), ("", 90, 50)], FIGURE, [])
    # There is no space at the left; letters from 27 to 43 are above the point's 43.
    assert (label.x, label.y, clear) == (80, 39, True)


def test_a_name_that_covers_a_point_wherever_it_stands_is_not_shown():
    around = [("", x, y) for x in (180, 220) for y in (40, 60)]
    (label, clear), *_ = placed([("abcd", 200, 50), *around], FIGURE, [])
    assert (label.x, label.y, clear) == (210, 44, False)


def test_a_name_stands_clear_of_intervals_and_of_the_numbers_of_the_axes():
    interval = Box(215, 0, 225, 332)
    ((label, clear),) = placed([("abcd", 200, 50)], FIGURE, [interval])
    assert (label.x, label.to_the_left, clear) == (190, True, True)
    ((label, clear),) = placed([("abcd", 90, 50)], FIGURE, [])  # 50 to 80 is left of the axis
    assert (label.x, clear) == (100, True)
    ((label, clear),) = placed([("a" * 99, 90, 50)], FIGURE, [])
    assert (label.x, clear) == (100, False)


@given(points=POINTS, taken=BOXES)
def test_names_that_are_shown_cover_nothing(points, taken):
    labels = placed(points, FIGURE, taken)
    assert [one.text for one, _ in labels] == [text for text, _, _ in points]
    shown = [one.box for one, clear in labels if clear]
    assert not any(a.meets(b) for a, b in itertools.combinations(shown, 2))
    others = [*taken, *(point_box(x, y) for _, x, y in points)]
    assert not any(a.meets(b) for a in shown for b in others)
    assert all(FIGURE.holds(one) for one in shown)
