"""The results table as Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from snn_gym._base.folders import locked, remove_partial_files
from snn_gym._base.storage import StorageError, read_regular_file, write_text_atomic
from snn_gym.envs.registry import IMPORTED
from snn_gym.leaderboard.comparison import (
    COMPARISON_COLUMNS,
    COMPARISON_DEFINITIONS,
    comparisons,
)
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.plan import Unranked, split_rows
from snn_gym.leaderboard.results import Row, is_derived, shown_rows
from snn_gym.leaderboard.table import (
    COLUMN_DEFINITIONS,
    COLUMNS,
    LEAN_MARK,
    MARKDOWN_COLUMNS,
    OLDER_MARK,
    REFERENCES,
    SHORT_MARK,
    UNRANKED_COLUMNS,
    UNRANKED_HEADING,
    UNRANKED_TEXT,
    TableRow,
    line_of,
    marked_name,
    references,
    section,
    summaries,
)
from snn_gym.program.costs import NOT_COUNTED
from snn_gym.program.prices import DEFAULT, PRICES

TABLE_NAME = "README.md"
_MAX_TABLE_BYTES = 64 << 20

_INTRODUCTION = """# Results

Every row was run again by `snn-gym verify` before it was written. [RULES.md](RULES.md) explains how
to submit and how a policy is evaluated. Columns are defined at the end. The documentation, `make
docs`, shows every column and seed, return against cost, and learning curves. This file is written
by `snn-gym table`; do not edit it.
"""
_TEXT_COLUMNS = (
    "Agent",
    "Against",
    "Environment",
    "Class",
    "Environments",
    "Finding",
    "Reason",
)
_WRITTEN = _INTRODUCTION.partition(" before it was written")[0]
_SHORT_NOTE = f"""{SHORT_MARK} Less than half of the budget of the agent's class. Such a line \
ranks like any other, because fewer steps are no advantage.
"""
_LEAN_NOTE = f"""{LEAN_MARK} Made lean from the rows of another training, and made lean again \
before the row was written. *Steps* are those of both, which may exceed the budget. Such a line \
ranks like any other.
"""
_OLDER_NOTE = f"""{OLDER_MARK} Version 6 of the evaluator counted these costs in a part of the \
episodes. Version {EVALUATOR_VERSION} counts in all of them. `snn-gym verify --again` counts again.
"""
_UNCOUNTED_NOTE = f"""*{NOT_COUNTED}*: a module between observation and action, such as a \
convolutional features extractor, is not counted, so that no total is known.
"""
COSTS_TEXT = """Costs are means over the observations and states of the policy's evaluation (an \
even subsample above 20,000), summed over layers; "–" if an agent has none. Operations count \
events, not energy: the energy of a SynOp or a MAC depends on the hardware. IQM and probability of \
improvement follow [Agarwal et al. 2021](https://arxiv.org/abs/2108.13264).
"""


def render_table(leaderboard: str | Path) -> str:
    """Render a leaderboard as Markdown; equal rows give equal text.

    Args:
        leaderboard: Folder of the leaderboard.

    Raises:
        ValueError: As in ``table_rows``.
    """
    known = shown_rows(leaderboard)
    ranked, unranked = split_rows(Path(leaderboard), known)
    rows = summaries(ranked, known)
    groups = (list(group) for _, group in itertools.groupby(rows, key=section))
    sections = [_INTRODUCTION, *(part for group in groups for part in _section(group))]
    if not rows:
        sections.append("There are no results yet.\n")
    if unranked:
        table = _markdown(UNRANKED_COLUMNS, [_unranked_cells(entry) for entry in unranked])
        sections.append(f"## {UNRANKED_HEADING}\n\n{UNRANKED_TEXT}\n{table}")
    if rows:
        sections += _notes(rows)
        defined = {**COLUMN_DEFINITIONS, "Operations": PRICES[DEFAULT].source}
        shown = {name: defined[name] for name in MARKDOWN_COLUMNS}
        sections.append("## Columns\n\n" + _definitions(shown))
        sections.append("Comparisons:\n\n" + _definitions(COMPARISON_DEFINITIONS))
    return "\n".join([*sections, COSTS_TEXT] if rows else sections)


def _section(rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield heading and reference scores, table and comparisons of one section's rows."""
    environment, version, budget_class = section(rows[0])
    own = "imported: trained elsewhere, evaluated here"
    words = own if budget_class == IMPORTED else f"budget class {budget_class}"
    yield f"## {environment}, version {version} of the environment, {words}\n"
    if rows[0].reference is not None:
        yield _reference_text(rows[0])
    yield _table(rows)
    pairs = [pair.cells() for pair in comparisons(rows)]
    if pairs:
        yield _markdown(COMPARISON_COLUMNS, pairs)


