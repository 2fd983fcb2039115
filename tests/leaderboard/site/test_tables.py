"""Tables of the site: what cells sort by, and how they are told to those who do not see them."""

import pytest

from snn_gym.leaderboard.site.elements import Cell, definitions, number_cell, plain_table, sortable
from tests.leaderboard.site.parsed import Parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9,820.0", 9820.0),
        ("-0.030", -0.03),
        ("-87.9 to -78.2 †", -87.9),
        ("9 of 10", 0.9),
        ("100,000 to 100,096 ‡", 100000.0),
        ("–", None),
        ("2026-11-26", None),
        (", 3", None),
        ("ppo-lif", None),
    ],
)
def test_cells_sort_by_the_number_they_begin_with_or_by_the_share(text, value):
    assert number_cell(text) == Cell(text, value)


def test_a_table_by_hand():
    rows = [[Cell("<a>"), Cell("3", 3.0)], [Cell("b"), Cell("–")]]
    read = Parsed(sortable("Of two", ["Agent", "Seeds"], rows))
    assert read.tables == [[["Agent", "Seeds"], ["<a>", "3"], ["b", "–"]]]
    assert [x.get("data-value") for x in read.attributes("td")] == ["3.0", None]
    assert [x["scope"] for x in read.attributes("th")] == ["col", "col", "row", "row"]
    # A column of numbers stands to the right, with its heading and what is not known.
    assert [x.get("class") for x in read.attributes("th")] == [None, "number", None, None]
    assert [x.get("class") for x in read.attributes("td")] == ["number", "number"]
    assert len(read.attributes("button")) == 2
    (region,) = read.attributes("div")
    assert region == {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "Of two"}
    # The field does nothing without the script, which shows it.
    assert "hidden" in read.attributes("p")[0]


def test_a_plain_table_has_nothing_to_press():
    read = Parsed(plain_table("Of one", ["Agent", "p"], [["a", "0.500"]]))
    assert read.tables == [[["Agent", "p"], ["a", "0.500"]]]
    assert read.attributes("button") == []


def test_definitions_are_folded_away():
    read = Parsed(definitions("What", {"a": "of `b`", "c": "d"}))
    assert [tag for tag, _ in read.elements] == [
        *("details", "summary", "dl", "dt", "dd", "code", "dt", "dd")
    ]
    assert "".join(read.said) == "Whataof bcd"
