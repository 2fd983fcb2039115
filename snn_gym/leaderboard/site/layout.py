"""Layout of all pages: head, breadcrumbs, addresses and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from snn_gym.leaderboard.results import Row, is_derived
from snn_gym.leaderboard.site.elements import Markup, element, joined
from snn_gym.leaderboard.table import TableRow, section

STYLE_NAME = "style.css"
"""The style sheet, beside index.html."""
SCRIPT_NAME = "script.js"
"""The script, beside index.html."""
INDEX_NAME = "index.html"
"""The first page."""
BEGINNING = '<!DOCTYPE html>\n<html lang="en"><head><meta name="generator" content="snn-gym table">'
"""How every page begins, which tells pages of a site from files of others."""


@dataclass(frozen=True)
class Film:
    """A film of an agent at its task."""

    address: str
    """Where it lies, from the documentation's folder."""
    text: str
    """Caption."""
    command: str
    """Command that makes it."""


@dataclass(frozen=True)
class Documentation:
    """The built documentation that a site is a part of."""

    folder: str
    """From the site's folder to that of the documentation, such as ``../``."""
    films: Mapping[str, Sequence[Film]] = field(default_factory=dict)
    """Its films, by agent."""


@dataclass(frozen=True)
class Site:
    """Pages of a site, to which each page links."""

    agents: frozenset[str]
    """Names of the agents that have a page."""
    documentation: Documentation | None = None
    """The documentation that it is a part of; None for a site of its own."""

    def page(self, title: str, body: Markup, *, up: str = "") -> str:
        """Return a whole page.

        Args:
            title: Its heading.
            body: What stands below.
            up: From the page's folder to the site's, such as ``../``.
        """
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
        """Return a text as a link to an agent's page, as it is where there is none.

        Args:
            name: Of the agent.
            text: What is shown.
            up: As in `page`.
        """
        if name not in self.agents:
            return text
        return element("a", text, href=up + agent_page(name))

    def card(self, place: str, *, up: str = "") -> str | None:
        """Return the address of a card in the documentation, None where there is none.

        Args:
            place: From the documentation's folder, without the suffix.
            up: As in `page`.
        """
        if self.documentation is None:
            return None
        return f"{up}{self.documentation.folder}{place}.html"

    def films(self, agent: str, *, up: str = "") -> Markup:
        """Return the documentation's films of an agent, nothing where there is none.

        Args:
            agent: Its name.
            up: As in `page`.
        """
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
    """Return a name as every file system and address can have it.

    Args:
        name: Of an agent or an environment; the slash of an id becomes two underscores.
    """
    return quote(name.replace("/", "__"), safe="").replace("%", "=")


def agent_page(agent: str) -> str:
    """Return where an agent's page lies, from the site's folder."""
    return f"agents/{file_stem(agent)}.html"


def environment_page(environment: str) -> str:
    """Return where an environment's page lies, from the site's folder."""
    return f"environments/{file_stem(environment)}.html"


def row_file(agent: str, environment: str, seed: int) -> str:
    """Return where a row's file lies, from the site's folder."""
    return f"rows/{file_stem(agent)}/{file_stem(environment)}/{seed}.json"


def sources_of(row: TableRow, sources: Sequence[Row]) -> list[Row]:
    """Return the stored rows behind a line of the table.

    Args:
        row: The line.
        sources: Any stored rows.
    """
    wanted = (row.agent, *section(row), row.derived)
    return [one for one in sources if _line(one) == wanted and one.seed in row.seeds]


def _line(one: Row) -> tuple[str, str, int, str, bool]:
    version, derived = one.environment_version, is_derived(one)
    return (one.agent, one.environment, version, one.budget_class, derived)


def anchor(row: TableRow) -> str:
    """Return the anchor of a row's version and budget class on its environment's page."""
    return f"{row.budget_class}-{row.environment_version}"


def section_address(row: TableRow, *, up: str = "") -> str:
    """Return the address of a row's table on its environment's page.

    Args:
        row: The row.
        up: From the page that has the link to the site's folder, such as ``../``.
    """
    return f"{up}{environment_page(row.environment)}#{anchor(row)}"