def _reference_text(row: TableRow) -> str:
    """Return the reference scores of a row's environment as a sentence with a link to its card."""
    scores = references(row.reference)
    shown = ", ".join(f"{REFERENCES[key]}: {row.score(score)}" for key, score in scores.items())
    return f"[Reference scores](../envs/{row.card}.md#reference-scores), {shown}.\n"


def _table(rows: Sequence[TableRow]) -> str:
    lines = []
    for row in rows:
        texts = dict(zip(COLUMNS, row.cells(), strict=True))
        texts["Operations"] += f" {OLDER_MARK}" * row.older_costs
        lines.append([texts[column] for column in MARKDOWN_COLUMNS])
    return _markdown(MARKDOWN_COLUMNS, lines)


def _notes(rows: Sequence[TableRow]) -> list[str]:
    """Return the explanations of the marks in some rows, as Markdown."""
    conditions = {
        _SHORT_NOTE: any(row.short for row in rows),
        _LEAN_NOTE: any(row.derived for row in rows),
        _OLDER_NOTE: any(row.older_costs for row in rows),
        _UNCOUNTED_NOTE: any(row.uncounted for row in rows),
    }
    return [note for note, holds in conditions.items() if holds]


def render_line(leaderboard: str | Path, row: Row) -> str:
    """Render a row's line of the Markdown table, or of other recipes if unranked, with headings."""
    known = shown_rows(leaderboard)
    ranked, unranked = split_rows(Path(leaderboard), known)
    for entry in unranked:
        if entry.row == row:
            return _markdown(UNRANKED_COLUMNS, [_unranked_cells(entry)])
    own = [other for other in ranked if line_of(other) == line_of(row)]
    return _table(summaries(own, known))


def read_table(path: Path) -> bytes | None:
    """Return the content of a leaderboard's README.md, None if it is missing."""
    try:
        return read_regular_file(path, max_bytes=_MAX_TABLE_BYTES)
    except StorageError as error:
        if error.reason == "missing":
            return None
        raise


def write_table(leaderboard: str | Path) -> Path:
    """Write leaderboard/README.md atomically.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        Path of the file.

    Raises:
        ValueError: The folder is missing, its README.md is another file, or as in ``table_rows``.
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
    # Locked, so that an older table cannot replace a newer one of another writer.
    with locked(leaderboard):
        remove_partial_files(leaderboard, [TABLE_NAME])
        write_text_atomic(path, render_table(leaderboard))
    return path


def _unranked_cells(entry: Unranked) -> tuple[str, ...]:
    row = entry.row
    name = marked_name(row.agent, derived=is_derived(row))
    mean = f"{row.score.mean:.6g}"
    return (row.environment, row.budget_class, name, str(row.seed), mean, entry.reason)


def _definitions(texts: Mapping[str, str]) -> str:
    lines = "".join(f"| {name} | {text} |\n" for name, text in texts.items())
    return f"| column | meaning |\n|---|---|\n{lines}"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if heading in _TEXT_COLUMNS else "---:" for heading in headings]
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, rule, *rows))
