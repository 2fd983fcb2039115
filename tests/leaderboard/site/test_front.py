"""Tests of the figure of score against operations: front, axes, labels, click areas."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.site.front import (
    Box,
    Label,
    decades,
    front,
    front_figure,
    placed,
    places,
    point_box,
    target,
    ticks,
)
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import fill, make_row

POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1)


def test_the_front_by_hand():
    points = [(30, 5.0), (10, 1.0), (20, 4.0), (20, 3.0), (25, 4.0), (40, 2.0)]
    assert front(points) == [(10, 1.0), (20, 4.0), (30, 5.0)]


@given(points=POINTS)
def test_front_points_have_no_cheaper_equal(points):
    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    unbeaten = {point for point in points if not any(beats(other, point) for other in points)}
    assert front(points) == sorted(unbeaten)


def test_powers_of_ten_enclose_all_operations():
    assert list(decades([256.0, 9000.0])) == [2, 3, 4]
    assert list(decades([100.0])) == [2, 3]
    assert list(decades([0.5, 10.0])) == [-1, 0, 1]


@pytest.fixture
def rows(tmp_path):
    scores = {"ppo-lif": (475.0, 475.0), "ppo-mlp": (21.65, 21.65), "dqsn": (100.0, 100.0)}
    made = [make_row(agent, seed, returns=x) for agent, x in scores.items() for seed in range(5)]
    found = {row.agent: row for row in table_rows(fill(tmp_path, *made))}
    costs = {"ppo-lif": (900.0, 100.0), "ppo-mlp": (None, 100.0), "dqsn": (10_000.0, None)}
    return [
        replace(
            found[name],
            synops_per_decision=synops,
            macs_per_decision=macs,
            neuron_updates_per_decision=None,
        )
        for name, (synops, macs) in costs.items()
    ]


def with_few_seeds(row, count):
    return replace(row, seeds=row.seeds[:count], seed_means=row.seed_means[:count])


def lines(read):
    return [x["d"] for x in read.attributes("path")]


def test_points_lie_at_operations_and_score(rows):
    read = Parsed(front_figure(rows, "here", up="../"))
    # The axis runs from 10^2 at 80 to 10^4 at 680; scores from 21.65 at 332 to 475 at 28.
    dots = [(x["cx"], x["cy"]) for x in read.attributes("circle")]
    # 332 - 304 * (100 - 21.65) / 453.35 is 279.5. Points of the front come first.
    assert dots == [("380.0", "28.0"), ("680.0", "279.5")]
    (square,) = read.attributes("rect")
    assert (square["x"], square["y"]) == ("74.5", "326.5")
    links = read.attributes("a")
    assert [x["href"] for x in links] == [
        *("../agents/ppo-lif.html", "../agents/ppo-mlp.html", "../agents/dqsn.html")
    ]
    assert [x.get("class") for x in links] == ["spiking named", "named", "spiking named"]
    assert links[0]["aria-label"] == "ppo-lif: 475.0 at 1,000 operations, spiking, 5 seeds"
    assert lines(read) == ["M80.0 332.0H380.0V28.0H680"]
    marks = {x["class"]: x["y1"] for x in read.attributes("line") if "reference" in x["class"]}
    assert marks == {"reference random": "332.0", "reference solved": "28.0"}
    assert "mean return" in read.said


def test_agents_without_operations_are_counted(rows):
    unknown = replace(rows[0], synops_per_decision=None, macs_per_decision=None)
    text = front_figure([unknown, *rows[1:]], "here", up="")
    assert "Costs of 1 more agents are unknown." in text
    assert front_figure([unknown, rows[1]], "here", up="") == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda row: with_few_seeds(row, 4),
        lambda row: replace(row, derived=True),
        lambda row: replace(row, unheard=True),
    ],
    ids=["four seeds", "made from other rows", "spikes that reach nothing"],
)
def test_unranked_points_are_hollow_and_not_on_the_front(rows, change):
    figure = front_figure([change(rows[0]), *rows[1:]], "here", up="")
    read = Parsed(figure)
    # Of the two others, the dearer is better: up to it at the right end, at 279.5.
    assert lines(read) == ["M80.0 332.0H680.0V279.5H680"]
    classes = {x["href"]: x.get("class", "") for x in read.attributes("a")}
    assert {key: "hollow" in value.split() for key, value in classes.items()} == {
        "agents/ppo-mlp.html": False,
        "agents/dqsn.html": False,
        "agents/ppo-lif.html": True,  # and the last to be named
    }
    assert list(classes)[-1] == "agents/ppo-lif.html"
    assert "Hollow points do not rank" in figure
    assert "The stepped line" in figure
    filled = front_figure(rows, "here", up="")
    assert "hollow" not in filled.lower()


def test_unranked_points_with_front_scores_are_not_on_the_front(rows):
    twin = replace(rows[0], agent="ppo-relu", derived=True)
    read = Parsed(front_figure([twin, *rows], "here", up=""))
    hrefs = [x["href"] for x in read.attributes("a")]
    assert hrefs[0] == "agents/ppo-lif.html"
    assert hrefs[-1] == "agents/ppo-relu.html"


def test_single_ranked_row_has_no_front(rows):
    figure = front_figure([rows[0], *(with_few_seeds(row, 1) for row in rows[1:])], "here", up="")
    assert lines(Parsed(figure)) == []
    assert "The stepped line" not in figure
    assert "at 100 operations, ANN, 1 seed<" in figure


def test_targets_of_near_points_meet_halfway(rows):
    near = replace(rows[0], agent="ppo-relu", synops_per_decision=940.0)
    read = Parsed(front_figure([near, *rows], "here", up=""))
    # 1,040 operations lie at 80 + 300 * log10(10.4) = 385.1, the other at 380: the middle is 382.6.
    areas = [x["points"] for x in read.attributes("polygon")]
    spans = [[float(corner.split(",")[0]) for corner in area.split(" ")] for area in areas]
    at_top = sorted((min(span), max(span)) for span in spans if 365 < min(span) < 385)
    assert at_top == [(367.1, 382.6), (382.6, 398.0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 500.0, [0, 100, 200, 300, 400, 500]),
        (-200.0, -98.0, [-200, -150, -100]),
        (0.4875, 1.0, [0.6, 0.8, 1.0]),
        (3.0, 3.0, [3.0]),
    ],
)
def test_round_numbers_by_hand(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


FIGURE = Box(64, 0, 720, 332)
NAMED_POINTS = st.lists(
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
def test_name_boxes_by_hand(label, box):
    assert label.box == box


@pytest.mark.parametrize(
    ("x", "y", "covered"),
    [(120, 40, True), (102, 40, False), (104, 40, True), (120, 56, False), (120, 54, True)],
)
def test_names_close_to_a_point_cover_it(x, y, covered):
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
def test_boxes_within_boxes(box, held):
    assert FIGURE.holds(box) == held


def test_names_at_the_same_place_are_moved_or_hidden():
    labels = placed([("abcd", 200, 50)] * 5, FIGURE, [])
    # At 39, 69 and 55 they would cover the first four, which go from 32 to 48 and from 54 to 70.
    assert [(one.x, one.y, clear) for one, clear in labels] == [
        *((210, 44, True), (190, 44, True), (210, 66, True), (190, 66, True)),
        (210, 44, False),
    ]


def test_names_cover_no_other_point():
    # Right and above it would cover the point at (220, 40): from 210 to 240, from 32 to 48.
    (first, _), (second, _) = placed([("abcd", 200, 50), ("e", 220, 40)], FIGURE, [])
    assert (first.x, first.y, first.to_the_left) == (190, 44, True)
    assert (second.x, second.y) == (230, 34)


def test_names_avoid_points_at_the_same_height():
    ((label, clear), _) = placed([("abcd", 70, 50), ("", 90, 50)], FIGURE, [])
    # There is no space at the left; letters from 27 to 43 are above the point's 43.
    assert (label.x, label.y, clear) == (80, 39, True)


def test_names_without_free_space_are_hidden():
    around = [("", x, y) for x in (180, 220) for y in (40, 60)]
    (label, clear), *_ = placed([("abcd", 200, 50), *around], FIGURE, [])
    assert (label.x, label.y, clear) == (210, 44, False)


def test_names_avoid_intervals_and_axis_numbers():
    interval = Box(215, 0, 225, 332)
    ((label, clear),) = placed([("abcd", 200, 50)], FIGURE, [interval])
    assert (label.x, label.to_the_left, clear) == (190, True, True)
    ((label, clear),) = placed([("abcd", 90, 50)], FIGURE, [])  # 50 to 80 is left of the axis
    assert (label.x, clear) == (100, True)
    ((label, clear),) = placed([("a" * 99, 90, 50)], FIGURE, [])
    assert (label.x, clear) == (100, False)


@given(points=NAMED_POINTS, taken=BOXES)
def test_shown_names_do_not_overlap(points, taken):
    labels = placed(points, FIGURE, taken)
    assert [one.text for one, _ in labels] == [text for text, _, _ in points]
    shown = [one.box for one, clear in labels if clear]
    assert not any(a.meets(b) for a, b in itertools.combinations(shown, 2))
    others = [*taken, *(point_box(x, y) for _, x, y in points)]
    assert not any(a.meets(b) for a in shown for b in others)
    assert all(FIGURE.holds(one) for one in shown)


PLACES = st.tuples(st.integers(0, 60), st.integers(0, 60))


def ends(corners):
    across, down = zip(*corners, strict=True)
    return [min(across), max(across), min(down), max(down)]


def inside(place, corners):
    """Return whether a place is within a convex shape or on its edges."""
    turns = [
        (b[0] - a[0]) * (place[1] - a[1]) - (b[1] - a[1]) * (place[0] - a[0])
        for a, b in zip(corners, [*corners[1:], *corners[:1]], strict=True)
    ]
    return min(turns) >= -1e-6


def test_isolated_point_has_an_octagonal_target():
    corners = target((100.0, 50.0), [], 10.0)
    assert [math.dist(corner, (100.0, 50.0)) for corner in corners] == pytest.approx([10.0] * 8)
    apothem = 10.0 * math.cos(math.pi / 8)
    assert ends(corners) == pytest.approx(
        [100 - apothem, 100 + apothem, 50 - apothem, 50 + apothem]
    )


def test_target_ends_halfway_to_a_near_point():
    left, right, top, bottom = ends(target((100.0, 50.0), [(100.0, 50.0), (104.0, 50.0)], 10.0))
    apothem = 10.0 * math.cos(math.pi / 8)
    assert (left, right) == pytest.approx((100 - apothem, 102))
    assert (top, bottom) == pytest.approx((50 - apothem, 50 + apothem))
    far = [(121.0, 50.0)]
    assert target((100.0, 50.0), far, 10.0) == target((100.0, 50.0), [], 10.0)


@given(points=st.lists(PLACES, min_size=1, max_size=8, unique=True), place=PLACES)
def test_targets_contain_the_places_nearest_to_their_point(points, place):
    targets = {point: target(point, points, 14.0) for point in points}
    assert all(inside(point, corners) for point, corners in targets.items())
    least = min(math.dist(place, point) for point in points)
    for point, corners in targets.items():
        if inside(place, corners):
            assert math.dist(place, point) == pytest.approx(least, abs=1e-4)
