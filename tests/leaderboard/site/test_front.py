"""Tests of the figure of score against cost: front, prices, axes, labels."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.site.environments import ranking
from snn_gym.leaderboard.site.front import (
    PANEL,
    PLOT,
    Box,
    Label,
    decades,
    front,
    front_figure,
    front_rows,
    placed,
    point_box,
    ticks,
    unproven_front,
)
from snn_gym.leaderboard.site.front import places as label_places
from snn_gym.leaderboard.site.layout import Site, line_key
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


def site_of(rows, **changes):
    return Site(frozenset(row.agent for row in rows), **changes)


def fronts(read):
    return [x["d"] for x in read.attributes("path") if x["class"] == "front"]


def places(link):
    """Return the place of a point across, by price."""
    return {
        name[2:]: float(value.removesuffix("px"))
        for name, value in (part.split(":") for part in link["style"].split(";"))
    }


def test_points_lie_at_operations_and_score(rows):
    read = Parsed(front_figure(site_of(rows), rows, "here", up="../"))
    # The axis runs from 10^2 at 80 to 10^4 at 680; scores from 21.65 at 332 to 475 at 28.
    links = {x["href"]: x for x in read.attributes("a")}
    across = {name: places(x)["operations"] for name, x in links.items()}
    assert across == {
        "../agents/ppo-lif.html": 380.0,
        "../agents/ppo-mlp.html": 80.0,
        "../agents/dqsn.html": 680.0,
    }
    # 332 - 304 * (100 - 21.65) / 453.35 is 279.5.
    dots = [x["cy"] for x in read.attributes("circle") if x["class"] == "dot"]
    assert dots == ["28.0", "279.5"]
    (square,) = read.attributes("rect")
    assert (square["x"], square["y"]) == ("-5.5", "326.5")
    assert [x["class"] for x in links.values()] == ["point spiking", "point", "point spiking"]
    words = links["../agents/ppo-lif.html"]["aria-label"]
    assert words.startswith("ppo-lif: 475.0, spiking, 5 seeds; 1,000 operations, ")
    assert fronts(read)[0] == "M80.0 332.0H380.0V28.0H680"
    marks = {x["class"]: x["y1"] for x in read.attributes("line") if "reference" in x["class"]}
    assert marks == {"reference random": "332.0", "reference solved": "28.0"}
    assert "mean return" in read.said


def test_each_price_has_an_axis_and_places(rows):
    keys = {("cortex-m4", *line_key(row)): 10.0 ** (3 + k) for k, row in enumerate(rows[:2])}
    read = Parsed(front_figure(site_of(rows, measured=keys), rows, "here", up=""))
    names = ["operations", "cmos45", "loihi", "cortex-m4"]
    groups = [x["class"] for x in read.attributes("g")]
    assert groups == [f"by {name}" for name in names]
    lif, mlp, dqsn = map(places, read.attributes("a"))
    assert list(lif) == names
    assert (lif["cortex-m4"], mlp["cortex-m4"]) == (80.0, 680.0)  # 10^3 and 10^4 at the ends
    assert dqsn["cortex-m4"] < 0  # outside: it was not measured
    assert not any("instructions" in x["aria-label"] for x in read.attributes("a")[2:])


def test_the_chosen_price_is_first(rows):
    site = site_of(rows, cost="loihi")
    assert site.prices(rows) == ["loihi", "operations", "cmos45"]
    (field,) = [x for x in Parsed(site.toolbar(rows)).attributes("input") if "checked" in x]
    assert field["value"] == "loihi"


def test_agents_without_costs_have_no_point(rows):
    unknown = replace(rows[0], synops_per_decision=None, macs_per_decision=None)
    read = Parsed(front_figure(site_of(rows), [unknown, *rows[1:]], "here", up=""))
    names = [x["href"] for x in read.attributes("a")]
    assert names == ["agents/ppo-mlp.html", "agents/dqsn.html"]
    assert front_figure(site_of(rows), [unknown, rows[1]], "here", up="") == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda row: with_few_seeds(row, 4),
        lambda row: replace(row, trained_again=0),
        lambda row: replace(row, unheard=True),
    ],
    ids=["four seeds", "not trained again", "spikes that reach nothing"],
)
def test_unranked_points_are_hollow_and_not_on_the_front(rows, change):
    changed = [change(rows[0]), *rows[1:]]
    figure = front_figure(site_of(rows), changed, "here", up="")
    read = Parsed(figure)
    # Of the two others, the dearer is better: up to it at the right end, at 279.5.
    assert fronts(read)[0] == "M80.0 332.0H680.0V279.5H680"
    hollow = [x["href"] for x in read.attributes("a") if "hollow" in x["class"].split()]
    assert hollow == ["agents/ppo-lif.html"]
    assert "Hollow points do not rank" in figure
    assert "hollow" not in front_figure(site_of(rows), rows, "here", up="").lower()


def test_agents_made_from_other_rows_may_be_on_the_front(rows):
    cheap = replace(rows[0], agent="ppo-relu", derived=True, synops_per_decision=100.0)
    assert front_rows(site_of(rows), [*rows, cheap], "operations") == [rows[1], cheap]


def test_agents_that_would_be_on_the_front_are_named_if_no_seed_was_trained_again(rows):
    site = site_of(rows)
    assert unproven_front(site, rows, "operations") == []
    cheap = replace(rows[0], trained_again=0)
    assert front_rows(site, [cheap, *rows[1:]], "operations") == [rows[1], rows[2]]
    assert unproven_front(site, [cheap, *rows[1:]], "operations") == [cheap]
    # An agent whose spikes reach nothing does not rank either way.
    unheard = replace(cheap, unheard=True)
    assert unproven_front(site, [unheard, *rows[1:]], "operations") == []
    said = ranking(site, [cheap, *rows[1:]], up="")
    badge = '<span class="by operations">on the front, if its training were reproduced</span>'
    assert said.count(badge) == 1


def test_single_ranked_row_has_no_front(rows):
    few = [rows[0], *(with_few_seeds(row, 1) for row in rows[1:])]
    figure = front_figure(site_of(rows), few, "here", up="")
    assert fronts(Parsed(figure)) == []
    assert "ANN, 1 seed;" in figure


def test_small_figures_have_no_names(rows):
    site = site_of(rows)
    small, large = (front_figure(site, rows, "here", up="", plot=x) for x in (PANEL, PLOT))
    named = [
        [x for x in Parsed(f).attributes("text") if "label" in (x["class"] or "")]
        for f in (small, large)
    ]
    assert (len(named[0]), len(named[1]) > 3) == (0, True)
    assert "figcaption" not in small


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
    assert label_places("abcd", 100, 50) == [
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
