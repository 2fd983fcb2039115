"""Score against operations, by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.scoring import table_rows
from snn_gym.scoring.site.front import decades, front, front_figure
from tests.scoring.site.parsed import Parsed
from tests.scoring.test_table import fill, make_row

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
    board = fill(tmp_path, *(make_row(agent, returns=x) for agent, x in scores.items()))
    found = {row.agent: row for row in table_rows(board)}
    costs = {"ppo-lif": (900.0, 100.0), "ppo-mlp": (None, 100.0), "dqsn": (10_000.0, None)}
    return [
        replace(found[name], synops_per_decision=synops, macs_per_decision=macs)
        for name, (synops, macs) in costs.items()
    ]


def test_points_lie_at_operations_and_score(rows):
    read = Parsed(front_figure(rows, "here", up="../"))
    # The axis runs from 10^2 at 64 to 10^4 at 680; scores from 21.65 at 332 to 475 at 28.
    dots = [(x["cx"], x["cy"]) for x in read.attributes("circle") if x["class"] == "dot"]
    # 332 - 304 * (100 - 21.65) / 453.35 is 279.5. Points of the front come first.
    assert dots == [("372.0", "28.0"), ("680.0", "279.5")]
    (square,) = read.attributes("rect")
    assert (square["x"], square["y"]) == ("58.5", "326.5")
    links = read.attributes("a")
    assert [x["href"] for x in links] == [
        *("../agents/ppo-lif.html", "../agents/ppo-mlp.html", "../agents/dqsn.html")
    ]
    assert [x.get("class") for x in links] == ["spiking named", "named", "spiking"]
    assert links[0]["aria-label"] == "ppo-lif: 475.0 at 1,000 operations, spiking"
    (line,) = [x["d"] for x in read.attributes("path")]
    assert line == "M64.0 332.0H372.0V28.0H680"
    marks = {x["class"]: x["y1"] for x in read.attributes("line") if "reference" in x["class"]}
    assert marks == {"reference random": "332.0", "reference solved": "28.0"}


def test_agents_without_operations_are_counted(rows):
    unknown = replace(rows[0], synops_per_decision=None, macs_per_decision=None)
    text = front_figure([unknown, *rows[1:]], "here", up="")
    assert "Of 1 more, operations are not known." in text
    assert front_figure([unknown, rows[1]], "here", up="") == ""
