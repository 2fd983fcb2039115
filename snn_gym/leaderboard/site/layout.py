"""Layout of pages: Markdown and tables in them, their addresses and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from snn_gym._base.markup import Markup, element, escaped, joined
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.table import TableRow, line_of, section
from snn_gym.program.prices import DEFAULT, MEASURED, PRICES

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


# ---- pages ---------------------------------------------------------------------------------------
STYLE_NAME = "style.css"
SCRIPT_NAME = "script.js"
INDEX_NAME = "index.html"
GENERATOR = '<meta name="generator" content="snn-gym table">'
"""Element of every page's head, by which pages are recognised."""
SHOWN_PRICES = (*PRICES, "cortex-m4")
"""Prices of fronts and rankings; a visitor chooses one."""


@dataclass(frozen=True)
class Film:
    """A film of an agent at its task."""

    address: str
    """Path from the documentation's folder."""
    text: str
    """Caption."""
    command: str
    """Command that produces it."""


SHELL_TITLE, SHELL_BODY = "Title of results", "<p>Body of results</p>"
"""Parts of a shell in place of which a page has its title and its content."""


@dataclass(frozen=True)
class Documentation:
    """Built documentation that contains the site."""

    folder: str
    """Path from the site's folder to the documentation's, such as ``../``."""
    films: Mapping[str, Sequence[Film]] = field(default_factory=dict)
    """Films by agent and environment."""
    shells: Mapping[str, str] = field(default_factory=dict)
    """Pages of the documentation's look with `SHELL_TITLE` and `SHELL_BODY`, by path to the site's
    folder ("" and "../"); without them pages have a look of their own."""


@dataclass(frozen=True)
class Site:
    """Targets of links from each page, and prices of lines."""

    agents: frozenset[str]
    """Agents that have a page."""
    documentation: Documentation | None = None
    measured: Mapping[tuple[object, ...], float] = field(default_factory=dict)
    """Measured prices by name and `line_key` of a line."""
    cost: str = DEFAULT
    """Price that is shown first."""

    def price(self, row: TableRow, name: str) -> float | None:
        """Return the price of a decision; None if it is not known."""
        if name in MEASURED:
            return self.measured.get((name, *line_key(row)))
        return PRICES[name].of(row)

    def prices(self, rows: Sequence[TableRow]) -> list[str]:
        """Return the prices that two rows or more have, the site's first price at the front."""
        names = sorted(SHOWN_PRICES, key=lambda name: name != self.cost)
        return [x for x in names if sum(bool(self.price(row, x)) for row in rows) > 1]

    def toolbar(self, rows: Sequence[TableRow]) -> Markup:
        """Return a field that filters all rows of a page, and the choice of the price."""
        search = element("input", type="search", autocomplete="off", class_="search")
        output = element("output", aria_live="polite")
        parts = [element("label", "Show rows with ", search, output, class_="filter", hidden=True)]
        names = self.prices(rows)
        if len(names) > 1:
            radios = [
                element(
                    "label",
                    element("input", type="radio", name="cost", value=x, checked=x == names[0]),
                    f" {x}",
                )
                for x in names
            ]
            parts.append(element("fieldset", element("legend", "Cost of a decision"), *radios))
        return element("form", *parts, class_="toolbar")

    def page(self, title: str, body: Markup, *, up: str = "") -> str:
        """Return a complete page; ``up`` is the path to the site's folder, "" on the first page."""
        own = [
            element("link", rel="stylesheet", href=up + STYLE_NAME),
            element("script", src=up + SCRIPT_NAME, defer=True),
        ]
        links = [element("a", "All results", href=up + INDEX_NAME)] if up else []
        shell = None if self.documentation is None else self.documentation.shells.get(up)
        if self.documentation is not None and shell is None:
            to = f"{up}{self.documentation.folder}index.html"
            links.append(element("a", "Documentation", href=to))
        header = element("nav", *links, aria_label="Results") if links else Markup()
        written = element("p", "Written by ", element("code", "snn-gym table --site"), ".")
        parts = header, body, element("footer", written)
        if shell is not None:
            text = shell.replace("<head>", f"<head>{GENERATOR}", 1)
            text = text.replace("</head>", f"{joined(own)}</head>", 1)
            content = element("div", *parts, class_="results")
            return text.replace(SHELL_TITLE, escaped(title)).replace(SHELL_BODY, content)
        head = joined(
            [
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", f"{title} · snn_gym results" if up else "snn_gym results"),
                *own,
            ]
        )
        main = element("main", element("h1", title), *parts, class_="results")
        content = element("body", main)
        return f'<!DOCTYPE html>\n<html lang="en"><head>{GENERATOR}{head}</head>{content}</html>\n'

    def agent(self, name: str, text: str, *, up: str = "") -> str:
        """Return a text as a link to an agent's page, or plain without a page."""
        return element("a", text, href=up + agent_page(name)) if name in self.agents else text

    def card(self, place: str | None, text: str, *, up: str = "") -> Markup:
        """Return the link to the page of an agent or environment, empty without documentation.

        ``place`` is its path there without ``.html``, ``up`` the relative path to the site's root.
        """
        if self.documentation is None or place is None:
            return Markup()
        address = f"{up}{self.documentation.folder}{place}.html"
        return element("p", element("a", text, href=address))

    def films(self, name: str, *, up: str = "") -> Markup:
        """Return the documentation's films of an agent or environment, empty without any."""
        if self.documentation is None:
            return Markup()
        return joined(
            element(
                "figure",
                element(
                    "img",
                    src=up + self.documentation.folder + film.address,
                    alt=f"A film: {film.text}",
                    loading="lazy",
                ),
                element("figcaption", f"{film.text}; ", element("code", film.command)),
                class_="film",
            )
            for film in self.documentation.films.get(name, ())
        )


def file_stem(name: str) -> str:
    """Return a name as one that is valid in file systems and addresses."""
    return quote(name.replace("/", "__"), safe="").replace("%", "=")


def agent_page(agent: str) -> str:
    """Return the path of an agent's page below the site's folder."""
    return f"agents/{file_stem(agent)}.html"


def environment_page(environment: str) -> str:
    """Return the path of an environment's page below the site's folder."""
    return f"environments/{file_stem(environment)}.html"


def rows_file(agent: str, environment: str) -> str:
    """Return the path of the file of an agent's rows on a task below the site's folder."""
    return f"rows/{file_stem(agent)}/{file_stem(environment)}.json.gz"


def line_key(row: TableRow) -> tuple[object, ...]:
    """Return the key of a line that `table.line_of` gives for its rows."""
    return (*section(row), row.agent, row.derived)


def sources_of(row: TableRow, sources: Sequence[Row]) -> list[Row]:
    """Return the stored rows behind a line of the table."""
    key = line_key(row)
    return [source for source in sources if line_of(source) == key and source.seed in row.seeds]


def anchor(row: TableRow) -> str:
    """Return the anchor of a row's version and budget class on its environment's page."""
    return f"{row.budget_class}-{row.environment_version}"


def section_address(row: TableRow, *, up: str = "") -> str:
    """Return the address of a row's table on its environment's page."""
    return f"{up}{environment_page(row.environment)}#{anchor(row)}"
