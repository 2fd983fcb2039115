"""Columns that the site has beside those of the Markdown table, and what all pages say of them."""

from __future__ import annotations

from collections.abc import Sequence

from snn_gym.scoring.rendering import COSTS_TEXT, notes, row_texts
from snn_gym.scoring.site.elements import Markup, element, from_markdown
from snn_gym.scoring.table import TableRow

OPERATIONS = {
    "Operations": "SynOps and MACs together, each counted as one; on most hardware a SynOp, which "
    "adds, takes less than a MAC, which multiplies, too"
}
"""Column of `operations`, and what it means."""
KIND = {"Kind": "spiking if the agent has spiking neurons, else ANN"}
"""Column of `kind`, and what it means."""


def operations(row: TableRow) -> float | None:
    """Return SynOps and MACs of a decision together; None where neither is known."""
    known = [x for x in (row.synops_per_decision, row.macs_per_decision) if x is not None]
    return sum(known) if known else None


def kind(row: TableRow) -> str:
    """Return what kind of agent a row is of."""
    return "spiking" if row.spiking else "ANN"


def texts(row: TableRow, rows: Sequence[TableRow]) -> dict[str, str]:
    """Return what is shown of a row by column: the Markdown table's texts and those of the site.

    Args:
        row: The row.
        rows: Those of the same environment, version and budget class.
    """
    cost = operations(row)
    shown = "–" if cost is None else f"{cost:,.1f}"
    return row_texts(row, rows) | {"Operations": shown, "Kind": kind(row)}


def remarks(rows: Sequence[TableRow]) -> list[Markup]:
    """Return what marks in some rows mean, and how costs are counted.

    Args:
        rows: What a page shows.
    """
    paragraphs = [element("p", from_markdown(text), class_="note") for text in notes(rows)]
    return [*paragraphs, element("p", from_markdown(COSTS_TEXT), class_="note")]
