"""Pages of the site: the overview, and one for each environment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from snn_gym.scoring.comparison import COMPARISON_COLUMNS, COMPARISON_DEFINITIONS, comparisons
from snn_gym.scoring.profiles import PROFILE_COLUMNS, PROFILE_DEFINITIONS, profiles
from snn_gym.scoring.rendering import (
    COSTS_TEXT,
    PROFILES_TEXT,
    class_in_words,
    notes,
    row_texts,
    shown_columns,
)
from snn_gym.scoring.site.elements import Markup, element, from_markdown, joined
from snn_gym.scoring.site.layout import anchor, environment_page, page
from snn_gym.scoring.site.marks import legend, score_scale, seeds_drawing
from snn_gym.scoring.site.tables import Cell, definitions, number_cell, plain_table, sortable
from snn_gym.scoring.table import DERIVED, TableRow, section

SHOWN = (
    "Seeds",
    "Mean",
    "95 % interval",
    "Held",
    "IQM",
    "Solved",
    "Worst seed",
    "Normalised",
    "Twin's mean",
    "Spikes",
    "SynOps",
    "MACs",
    "Operations",
    "Parameters",
    "Steps",
    "Trained again",
    "Hidden seeds",
)
"""Columns of numbers on an environment's page, where it has them."""
OPERATIONS = {
    "Operations": "SynOps and MACs together, each counted as one; on most hardware a SynOp, which "
    "adds, takes less than a MAC, which multiplies, too"
}
"""Column that the site has beside those of the table, and what it means."""
KIND = {"Kind": "spiking if the agent has spiking neurons, else ANN"}
"""Likewise."""


def operations(row: TableRow) -> float | None:
    """Return SynOps and MACs of a decision together; None where neither is known."""
    known = [x for x in (row.synops_per_decision, row.macs_per_decision) if x is not None]
    return sum(known) if known else None


def kind(row: TableRow) -> str:
    """Return what kind of agent a row is of."""
    return "spiking" if row.spiking else "ANN"


def overview(rows: Sequence[TableRow]) -> str:
    """Return the first page: agents against environments, normalised, a table for each class.

    Args:
        rows: The whole results table.
    """
    introduction = (
        "Every row was run again by `snn-gym verify` before it was written. Scores are *normalised*"
        ": 0 is random play, 1 the oracle of the environment's card or, where it has none, what "
        "counts as solved. Below each stand the operations of a decision. Each leads to its "
        "environment, where seeds, intervals and what to compare with are drawn."
    )
    parts = [element("p", from_markdown(introduction))]
    if not rows:
        return page("Results", joined([*parts, element("p", "There are no results yet.")]))
    by_class = sorted(rows, key=lambda row: row.budget_class)
    for budget_class, group in itertools.groupby(by_class, key=lambda row: row.budget_class):
        parts += [element("h2", _capitalised(class_in_words(budget_class)), id=budget_class)]
        parts += [_matrix(budget_class, list(group))]
    parts += [*_environment_links(rows), *_profiles(rows), *map(_note, notes(rows))]
    parts += [element("p", from_markdown(COSTS_TEXT))]
    parts += [definitions("What operations are", OPERATIONS)]
    return page("Results", joined(parts))


def _matrix(budget_class: str, rows: Sequence[TableRow]) -> Markup:
    """Return the table of a class, with the newest version of each environment."""
    environments = sorted({row.environment for row in rows})
    newest = {
        (row.agent, row.derived, row.environment): row
        for row in sorted(rows, key=lambda row: row.environment_version)
    }
    lines = []
    for agent, derived in sorted({(row.agent, row.derived) for row in rows}):
        found = [newest.get((agent, derived, environment)) for environment in environments]
        kinds = {kind(row) for row in found if row is not None}
        cells = [Cell(agent + (f" {DERIVED}" if derived else "")), Cell(", ".join(sorted(kinds)))]
        lines.append([*cells, *map(_matrix_cell, found)])
    headings = ["Agent", "Kind", *environments]
    return sortable(f"Normalised scores, {class_in_words(budget_class)}", headings, lines)


