"""Markdown in HTML, and sortable tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym._base.markup import Markup, element, joined

# ---- Markdown ------------------------------------------------------------------------------------
# Code, links and emphasis in the Markdown of definitions and notes.
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\[(?P<label>[^\]]+)\]\((?P<target>[^)\s]+)\)|\*(?P<emphasis>[^*]+)\*"
)


def from_markdown(text: str) -> Markup:
    """Return Markdown with code, emphasis and links as HTML; only https links stay links."""
    parts: list[str] = []
    end = 0
    for match in _INLINE.finditer(text):
        parts += [text[end : match.start()], _inline(match)]
        end = match.end()
    return joined([*parts, text[end:]])


def _inline(match: re.Match[str]) -> str:
    if match["code"]:
        return element("code", match["code"])
    if match["emphasis"]:
        return element("em", match["emphasis"])
    if match["target"].startswith("https://"):
        return element("a", match["label"], href=match["target"])
    return match["label"]


# ---- tables --------------------------------------------------------------------------------------
# Dates do not match.
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?![\d-])")
_SHARE = re.compile(r"(\d+) of (\d+)")


@dataclass(frozen=True)
class Cell:
    """Cell of a table; without a value it is sorted by its text."""

    content: str
    value: float | None = None

    @property
    def attribute(self) -> str | None:
        """The value as the attribute ``data-value``."""
        return None if self.value is None else repr(self.value)


def number_cell(text: str) -> Cell:
    """Return a cell whose value is the number or share ("3 of 5") that begins its text, if any."""
    share = _SHARE.match(text)
    if share is not None:
        return Cell(text, int(share[1]) / int(share[2]))
    number = _NUMBER.match(text)
    return Cell(text, None if number is None else float(number[0].replace(",", "")))


def sortable(name: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """Return a table, named for screen readers, with headings that sort it."""
    buttons = [element("button", heading, type="button") for heading in headings]
    return scrolling(name, _table(buttons, rows, css_class="sortable"))


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], css_class: str | None = None
) -> Markup:
    """Return a table whose columns with values are aligned to the right."""
    with_values = {k for cells in rows for k, cell in enumerate(cells) if cell.value is not None}
    classes = ["number" if k in with_values else None for k in range(len(headings))]
    head = [
        element("th", heading, scope="col", class_=name)
        for heading, name in zip(headings, classes, strict=True)
    ]
    body = []
    for first, *others in rows:
        heading = element(
            "th", first.content, scope="row", data_value=first.attribute, class_=classes[0]
        )
        data = [
            element("td", cell.content, data_value=cell.attribute, class_=name)
            for cell, name in zip(others, classes[1:], strict=True)
        ]
        body.append(element("tr", heading, *data))
    parts = [element("thead", element("tr", *head)), element("tbody", *body)]
    return element("table", *parts, class_=css_class)


def scrolling(name: str, content: Markup) -> Markup:
    """Return wide content inside a scrolling region that the keyboard can reach."""
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=name)


def plain_table(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table that cannot be sorted, with numbers to the right."""
    cells = [[number_cell(text) for text in texts] for texts in rows]
    return scrolling(name, _table(headings, cells))


def definitions(heading: str, texts: Mapping[str, str]) -> Markup:
    """Return a folded list of definitions, whose texts are Markdown, under a heading."""
    entries = [
        joined([element("dt", name), element("dd", from_markdown(text))])
        for name, text in texts.items()
    ]
    return folded(heading, element("dl", *entries))


def folded(heading: str, content: Markup, *, unfolded: bool = False) -> Markup:
    """Return content that a visitor unfolds, or folds."""
    return element("details", element("summary", heading), content, open=unfolded)
