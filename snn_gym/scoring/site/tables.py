"""Tables of the site, which sort by the button of a heading and scroll by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym.scoring.site.elements import Markup, element, escaped, from_markdown, joined

_NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
_SHARE = re.compile(r"(\d+) of (\d+)")
_UNKNOWN = "–"


@dataclass(frozen=True)
class Cell:
    """What stands in a cell."""

    content: str
    """A text, or markup."""
    value: float | None = None
    """What it sorts by; None for the text, and for what is not known."""


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


def sortable(name: str, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Markup:
    """Return a table whose headings are buttons that sort it, with a field that filters it.

    Args:
        name: What the table shows, for those who do not see it.
        headings: A text or markup for each column.
        rows: The cells of each row; the first of them is its heading.
    """
    head = [
        element("th", element("button", heading, type="button"), scope="col")
        for heading in headings
    ]
    field = element("input", type="search", autocomplete="off")
    label = element("label", "Show rows with ", field)
    said = element("output", aria_live="polite")
    table = element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *map(_row, rows)),
        class_="sortable",
    )
    return joined([element("p", label, said, class_="filter", hidden=True), scrolling(name, table)])


def _row(cells: Sequence[Cell]) -> Markup:
    first, *others = cells
    heading = element("th", first.content, scope="row", data_value=_value(first))
    return element("tr", heading, *(_cell(cell) for cell in others))


def _cell(cell: Cell) -> Markup:
    is_number = cell.value is not None or cell.content == _UNKNOWN
    css_class = "number" if is_number else None
    return element("td", cell.content, data_value=_value(cell), class_=css_class)


def _value(cell: Cell) -> str | None:
    return None if cell.value is None else repr(cell.value)


def scrolling(name: str, table: Markup) -> Markup:
    """Return a table inside a region of its own that scrolls, which the keyboard can reach.

    Args:
        name: What the table shows.
        table: The table.
    """
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=name)


def plain_table(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table as it stands, with numbers to the right.

    Args:
        name: What the table shows.
        headings: Of the columns.
        rows: Texts or markup of each row.
    """
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [_row([number_cell(text) for text in texts]) for texts in rows]
    return scrolling(name, element("table", element("thead", head), element("tbody", joined(body))))


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
