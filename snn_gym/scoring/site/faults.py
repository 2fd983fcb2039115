"""What agents keep with faults: a table of its own on the pages of environments and agents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from snn_gym.scoring.headings import FAULT_COLUMNS, FAULTS_HEADING, KEPT
from snn_gym.scoring.site.elements import Markup, element, from_markdown
from snn_gym.scoring.site.tables import Cell, definitions, number_cell, sortable
from snn_gym.scoring.table import TableRow


def faults_shown(
    name: str, headings: Sequence[str], rows: Iterable[tuple[TableRow, Sequence[Cell]]]
) -> Iterator[Markup]:
    """Yield the table of the rows that were played with faults, nothing where none was.

    Args:
        name: What the table shows, for those who do not see it.
        headings: Of the first columns.
        rows: Rows, and the cells of each under those headings.
    """
    lines = [[*cells, *map(number_cell, row.fault_cells())] for row, cells in rows if row.faulted]
    if lines:
        yield element("h3", FAULTS_HEADING)
        yield element("p", from_markdown(KEPT))
        yield sortable(name, [*headings, *FAULT_COLUMNS], lines)
        yield definitions("What these columns mean", FAULT_COLUMNS)