def _matrix_cell(row: TableRow | None) -> Cell:
    if row is None:
        return Cell("–")
    place = (
        f"{environment_page(row.environment)}#{anchor(row.environment_version, row.budget_class)}"
    )
    score = "not comparable" if row.normalised is None else f"{row.normalised:.2f}"
    cost = operations(row)
    below = element("small", f"{cost:,.0f}") if cost is not None else ""
    return Cell(joined([element("a", score, href=place), below]), row.normalised)


def _environment_links(rows: Sequence[TableRow]) -> Iterator[Markup]:
    yield element("h2", "Environments", id="environments")
    names = sorted({row.environment for row in rows})
    links = [element("li", element("a", name, href=environment_page(name))) for name in names]
    yield element("ul", *links, class_="columns")


def _profiles(rows: Sequence[TableRow]) -> Iterator[Markup]:
    lines = [profile.cells() for profile in profiles(rows)]
    if not lines:
        return
    heading, _, text = PROFILES_TEXT.partition("\n\n")
    yield element("h2", heading.removeprefix("## "), id="profiles")
    yield element("p", from_markdown(text))
    yield plain_table("Performance profiles", PROFILE_COLUMNS, lines)
    yield definitions("What these columns mean", PROFILE_DEFINITIONS)


def environment(rows: Sequence[TableRow]) -> str:
    """Return the page of an environment.

    Args:
        rows: All of it, at least one, in the table's order.
    """
    parts: list[Markup] = []
    for _, group in itertools.groupby(rows, key=section):
        parts += _section(list(group))
    hidden = any(row.hidden_means for row in rows)
    meanings = shown_columns(any(row.is_native for row in rows), hidden) | OPERATIONS
    shown = {name: text for name, text in meanings.items() if name in (*SHOWN, "Agent", "Twin")}
    parts += [*map(_note, notes(rows)), element("p", from_markdown(COSTS_TEXT))]
    parts += [definitions("What the columns mean", shown | KIND)]
    return page(rows[0].environment, joined(parts), up="../")


def _section(rows: Sequence[TableRow]) -> Iterator[Markup]:
    """Yield what a page has of one version and budget class."""
    first = rows[0]
    words = f"Version {first.environment_version}, {class_in_words(first.budget_class)}"
    yield element("h2", words, id=anchor(first.environment_version, first.budget_class))
    yield legend(first)
    yield _rows_table(words, rows)
    pairs = [pair.cells() for pair in comparisons(rows)]
    if pairs:
        yield element("h3", "Against their twins")
        yield plain_table(f"Agents and their twins, {words}", COMPARISON_COLUMNS, pairs)
        yield definitions("What these columns mean", COMPARISON_DEFINITIONS)


def _rows_table(words: str, rows: Sequence[TableRow]) -> Markup:
    scale = score_scale(rows)
    columns = shown_columns(rows[0].is_native, any(row.hidden_means for row in rows)) | OPERATIONS
    names = [name for name in SHOWN if name in columns]
    lines = []
    for row in rows:
        cost = operations(row)
        texts = row_texts(row, rows) | {"Operations": "–" if cost is None else f"{cost:,.1f}"}
        drawing = Cell(seeds_drawing(row, scale), row.mean)
        lines.append(
            [
                Cell(texts["Agent"]),
                drawing,
                Cell(kind(row)),
                Cell(texts["Twin"]),
                *(number_cell(texts[name]) for name in names),
            ]
        )
    ends = " to ".join(map(rows[0].score, (scale.low, scale.high)))
    headings = ["Agent", f"Return, {ends}", "Kind", "Twin", *names]
    return sortable(f"Results, {words}", headings, lines)


def _note(text: str) -> Markup:
    return element("p", from_markdown(text), class_="note")


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
