"""Texts become HTML that says them, whatever is in them."""

from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard.site.elements import Markup, element, escaped, from_markdown, joined
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
def test_a_parser_reads_back_what_was_said(text, attribute):
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
