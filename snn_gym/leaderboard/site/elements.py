"""HTML and SVG from Python: the one place where texts become markup; sortable tables."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# ---- elements ------------------------------------------------------------------------------------
Attribute = str | int | float | bool | None
"""Value of an attribute: True for its name alone, None or False for none."""

_VOID = ("br", "img", "input", "link", "meta")
# In the Markdown of definitions and notes: code, links, emphasis.
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\[(?P<label>[^\]]+)\]\((?P<target>[^)\s]+)\)|\*(?P<emphasis>[^*]+)\*"
)


class Markup(str):
    """A text that is HTML already, and is not escaped again."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return a text as HTML that shows it, quotes included; markup stays as it is.

    Args:
        text: Any text, which a stranger may have written.
    """
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def joined(parts: Iterable[str]) -> Markup:
    """Return parts one after the other, escaped if they are no markup.

    Args:
        parts: Texts and markup.
    """
    return Markup("".join(map(escaped, parts)))


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """Return an element of HTML or SVG.

    Args:
        tag: Its name.
        *children: What is inside; texts that are no markup are escaped.
        **attributes: Its attributes: of their names an underscore at the end is left out, and
            others become hyphens. Floats get one decimal, which is what drawings need.
    """
    head = "".join([tag, *(_attribute(key, value) for key, value in attributes.items())])
    return Markup(f"<{head}>" if tag in _VOID else f"<{head}>{joined(children)}</{tag}>")


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'


def from_markdown(text: str) -> Markup:
    """Return a paragraph of Markdown as HTML.

    Links to other hosts stay, those to files of the repository become their words.

    Args:
        text: Words with code, links and emphasis, as in the table's definitions.
    """
    parts: list[str] = []
    end = 0
    for found in _INLINE.finditer(text):
        parts += [text[end : found.start()], _inline(found)]
        end = found.end()
    return joined([*parts, text[end:]])


def _inline(found: re.Match[str]) -> str:
    if found["code"]:
        return element("code", found["code"])
    if found["emphasis"]:
        return element("em", found["emphasis"])
    if found["target"].startswith("https://"):
        return element("a", found["label"], href=found["target"])
    return found["label"]


# ---- tables --------------------------------------------------------------------------------------
# A date is none.
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?![\d-])")
_SHARE = re.compile(r"(\d+) of (\d+)")


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    content: str
    """A text, or markup."""
    value: float | None = None
    """Sort key; None for the text, and for an unknown value."""


def number_cell(text: str) -> Cell:
    """Return the cell of a text that begins with a number, or says how many of how many.

    Args:
        text: As the table shows it, such as ``1,024.0``, ``-0.3 to 0.5`` or ``3 of 5``.
    """
    share = _SHARE.match(text)
    if share is not None:
        return Cell(text, int(share[1]) / int(share[2]))
    number = _NUMBER.match(text)
    return Cell(text, None if number is None else float(number[0].replace(",", "")))


def sortable(name: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """Return a table whose headings are buttons that sort it, with a field that filters it.

    Args:
        name: What the table shows, for those who do not see it.
        headings: A text or markup for each column.
        rows: The cells of each row; the first of them is its heading.
    """
    field = element("input", type="search", autocomplete="off")
    label = element("label", "Show rows with ", field)
    said = element("output", aria_live="polite")
    buttons = [element("button", heading, type="button") for heading in headings]
    table = _table(buttons, rows, css_class="sortable")
    return joined([element("p", label, said, class_="filter", hidden=True), scrolling(name, table)])


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], css_class: str | None = None
) -> Markup:
    """Return a table whose columns of numbers stand to the right."""
    with_values = {k for cells in rows for k, cell in enumerate(cells) if cell.value is not None}
    classes = ["number" if k in with_values else None for k in range(len(headings))]
    head = [
        element("th", heading, scope="col", class_=name)
        for heading, name in zip(headings, classes, strict=True)
    ]
    body = [_row(cells, classes) for cells in rows]
    parts = [element("thead", element("tr", *head)), element("tbody", *body)]
    return element("table", *parts, class_=css_class)


def _row(cells: Sequence[Cell], classes: Sequence[str | None]) -> Markup:
    first, *others = cells
    value = _value(first)
    heading = element("th", first.content, scope="row", data_value=value, class_=classes[0])
    shown = [
        element("td", cell.content, data_value=_value(cell), class_=name)
        for cell, name in zip(others, classes[1:], strict=True)
    ]
    return element("tr", heading, *shown)


def _value(cell: Cell) -> str | None:
    return None if cell.value is None else repr(cell.value)


def scrolling(name: str, content: Markup) -> Markup:
    """Return what may be wide inside a region that scrolls, which the keyboard can reach.

    Args:
        name: What it shows.
        content: A table or a drawing.
    """
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=name)


def plain_table(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table as it stands, with numbers to the right.

    Args:
        name: What the table shows.
        headings: Of the columns.
        rows: Texts or markup of each row.
    """
    cells = [[number_cell(text) for text in texts] for texts in rows]
    return scrolling(name, _table(headings, cells))


def definitions(heading: str, texts: Mapping[str, str]) -> Markup:
    """Return a list of what columns mean, folded away until it is asked for.

    Args:
        heading: What is unfolded.
        texts: Meanings, as Markdown, by column.
    """
    entries = [
        joined([element("dt", name), element("dd", from_markdown(text))])
        for name, text in texts.items()
    ]
    return element("details", element("summary", escaped(heading)), element("dl", *entries))
