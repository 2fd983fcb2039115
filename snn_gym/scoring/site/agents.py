"""The page of an agent: its results with all costs, commands that train it again, its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snn_gym.scoring.headings import COLUMN_DEFINITIONS
from snn_gym.scoring.rendering import class_in_words
from snn_gym.scoring.results import Row
from snn_gym.scoring.room import ROOM_COLUMNS
from snn_gym.scoring.site.columns import SITE_COSTS, kind, remarks, texts
from snn_gym.scoring.site.commands import trainings
from snn_gym.scoring.site.elements import Markup, element, from_markdown, joined
from snn_gym.scoring.site.faults import faults_shown
from snn_gym.scoring.site.layout import Site, file_stem, row_file, section_address, sources_of
from snn_gym.scoring.site.learning import CURVES_TEXT, trained, twin_figure
from snn_gym.scoring.site.marks import legend, score_scale, seeds_drawing
from snn_gym.scoring.site.tables import (
    Cell,
    definitions,
    number_cell,
    plain_table,
    scrolling,
    sortable,
)
from snn_gym.scoring.table import TableRow, section
from snn_gym.spiking.costs import COST_COLUMNS
from snn_gym.zoo import agent_ids

SHOWN = (
    "Seeds",
    "Mean",
    "95 % interval",
    "Solved",
    "Normalised",
    *(column.heading for column in COST_COLUMNS.values()),
    *SITE_COSTS,
    "Parameters",
    *ROOM_COLUMNS,
    "Steps",
    "Trained again",
)
"""Columns of numbers."""
ROW_COLUMNS = (
    "Seed",
    "Mean return",
    "Steps",
    "Played again",
    "Trained again",
    "Weights' SHA-256",
    "Row",
)
"""Headings of the table of an agent's rows in an environment."""
_NAMED = ("Environment", "Class")
_UP = "../"


def agent(
    site: Site, rows: Sequence[TableRow], table: Sequence[TableRow], sources: Sequence[Row]
) -> str:
    """Return the page of an agent.

    Args:
        site: What the page has to know of the others.
        rows: All of the agent, at least one, in the table's order.
        table: The whole results table.
        sources: The stored rows behind ``table``.
    """
    name = rows[0].agent
    parts = [*_about(site, rows), element("h2", "Results and costs", id="results")]
    lines, named = [], [_named(row) for row in rows]
    for row, cells in zip(rows, named, strict=True):
        shown = texts(row, [other for other in table if section(other) == section(row)])
        lines.append([*cells, *(number_cell(shown[column]) for column in SHOWN)])
    parts += [sortable(f"Results of {name}", [*_NAMED, *SHOWN], lines)]
    parts += faults_shown(f"{name} with faults", _NAMED, zip(rows, named, strict=True))
    for row in rows:
        others = [other for other in table if section(other) == section(row)]
        parts += _section(site, row, others, sources)
    defined = COLUMN_DEFINITIONS | ROOM_COLUMNS | SITE_COSTS
    meanings = {column: defined[column] for column in SHOWN}
    if any(trained(row, sources) for row in rows):
        parts.append(element("p", element("strong", "Learning curves."), f" {CURVES_TEXT}"))
    parts += [*remarks(rows), definitions("What the columns mean", meanings)]
    return site.page(name, joined(parts), up=_UP)


def _named(row: TableRow) -> list[Cell]:
    """Return the cells under `_NAMED`."""
    link = element("a", row.environment, href=section_address(row, up=_UP))
    return [Cell(link), Cell(class_in_words(row.budget_class))]


def _about(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    name, twin = rows[0].agent, next((row.twin for row in rows if row.twin), None)
    kinds = " and ".join(sorted({kind(row) for row in rows}))
    known = "" if twin is None else joined([", to compare with ", site.agent(twin, twin, up=_UP)])
    yield element("p", joined([f"Kind: {kinds}", known, "."]))
    address = site.card(f"agents/{file_stem(name)}", up=_UP)
    if address is not None and name in agent_ids():
        words = "The agent's card: its network and hyper-parameters"
        yield element("p", element("a", words, href=address))
    yield site.films(name, up=_UP)


def _section(
    site: Site, row: TableRow, others: Sequence[TableRow], sources: Sequence[Row]
) -> Iterator[Markup]:
    """Yield what an agent's page has of one line of the table, of the others its twin's curves."""
    words = f"{row.environment}, {class_in_words(row.budget_class)}"
    yield element("h2", words)
    yield legend(row)
    yield scrolling(f"Seeds, {words}", seeds_drawing(row, score_scale([row])))
    yield twin_figure(site, row, others, sources, up=_UP)
    own = sources_of(row, sources)
    lines = [_row_cells(source) for source in own]
    yield plain_table(f"Rows, {words}", ROW_COLUMNS, lines)
    yield element("h3", "Train and verify it again")
    for training in trainings(own, sources):
        commands = training.commands()
        if commands is not None:
            yield element("pre", element("code", commands), tabindex=0)
        yield element("p", from_markdown(training.in_words()))
        yield element("p", "To load it: ", element("code", training.loading()))


def _row_cells(source: Row) -> list[str]:
    again = source.trained_again
    same = "–" if again is None else f"same {again.same}, {again.date[:10]}"
    file = row_file(source.agent, source.environment, source.seed)
    return [
        str(source.seed),
        f"{source.score.mean:.6g}",
        f"{source.steps:,}",
        source.verified[:10],
        same,
        element("code", source.weights_sha256[:16]),
        element("a", f"{source.seed}.json", href=_UP + file, download=True),
    ]
