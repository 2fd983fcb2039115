"""Output of commands: one function that prints, and tables, evaluations and rows by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from snn_gym._base.names import without_controls

if TYPE_CHECKING:
    from snn_gym.leaderboard import Evaluation

_MAX_SHOWN = 2000


def in_one_line(text: str) -> str:
    """Return a message as one printable line of bounded length; it may quote a stranger's file.

    Args:
        text: The message.
    """
    line = " ".join(text.split())
    return without_controls(line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}…")


def say(*texts: object) -> None:
    """Print texts to standard output; all that commands print goes through here.

    A text may quote a stranger's file, so its control characters are shown as ``?``.

    Args:
        *texts: Each a line, or several with line ends between; none for an empty line.
    """
    for text in texts or ("",):
        typer.echo(without_controls(str(text)))


def describe_refusal(error: OSError) -> str:
    """Return what the operating system refused, and what to do about it.

    Args:
        error: Its error.
    """
    if error.filename is None or error.strerror is None:
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is a file; expected a folder; name another"
    said = f"{error.strerror[:1].lower()}{error.strerror[1:]}"
    return f"{error.filename}: {said}; name a place that can be read and written"


def print_columns(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, each column as wide as its widest text.

    Args:
        header: Heading of each column.
        rows: Texts under them.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        say("  ".join(map(str.ljust, row, widths)).rstrip())


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come.

    Args:
        lines: Texts.
    """
    for line in lines:
        say(line)


def print_evaluation(result: Evaluation) -> None:
    """Print what a policy earned, and what its decisions cost.

    Args:
        result: Evaluation of the policy.
    """
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


def print_played(results: Iterable[Any], what: str) -> None:
    """Print what came of stored rows as it comes, and in the end of how many.

    Args:
        results: What came of each row, as `snn_gym.leaderboard.reevaluation` gives it.
        what: What came of those that hold, with a place for the number of the others.

    Raises:
        ValueError: Some do not hold.
    """
    counts = [0, 0]
    for result in results:
        say(result)
        counts[result.problem is not None] += 1
    say(f"{counts[0]} rows {what.format(counts[1])}")
    if counts[1]:
        raise ValueError(f"{counts[1]} rows do not hold; see the lines above")
