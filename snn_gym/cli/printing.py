"""Output of commands: lines, tables, evaluations and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from snn_gym._base.names import without_controls

if TYPE_CHECKING:
    from snn_gym.leaderboard import Evaluation


def say(*texts: object) -> None:
    """Print each text to standard output, or an empty line if there is none.

    A text may quote a stranger's file, so its control characters are shown as ``?``.
    """
    for text in texts or ("",):
        typer.echo(without_controls(str(text)))


def describe_refusal(error: OSError) -> str:
    """Return an OSError as file, problem and fix; the plain error if it names no file."""
    if error.filename is None or error.strerror is None:
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is a file; expected a folder; name another"
    problem = f"{error.strerror[:1].lower()}{error.strerror[1:]}"
    return f"{error.filename}: {problem}; name a place that can be read and written"


def print_columns(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, each column as wide as its widest text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        say("  ".join(map(str.ljust, row, widths)).rstrip())


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come."""
    for line in lines:
        say(line)


def print_evaluation(result: Evaluation) -> None:
    """Print the score of a policy and the costs of its decisions, if every module is counted."""
    from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED

    scores = f"IQM {result.iqm:.2f}, mean {result.mean:.2f}"
    say(f"{result.env_id}: {scores}, {len(result.returns)} episodes")
    if result.spiking_layers and not result.spikes_reach_outputs:
        say("  its spikes reach no output: in a ranking it is no spiking agent")
    left_out = ", ".join(result.uncounted)
    if left_out:
        say(f"  costs of a decision: {NOT_COUNTED}, for {left_out} is not")
        return
    for name, column in COST_COLUMNS.items():
        value = getattr(result, name)
        layers = value if isinstance(value, dict) else {"all layers": value}
        shown = ", ".join(f"{layer} {x:,.2f}" for layer, x in layers.items() if x is not None)
        say(f"  {column.heading} per decision: {shown or 'none'}")


def print_played(results: Iterable[Any], summary: str) -> None:
    """Print results of `snn_gym.leaderboard.reevaluation` as they come, and count the rows.

    The summary says what happened to the good rows, with ``{}`` for the number of bad ones.

    Raises:
        ValueError: Some rows do not hold.
    """
    good = bad = 0
    for result in results:
        say(result)
        good += result.problem is None
        bad += result.problem is not None
    say(f"{good} rows {summary.format(bad)}")
    if bad:
        raise ValueError(f"{bad} rows do not hold; see the lines above")
