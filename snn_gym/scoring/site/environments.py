"""The page of an environment: tables with drawn seeds, fronts, and agents compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from snn_gym.scoring.comparison import COMPARISON_COLUMNS, COMPARISON_DEFINITIONS, comparisons
from snn_gym.scoring.rendering import class_in_words, shown_columns
from snn_gym.scoring.results import Row
from snn_gym.scoring.room import ROOM_COLUMNS
from snn_gym.scoring.site.columns import KIND, SITE_COSTS, kind, remarks, texts
from snn_gym.scoring.site.elements import Markup, element, joined
from snn_gym.scoring.site.faults import faults_shown
from snn_gym.scoring.site.front import front_figure
from snn_gym.scoring.site.layout import Site, anchor
from snn_gym.scoring.site.learning import learning_figures
from snn_gym.scoring.site.marks import legend, score_scale, seeds_drawing
from snn_gym.scoring.site.tables import Cell, definitions, number_cell, plain_table, sortable
from snn_gym.scoring.table import TableRow, section

SHOWN = (
    "Seeds",
    "Mean",
    "95 % interval",
    "Operations",
    "Solved",
    "Normalised",
    "Twin's mean",
    "IQM",
    "Worst seed",
    "Worst 5 %",
    "Held",
    "Spikes",
    "SynOps",
    "MACs",
    "Energy (nJ)",
    "Regime",
    "Parameters",
    *ROOM_COLUMNS,
    "Steps",
    "Trained again",
    "Hidden seeds",
)
"""Columns of numbers, where a table has them."""
_UP = "../"


def environment(site: Site, rows: Sequence[TableRow], sources: Sequence[Row]) -> str:
    """Return the page of an environment.

    Args:
        site: What the page has to know of the others.
        rows: All of the environment, at least one, in the table's order.
        sources: The stored rows, those behind these among them.
    """
    parts = list(_card(site, rows[-1]))
    for _, group in itertools.groupby(rows, key=section):
        parts += _section(site, list(group), sources)
    hidden = any(row.hidden_means for row in rows)
    meanings = shown_columns(any(row.is_native for row in rows), hidden) | SITE_COSTS
    shown = {name: text for name, text in meanings.items() if name in ("Agent", "Twin", *SHOWN)}
    parts += [*remarks(rows), definitions("What the columns mean", shown | KIND)]
    return site.page(rows[0].environment, joined(parts), up=_UP)


def _card(site: Site, row: TableRow) -> Iterator[Markup]:
    address = None if row.card is None else site.card(f"environments/{row.card}", up=_UP)
    if address is not None:
        yield element("p", element("a", "The environment's card", href=address))


def _section(site: Site, rows: Sequence[TableRow], sources: Sequence[Row]) -> Iterator[Markup]:
    """Yield what a page has of one version and budget class."""
    words = f"Version {rows[0].environment_version}, {class_in_words(rows[0].budget_class)}"
    yield element("h2", words, id=anchor(rows[0]))
    yield legend(rows[0])
    yield _table(site, words, rows)
    yield front_figure(rows, words, up=_UP)
    yield learning_figures(site, rows, sources, up=_UP)
    pairs = [
        [
            *(site.agent(one.agent, one.name, up=_UP) for one in (pair.row, pair.other)),
            *pair.cells()[2:],
        ]
        for pair in comparisons(rows)
    ]
    if pairs:
        yield element("h3", "Against twins and origins")
        yield plain_table(f"Agents against twins and origins, {words}", COMPARISON_COLUMNS, pairs)
        yield definitions("What these columns mean", COMPARISON_DEFINITIONS)
    named = [
        (row, [Cell(site.agent(row.agent, row.name, up=_UP)), Cell(kind(row))]) for row in rows
    ]
    yield from faults_shown(f"With faults, {words}", ["Agent", "Kind"], named)


def _table(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    scale = score_scale(rows)
    columns = shown_columns(rows[0].is_native, any(row.hidden_means for row in rows)) | SITE_COSTS
    names = [name for name in SHOWN if name in columns]
    lines = []
    for row in rows:
        shown = texts(row, rows)
        named = [
            Cell(site.agent(row.agent, shown["Agent"], up=_UP)),
            Cell(seeds_drawing(row, scale), row.mean),
            Cell(shown["Kind"]),
            Cell(site.agent(row.twin or "", shown["Twin"], up=_UP)),
        ]
        lines.append([*named, *(number_cell(shown[name]) for name in names)])
    ends = " to ".join(map(rows[0].score, (scale.low, scale.high)))
    return sortable(
        f"Results, {words}", ["Agent", f"Return, {ends}", "Kind", "Twin", *names], lines
    )
