"""The results table as Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snn_gym._base.folders import locked, remove_partial_files
from snn_gym._base.storage import StorageError, read_regular_file, write_text_atomic
from snn_gym.envs.registry import IMPORTED
from snn_gym.leaderboard.comparison import (
    COMPARISON_COLUMNS,
    COMPARISON_DEFINITIONS,
    PROFILE_COLUMNS,
    PROFILE_DEFINITIONS,
    comparisons,
    profiles,
)
from snn_gym.leaderboard.headings import (
    COLUMN_DEFINITIONS,
    COLUMNS,
    DERIVED,
    FAULT_COLUMNS,
    FAULTS_HEADING,
    HIDDEN_COLUMN,
    HIDDEN_MARK,
    KEPT,
    MARK,
    REFERENCE_COLUMNS,
    ROOM_COLUMNS,
    SHORT,
    STREAMS_NOTE,
    UNPROVEN,
    UNRANKED_COLUMNS,
    UNRANKED_HEADING,
    UNRANKED_TEXT,
    VOLTAGES,
    registered_demand,
    room_cells,
)
from snn_gym.leaderboard.hidden import CHANCE
from snn_gym.leaderboard.results import Row, is_derived, shown_rows
from snn_gym.leaderboard.table import TableRow, Unranked, section, split_rows, summaries
from snn_gym.program.costs import NOT_COUNTED

if TYPE_CHECKING:  # which needs PyTorch
    from snn_gym.leaderboard.chips import Demand

TABLE_NAME = "README.md"
_MAX_TABLE_BYTES = 64 << 20

_INTRODUCTION = """# Results

Every row was run again by `snn-gym verify` before it was written. [RULES.md](RULES.md) says how to
submit and how a policy is evaluated; what the columns mean stands at the end. This file is written
by `snn-gym table`; do not edit it.
"""
_TEXTS = (
    *("Agent", "Twin", "Against", "Environment", "Class", "Environments", "Finding", "Fits"),
    "Reason",
)
"""Columns whose texts stand to the left; numbers stand to the right."""
_WRITTEN = _INTRODUCTION.partition(" before it was written")[0]
_SHORT = f"""{SHORT} Less than half of the budget of the agent's class: such a line compares with \
its twin of as many steps, and does not rank among agents that used theirs.
"""
_DERIVED = f"""{DERIVED} Made lean from the rows of another training, and made so again before the \
row was written. *Steps* are those of both, which may be more than the budget; such a line does \
not rank.
"""
_VOLTAGES = f"""{VOLTAGES} Outputs read voltages of leaky integrators, one for each neuron of the \
last layer: each spike has one synapse, to its integrator, and the readout's products are MACs.
"""
_UNCOUNTED = f"""*{NOT_COUNTED}*: a module between observation and action, such as a convolutional \
features extractor, is not counted, so that no total is known.
"""
_UNHEARD = """Neurons without synapses that lead to an output do not make an agent a spiking one: \
their spikes reach nothing, and such a line does not rank.
"""
_FLAGGED = f"""{HIDDEN_MARK} So many training runs have a public score that is higher than that on \
hidden seeds by more than chance (one-sided permutation test over episodes, p < {CHANCE:g}).
"""
PROFILES_TEXT = """## Across environments, agents and their twins

