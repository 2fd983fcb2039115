"""Tests of HTML elements and tables: escaped texts and sorted cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.markup import Markup, element, escaped, joined
from snn_gym.leaderboard.site.layout import (
    Cell,
    definitions,
    from_markdown,
    number_cell,
    plain_table,
    sortable,
)
from tests.leaderboard.site.parsed import Parsed

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


def test_texts_are_escaped_and_markup_is_not():
    inner = element("b", 'a < b & "c"')
    assert inner == "<b>a &lt; b &amp; &quot;c&quot;</b>"
    assert joined(["<", inner]) == f"&lt;{inner}"
    assert escaped(inner) is inner
    assert type(element("p", inner)) is Markup


def test_attributes_by_hand():
    made = element(
        "a", class_="x", aria_label='"', x=1.25, y=3, hidden=True, lang=None, defer=False
    )
    assert made == '<a class="x" aria-label="&quot;" x="1.2" y="3" hidden></a>'
    assert element("br") == "<br>"


@given(text=TEXTS, attribute=TEXTS)
def test_a_parser_reads_the_text_back(text, attribute):
    read = Parsed(element("p", text, title=attribute))
    assert "".join(read.said) == text
    assert read.elements == [("p", {"title": attribute})]


def test_markdown_of_definitions_by_hand():
    text = "`a<b` *is* [here](../docs/x.md#y) and [there](https://example.org/?a&b)"
    assert from_markdown(text) == (
        '<code>a&lt;b</code> <em>is</em> here and <a href="https://example.org/?a&amp;b">there</a>'
    )


@given(text=TEXTS)
def test_no_markdown_makes_other_elements(text):
    tags = {tag for tag, _ in Parsed(from_markdown(text)).elements}
    assert tags <= {"code", "em", "a"}


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
def test_cells_sort_by_leading_number_or_share(text, value):
    assert number_cell(text) == Cell(text, value)


def test_a_table_by_hand():
    rows = [[Cell("<a>"), Cell("3", 3.0)], [Cell("b"), Cell("–")]]
    read = Parsed(sortable("Of two", ["Agent", "Seeds"], rows))
    assert read.tables == [[["Agent", "Seeds"], ["<a>", "3"], ["b", "–"]]]
    assert [x.get("data-value") for x in read.attributes("td")] == ["3.0", None]
    assert [x["scope"] for x in read.attributes("th")] == ["col", "col", "row", "row"]
    # Numbers, their heading and unknown values are aligned to the right.
    assert [x.get("class") for x in read.attributes("th")] == [None, "number", None, None]
    assert [x.get("class") for x in read.attributes("td")] == ["number", "number"]
    assert len(read.attributes("button")) == 2
    (region,) = read.attributes("div")
    assert region == {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "Of two"}


def test_a_plain_table_has_no_buttons():
    read = Parsed(plain_table("Of one", ["Agent", "p"], [["a", "0.500"]]))
    assert read.tables == [[["Agent", "p"], ["a", "0.500"]]]
    assert read.attributes("button") == []


def test_definitions_are_folded_away():
    read = Parsed(definitions("What", {"a": "of `b`", "c": "d"}))
    assert [tag for tag, _ in read.elements] == [
        *("details", "summary", "dl", "dt", "dd", "code", "dt", "dd")
    ]
    assert "".join(read.said) == "Whataof bcd"
