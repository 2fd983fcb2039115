"""How commands print rows of results and of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer


def print_columns(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, each column as wide as its widest text.

    Args:
        header: Heading of each column.
        rows: Texts under them.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        typer.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def print_played(results: Iterable[Any], what: str) -> None:
    """Print what came of stored rows as it comes, and in the end of how many.

    Args:
        results: What came of each row, as `snn_gym.scoring.reevaluation` gives it.
        what: What came of those that hold, with a place for the number of the others.

    Raises:
        ValueError: Some do not hold.
    """
    counts = [0, 0]
    for result in results:
        typer.echo(result)
        counts[result.problem is not None] += 1
    typer.echo(f"{counts[0]} rows {what.format(counts[1])}")
    if counts[1]:
        raise ValueError(f"{counts[1]} rows do not hold; see the lines above")