How many seeds do well: performance profiles \
([Agarwal et al. 2021](https://arxiv.org/abs/2108.13264), section 4.2) of each pair over the \
environments in which both have seeds enough.
"""
_UNRANKED = tuple(UNRANKED_COLUMNS)
_FAULT_TABLE = ("Environment", "Class", "Agent", *FAULT_COLUMNS)
COSTS_TEXT = """Costs are means over the observations that the policy visited in its evaluation \
(of more than 20,000, an even subsample), with the states it met them in, summed over layers; "–" \
where an agent has none. They count events, not energy: how much a SynOp or a MAC takes depends on \
the hardware. IQM and probability of improvement follow \
[Agarwal et al. 2021](https://arxiv.org/abs/2108.13264).
"""


def render_table(leaderboard: str | Path) -> str:
    """Render a leaderboard as Markdown; equal rows give equal text.

    Args:
        leaderboard: Folder of the leaderboard.

    Raises:
        ValueError: As in ``table_rows``.
    """
    sections = [_INTRODUCTION]
    known = shown_rows(leaderboard)
    ranked, others = split_rows(Path(leaderboard), known)
    rows = summaries(ranked, known)
    hidden = any(row.hidden_means for row in rows)
    for (environment, version, budget_class), group in itertools.groupby(rows, key=section):
        heading = f"## {environment}, version {version}, {class_in_words(budget_class)}\n"
        shown = list(group)
        columns = shown_columns(shown[0].is_native, hidden)
        lines = [_cells(row, columns, shown) for row in shown]
        sections.append(heading + "\n" + _markdown(list(columns), lines))
        pairs = [pair.cells() for pair in comparisons(shown)]
        if pairs:
            sections.append(_markdown(COMPARISON_COLUMNS, pairs))
    if not rows:
        return "\n".join([*sections, "There are no results yet.\n", *_apart(others)])
    lines = [profile.cells() for profile in profiles(rows)]
    if lines:
        sections.append(PROFILES_TEXT + "\n" + _markdown(PROFILE_COLUMNS, lines))
    faulted = [_fault_cells(row) for row in rows if row.faulted]
    if faulted:
        sections.append(f"## {FAULTS_HEADING}\n\n{KEPT}\n{_markdown(_FAULT_TABLE, faulted)}")
    sections += [*_apart(others), *notes(rows)]
    defined = shown_columns(any(row.is_native for row in rows), hidden)
    sections.append("## What the columns mean\n\n" + _definitions(defined))
    sections.append(
        "Of an agent against its twin or origin:\n\n" + _definitions(COMPARISON_DEFINITIONS)
    )
    if lines:
        sections.append("Across environments:\n\n" + _definitions(PROFILE_DEFINITIONS))
    if faulted:
        sections.append(f"{FAULTS_HEADING}:\n\n" + _definitions(FAULT_COLUMNS))
    sections.append(COSTS_TEXT)
    return "\n".join(sections)


def _apart(others: Sequence[Unranked]) -> list[str]:
    """Return the table of the rows that do not rank, nothing without any."""
    lines = [other.cells() for other in others]
    table = _markdown(_UNRANKED, lines)
    return [f"## {UNRANKED_HEADING}\n\n{UNRANKED_TEXT}\n{table}"] if lines else []


def notes(rows: Sequence[TableRow]) -> list[str]:
    """Return what the marks in some rows mean, as Markdown.

    Args:
        rows: What is shown.
    """
    shown = {
        STREAMS_NOTE: any(MARK in cell for row in rows for cell in row.cells()),
        _SHORT: any(row.short for row in rows),
        _DERIVED: any(row.derived for row in rows),
        _FLAGGED: any(row.hidden_flagged for row in rows),
        _VOLTAGES: any(row.reads_voltages for row in rows),
        _UNCOUNTED: any(row.uncounted for row in rows),
        _UNHEARD: any(row.unheard for row in rows),
        UNPROVEN: not all(row.costs_rank for row in rows),
    }
    return [note for note, holds in shown.items() if holds]


def class_in_words(budget_class: str) -> str:
    """Return what the tables of a class are called."""
    if budget_class == IMPORTED:
        return "imported: trained elsewhere, evaluated here"
    return f"budget class {budget_class}"


def render_line(leaderboard: str | Path, row: Row) -> str:
    """Render the one line of the table that a row is part of, with its headings.

    Args:
        leaderboard: Folder of the leaderboard.
        row: One of its rows.

    Raises:
        ValueError: As in ``table_rows``.
    """
    known = shown_rows(leaderboard)
    ranked, others = split_rows(Path(leaderboard), known)
    for other in others:
        if other.row == row:
            return _markdown(_UNRANKED, [other.cells()])
    rows = [
        line
        for line in summaries(ranked, known)
        if section(line) == (row.environment, row.environment_version, row.budget_class)
    ]
    own = (row.agent, is_derived(row))
    shown = [line for line in rows if (line.agent, line.derived) == own]
    native = any(line.is_native for line in shown)
    columns = shown_columns(native, any(line.hidden_means for line in shown))
    return _markdown(list(columns), [_cells(line, columns, rows) for line in shown])


def read_table(path: Path) -> bytes | None:
    """Return what a leaderboard's README.md holds, None if there is none.

    Args:
        path: The file.

    Raises:
        StorageError: It is no regular file of a sensible size.
    """
    try:
        return read_regular_file(path, max_bytes=_MAX_TABLE_BYTES)
    except StorageError as error:
        if error.reason == "missing":
            return None
        raise


def write_table(leaderboard: str | Path) -> Path:
    """Write leaderboard/README.md afresh, atomically.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        Path of the file.

    Raises:
        ValueError: The folder is missing, its README.md is another one, or as in ``table_rows``.
    """
    leaderboard = Path(leaderboard)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    path = leaderboard / TABLE_NAME
    written = read_table(path)
    if written is not None and not written.startswith(_WRITTEN.encode()):
        raise ValueError(
            f"{path} was not written by `snn-gym table`, which would replace it; name a "
            "leaderboard's folder, or move the file"
        )
    # Locked, so that a table made before another writer's row cannot replace one made after it.
    with locked(leaderboard):
        remove_partial_files(leaderboard, [TABLE_NAME])
        write_text_atomic(path, render_table(leaderboard))
    return path


def shown_columns(native: bool, hidden: bool) -> dict[str, str]:
    """Return the columns of a table and what they mean, in their order.

    Args:
        native: Whether the task is native, with further scores to compare with.
        hidden: Whether a row played hidden seeds.
    """
    after = COLUMNS.index("Normalised") + 1
    defined = list(COLUMN_DEFINITIONS.items())
    return {
        **dict(defined[:after]),
        **(REFERENCE_COLUMNS if native else {}),
        **dict(defined[after:]),
        **ROOM_COLUMNS,
        **(HIDDEN_COLUMN if hidden else {}),
    }


def _cells(row: TableRow, columns: Iterable[str], rows: Iterable[TableRow]) -> tuple[str, ...]:
    """Return the texts of a row under columns, in a table of rows."""
    texts = row_texts(row, rows)
    return tuple(texts[column] for column in columns)


def row_texts(row: TableRow, rows: Iterable[TableRow]) -> dict[str, str]:
    """Return what a table shows of a row, as Markdown, by column.

    Args:
        row: The row.
        rows: Those of the same environment, version and budget class.
    """
    return {
        **dict(zip(COLUMNS, row.cells(), strict=True)),
        **row.reference_cells(rows),
        **room_cells(_demand(row)),
        **dict.fromkeys(HIDDEN_COLUMN, row.hidden_cell()),
    }


def _fault_cells(row: TableRow) -> tuple[str, ...]:
    """Return the texts under `_FAULT_TABLE`."""
    name, *_ = row.cells()
    return (row.environment, row.budget_class, name, *row.fault_cells())


def _demand(row: TableRow) -> Demand | None:
    """Return the room of a row's network; None for an ANN and for a task that is not known."""
    known = row.spiking and row.card is not None
    return registered_demand(row.agent, row.environment) if known else None


def _definitions(texts: Mapping[str, str]) -> str:
    lines = "".join(f"| {name} | {text} |\n" for name, text in texts.items())
    return f"| column | meaning |\n|---|---|\n{lines}"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if heading in _TEXTS else "---:" for heading in headings]
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, rule, *rows))
