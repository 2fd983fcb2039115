"""Score against operations, by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.site.front import decades, front, front_figure
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import fill, make_row

POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1)


def test_the_front_by_hand():
    points = [(30, 5.0), (10, 1.0), (20, 4.0), (20, 3.0), (25, 4.0), (40, 2.0)]
    assert front(points) == [(10, 1.0), (20, 4.0), (30, 5.0)]


@given(points=POINTS)
def test_a_point_is_on_the_front_if_none_is_as_good_for_less(points):
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
    assert "Operations of 1 more agents are unknown." in text
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
def test_what_does_not_rank_is_hollow_and_not_on_the_front(rows, change):
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


def test_a_hollow_point_as_good_as_the_front_is_not_on_it(rows):
    twin = replace(rows[0], agent="ppo-relu", derived=True)
    read = Parsed(front_figure([twin, *rows], "here", up=""))
    hrefs = [x["href"] for x in read.attributes("a")]
    assert hrefs[0] == "agents/ppo-lif.html"
    assert hrefs[-1] == "agents/ppo-relu.html"


def test_one_row_that_ranks_makes_no_front(rows):
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
