"""Layout of pages, and their addresses and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.table import TableRow, line_of, section

STYLE_NAME = "style.css"
SCRIPT_NAME = "script.js"
INDEX_NAME = "index.html"
BEGINNING = '<!DOCTYPE html>\n<html lang="en"><head><meta name="generator" content="snn-gym table">'
"""Beginning of every page, by which pages are recognised."""


@dataclass(frozen=True)
class Film:
    """A film of an agent at its task."""

    address: str
    """Path from the documentation's folder."""
    text: str
    """Caption."""
    command: str
    """Command that produces it."""


@dataclass(frozen=True)
class Documentation:
    """Built documentation that contains the site."""

    folder: str
    """Path from the site's folder to the documentation's, such as ``../``."""
    films: Mapping[str, Sequence[Film]] = field(default_factory=dict)
    """Films by agent."""


@dataclass(frozen=True)
class Site:
    """Targets of links from each page: pages of agents, and documentation if there is any."""

    agents: frozenset[str]
    documentation: Documentation | None = None

    def page(self, title: str, body: Markup, *, up: str = "") -> str:
        """Return a complete page; ``up`` is the path to the site's folder, "" on the first page."""
        head = joined(
            [
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", f"{title} · snn_gym results" if up else "snn_gym results"),
                element("link", rel="stylesheet", href=up + STYLE_NAME),
                element("script", src=up + SCRIPT_NAME, defer=True),
            ]
        )
        links = [element("a", "All results", href=up + INDEX_NAME)] if up else []
        if self.documentation is not None:
            to = f"{up}{self.documentation.folder}index.html"
            links.append(element("a", "Documentation", href=to))
        navigation = element("nav", *links, aria_label="Site")
        header = element("header", navigation) if links else Markup()
        main = element("main", element("h1", title), body)
        written = element("p", "Written by ", element("code", "snn-gym table --site"), ".")
        content = element("body", header, main, element("footer", written))
        return f"{BEGINNING}{head}</head>{content}</html>\n"

    def agent(self, name: str, text: str, *, up: str = "") -> str:
        """Return a text as a link to an agent's page, or plain without a page."""
        return element("a", text, href=up + agent_page(name)) if name in self.agents else text

    def card(self, place: str, *, up: str = "") -> str | None:
        """Return the link to the page of an agent or environment, None without documentation.

        ``place`` is its path there without ``.html``, ``up`` the relative path to the site's root.
        """
        if self.documentation is None:
            return None
        return f"{up}{self.documentation.folder}{place}.html"

    def films(self, agent: str, *, up: str = "") -> Markup:
        """Return the documentation's films of an agent, empty without any."""
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
            )
            for film in self.documentation.films.get(agent, ())
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


def row_file(agent: str, environment: str, seed: int) -> str:
    """Return the path of a row's file below the site's folder."""
    return f"rows/{file_stem(agent)}/{file_stem(environment)}/{seed}.json"


def sources_of(row: TableRow, sources: Sequence[Row]) -> list[Row]:
    """Return the stored rows behind a line of the table."""
    key = (*section(row), row.agent, row.derived)
    return [source for source in sources if line_of(source) == key and source.seed in row.seeds]


def anchor(row: TableRow) -> str:
    """Return the anchor of a row's version and budget class on its environment's page."""
    return f"{row.budget_class}-{row.environment_version}"


def section_address(row: TableRow, *, up: str = "") -> str:
    """Return the address of a row's table on its environment's page."""
    return f"{up}{environment_page(row.environment)}#{anchor(row)}"
