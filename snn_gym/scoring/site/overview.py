"""The first page: agents against environments, a table for each budget class."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from snn_gym.scoring.headings import (
    COLUMN_DEFINITIONS,
    DERIVED,
    UNRANKED_COLUMNS,
    UNRANKED_HEADING,
    UNRANKED_TEXT,
)
from snn_gym.scoring.profiles import PROFILE_COLUMNS, PROFILE_DEFINITIONS, profiles
from snn_gym.scoring.rendering import PROFILES_TEXT, class_in_words
from snn_gym.scoring.site.columns import KIND, SITE_COSTS, kind, remarks, seeds_in_words
from snn_gym.scoring.site.elements import Markup, element, from_markdown, joined
from snn_gym.scoring.site.layout import Site, environment_page, row_file, section_address
from snn_gym.scoring.site.tables import Cell, definitions, plain_table, sortable
from snn_gym.scoring.table import TableRow
from snn_gym.scoring.terms import Unranked

_INTRODUCTION = """Every row was run again by `snn-gym verify` before it was written. Scores are \
*normalised*: 0 is random play, 1 the oracle of the environment's card or, where it has none, what \
counts as solved. Below each stand the operations of a decision and the number of seeds. A score \
leads to its environment, where seeds, intervals and what to compare with are drawn; a name leads \
to the agent, with its costs and the commands that train it again.
"""


def overview(site: Site, rows: Sequence[TableRow], others: Sequence[Unranked] = ()) -> str:
    """Return the first page.

    Args:
        site: What the page has to know of the others.
        rows: The whole results table.
        others: Stored rows that do not rank.
    """
    parts = [element("p", from_markdown(_INTRODUCTION))]
    if not rows:
        nothing = element("p", "There are no results yet.")
        return site.page("Results", joined([*parts, nothing, *_apart(others)]))
    counts = Counter(row.budget_class for row in rows)
    by_class = sorted(rows, key=lambda row: (-counts[row.budget_class], row.budget_class))
    for budget_class, group in itertools.groupby(by_class, key=lambda row: row.budget_class):
        words = class_in_words(budget_class)
        heading = words[0].upper() + words[1:]
        parts += [element("h2", heading, id=budget_class), *_matrices(site, words, list(group))]
    parts += [*_environments(rows), *_profiles(site, rows), *_apart(others), *remarks(rows)]
    operations = {"Operations": COLUMN_DEFINITIONS["Operations"]}
    parts += [definitions("What the columns mean", KIND | operations | SITE_COSTS)]
    return site.page("Results", joined(parts))


def _matrices(site: Site, words: str, rows: Sequence[TableRow]) -> Iterator[Markup]:
    """Yield the tables of a class: agents on tasks of our own are seldom those on others."""
    kinds = {"native tasks": True, "other tasks": False}
    groups = {name: [x for x in rows if x.is_native == native] for name, native in kinds.items()}
    for name, group in groups.items():
        if group:
            if all(groups.values()):
                yield element("h3", name[0].upper() + name[1:])
            yield _matrix(site, f"{words}, {name}", group)


def _matrix(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    """Return the table of some rows, with the newest version of each environment."""
    environments = sorted({row.environment for row in rows})
    newest = {
        (row.agent, row.derived, row.environment): row
        for row in sorted(rows, key=lambda row: row.environment_version)
    }
    lines = []
    for agent, derived in sorted({(row.agent, row.derived) for row in rows}):
        found = [newest.get((agent, derived, environment)) for environment in environments]
        kinds = {kind(row) for row in found if row is not None}
        name = site.agent(agent, agent + (f" {DERIVED}" if derived else ""))
        lines.append([Cell(name), Cell(", ".join(sorted(kinds))), *map(_cell, found)])
    return sortable(f"Normalised scores, {words}", ["Agent", "Kind", *environments], lines)


def _cell(row: TableRow | None) -> Cell:
    if row is None:
        return Cell("–")
    score = "not comparable"
    if row.normalised is not None:
        score = f"{round(row.normalised, 2) + 0.0:.2f}"  # no -0.00
    cost, counted = row.operations_per_decision, seeds_in_words(row)
    shown = row.cost(cost, decimals=0)
    shown = counted if shown == "–" else f"{shown}; {counted}"
    below = element("small", shown)
    link = element("a", score, href=section_address(row))
    return Cell(joined([link, " ", below]), row.normalised)


def _environments(rows: Sequence[TableRow]) -> Iterator[Markup]:
    yield element("h2", "Environments", id="environments")
    links = [
        element("li", element("a", name, href=environment_page(name)))
        for name in sorted({row.environment for row in rows})
    ]
    yield element("ul", *links, class_="columns")


def _apart(others: Sequence[Unranked]) -> Iterator[Markup]:
    """Yield the rows that do not rank, each with the reason and its file."""
    if not others:
        return
    yield element("h2", UNRANKED_HEADING, id="other-recipes")
    yield element("p", from_markdown(UNRANKED_TEXT))
    lines = []
    for other in others:
        row, cells = other.row, list(other.cells())
        file = row_file(row.agent, row.environment, row.seed)
        lines.append([*cells[:3], element("a", cells[3], href=file, download=True), *cells[4:]])
    yield plain_table(UNRANKED_HEADING, list(UNRANKED_COLUMNS), lines)


def _profiles(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    lines = [
        [site.agent(agent, agent), site.agent(twin, twin), *others]
        for agent, twin, *others in (profile.cells() for profile in profiles(rows))
    ]
    if not lines:
        return
    heading, _, text = PROFILES_TEXT.partition("\n\n")
    yield element("h2", heading.removeprefix("## "), id="profiles")
    yield element("p", from_markdown(text))
    yield plain_table("Performance profiles", PROFILE_COLUMNS, lines)
    yield definitions("What these columns mean", PROFILE_DEFINITIONS)
