"""Columns that the site has beside those of the Markdown table, and what all pages say of them."""

from __future__ import annotations

from collections.abc import Sequence

from snn_gym.program.costs import OPERATIONS
from snn_gym.scoring.rendering import COSTS_TEXT, notes, row_texts
from snn_gym.scoring.site.elements import Markup, element, from_markdown
from snn_gym.scoring.table import TableRow, count
from snn_gym.spiking.energy import (
    COMPETITIVE_RATE,
    COMPETITIVE_SPIKES,
    MAC_PJ,
    SYNOP_PJ,
    UPDATE_PJ,
    energy_nj,
    regimes,
)

_NONE = count(None)

SITE_COSTS = {
    "Energy (nJ)": "SynOps at {:g} to {:g} pJ: an addition of 32-bit floats, bare, in 45 nm, and a "
    "SynOp of Loihi with its memory and routing; MACs at {:g} to {:g} pJ: of 8-bit integers and "
    "of 32-bit floats, bare, in 45 nm; and updates of spiking neurons at {:g} to {:g} pJ: of an "
    "inactive and an active neuron of Loihi ([Horowitz 2014]"
    "(https://doi.org/10.1109/ISSCC.2014.6757323), [Davies et al. 2018]"
    "(https://doi.org/10.1109/MM.2018.112130359)). A band by assumption, nothing measured: "
    "lower ends of SynOps and of MACs count other numbers, upper ends other memories, so that two "
    "bands that overlap say nothing. Silent neurons count; removed from the network they cost "
    "nothing. A chip at rest is not in it".format(*SYNOP_PJ, *MAC_PJ, *UPDATE_PJ),
    "Regime": "whether so few spikes take less energy than an ANN: by those that a synapse passes "
    "in a decision, below {:g} to {:g} by memory ([Dampfhoffer et al. 2023]"
    "(https://doi.org/10.1109/TETCI.2022.3214509)), and by those of a neuron in a time step, below "
    "{:g} ([Yan et al.](https://arxiv.org/abs/2409.08290v4))".format(
        *COMPETITIVE_SPIKES, COMPETITIVE_RATE
    ),
}
"""Columns of costs that the site has beside the table's, and what they mean."""
KIND = {
    "Kind": "spiking if the agent has spiking neurons from which synapses lead to its outputs, "
    "unheard if it has such neurons and no such synapses, else ANN"
}
"""Column of `kind`, and what it means."""


def kind(row: TableRow) -> str:
    """Return what kind of agent a row is of."""
    if row.unheard:
        return "unheard"
    return "spiking" if row.spiking else "ANN"


def seeds_in_words(row: TableRow) -> str:
    """Return of how many seeds a row is."""
    count = len(row.seeds)
    return f"{count} seed{'s' * (count != 1)}"


def texts(row: TableRow, rows: Sequence[TableRow]) -> dict[str, str]:
    """Return what is shown of a row by column: the Markdown table's texts and those of the site.

    Args:
        row: The row.
        rows: Those of the same environment, version and budget class.
    """
    own = {"Energy (nJ)": row.cost_cell(_energy(row)), "Regime": _regime(row)}
    return row_texts(row, rows) | own | {"Kind": kind(row)}


def _energy(row: TableRow) -> str:
    if row.operations_per_decision is None:
        return _NONE
    synops, macs, updates = (getattr(row, name) or 0.0 for name in OPERATIONS)
    band = energy_nj(synops, macs, updates if row.spiking or row.unheard else 0.0)
    return " to ".join(f"{value:,.2f}" for value in band)


def _regime(row: TableRow) -> str:
    if row.spikes_per_synapse is None or row.firing_rate is None:
        return _NONE
    return ", ".join(regimes(row.spikes_per_synapse, row.firing_rate))


def remarks(rows: Sequence[TableRow]) -> list[Markup]:
    """Return what marks in some rows mean, and how costs are counted.

    Args:
        rows: What a page shows.
    """
    paragraphs = [element("p", from_markdown(text), class_="note") for text in notes(rows)]
    return [*paragraphs, element("p", from_markdown(COSTS_TEXT), class_="note")]
