"""The chain of digests of a leaderboard: which rows were verified, in which order, as what.

``digests.txt`` has a line for every row that was written, and a further one where it was evaluated
again; the last one of a row counts. A line holds the SHA-256 of the row's file and of its weights'
file, the row's place, and before these the SHA-256 of all that and of the line before, so that no
line can be changed, left out or put in without changing all that follow (a hash chain, as in
Haber and Stornetta 1991, https://doi.org/10.1007/BF00196791).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.manifest import MAX_ROW_BYTES, MAX_WEIGHTS_BYTES
from snn_gym.storage import StorageError, read_regular_file, write_text_atomic

DIGESTS_NAME = "digests.txt"
_MAX_DIGESTS_BYTES = 64 * 1024 * 1024
_NOTHING = "0" * 64  # before the first line
_LINE = re.compile(
    r"([0-9a-f]{64}) ([0-9a-f]{64}) ([0-9a-f]{64}) (results/[^/ ]+/[^/ ]+/\d+\.json)"
)


@dataclass(frozen=True)
class Link:
    """A line of the chain."""

    chain: str
    """SHA-256 of the line before and of the other three fields."""
    row: str
    """SHA-256 of the row's file."""
    weights: str
    """SHA-256 of its weights' file."""
    place: str
    """The row's file, as seen from the leaderboard, with slashes."""

    @property
    def line(self) -> str:
        """The text of the line."""
        return f"{self.chain} {self.row} {self.weights} {self.place}\n"


def read_chain(leaderboard: Path) -> tuple[Link, ...]:
    """Read the chain of a leaderboard, and check that every line follows from the one before.

    Args:
        leaderboard: Folder of the leaderboard; one without the file has no lines.

    Returns:
        Its lines. The last one is left out where its row is still that of the row's line before: a
        process was killed between the two, and the next line takes its place.

    Raises:
        SubmissionError: ``digests``: a line was changed, left out or put in.
        StorageError: The file is no regular file of a sensible size.
    """
    path = leaderboard / DIGESTS_NAME
    if not path.exists() and not path.is_symlink():
        return ()
    text = read_regular_file(path, max_bytes=_MAX_DIGESTS_BYTES).decode("utf-8", "replace")
    links: list[Link] = []
    before = _NOTHING
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        link = None if found is None else Link(*found.groups())
        if link is None or link != _next(before, link.row, link.weights, link.place):
            raise SubmissionError(
                "digests",
                f"line {number} of {DIGESTS_NAME} does not follow from the one before; expected "
                "the lines that `snn-gym verify` wrote; restore the file from its history",
            )
        links.append(link)
        before = link.chain
    return tuple(links[:-1] if _is_interrupted(leaderboard, links) else links)


def _is_interrupted(leaderboard: Path, links: Sequence[Link]) -> bool:
    """Say whether a row that was to be replaced is still the one before the last line.

    Who puts an earlier file of the last row back is taken for that; without the last line it would
    be whole, too, and only the history of the file tells either.
    """
    earlier = [link for link in links[:-1] if link.place == links[-1].place]
    if not earlier or earlier[-1].row == links[-1].row:
        return False
    try:
        row = read_regular_file(leaderboard / links[-1].place, max_bytes=MAX_ROW_BYTES)
    except StorageError:
        return False  # said where the row is read
    return _digest(row) == earlier[-1].row


def read_linked(leaderboard: Path, link: Link) -> tuple[bytes, bytes]:
    """Return the row and the weights of a line, if they are what it says.

    Args:
        leaderboard: Folder of the leaderboard.
        link: Last line of the row.

    Raises:
        SubmissionError: ``digests``: one of them is another file.
        StorageError: One of them is missing, or no regular file of a sensible size.
    """
    row = leaderboard / link.place
    weights = row.with_suffix(".safetensors")
    return (
        _same(leaderboard, row, link.row, MAX_ROW_BYTES),
        _same(leaderboard, weights, link.weights, MAX_WEIGHTS_BYTES),
    )


def _same(leaderboard: Path, path: Path, digest: str, max_bytes: int) -> bytes:
    data = read_regular_file(path, max_bytes=max_bytes)
    found = _digest(data)
    if found != digest:
        raise SubmissionError(
            "digests",
            f"{path.relative_to(leaderboard).as_posix()} has the SHA-256 {found[:16]}…; expected "
            f"{digest[:16]}…, as in {DIGESTS_NAME}; restore it from the history",
        )
    return data


def add_link(leaderboard: Path, row_file: Path, row: bytes, weights: bytes) -> None:
    """Add a row that is about to be written; the caller holds the leaderboard's lock.

    Where rows are older than the chain it begins with these.

    Args:
        leaderboard: Folder of the leaderboard.
        row_file: Where the row's file will be.
        row: Its content.
        weights: Content of its weights' file.

    Raises:
        SubmissionError: The chain is broken.
    """
    links = read_chain(leaderboard) or _of_files(leaderboard)
    before = links[-1].chain if links else _NOTHING
    place = row_file.relative_to(leaderboard).as_posix()
    _write(leaderboard, (*links, _next(before, _digest(row), _digest(weights), place)))


def begin_chain(leaderboard: Path) -> None:
    """Write the chain of the rows that there are, where there is none.

    Args:
        leaderboard: Folder of the leaderboard.

    Raises:
        ValueError: There is one.
    """
    if read_chain(leaderboard):
        raise ValueError(f"{leaderboard / DIGESTS_NAME} exists; it is only ever added to")
    _write(leaderboard, _of_files(leaderboard))


def _of_files(leaderboard: Path) -> tuple[Link, ...]:
    links: list[Link] = []
    for path in sorted((leaderboard / "results").glob("*/*/*.json")):
        row = read_regular_file(path, max_bytes=MAX_ROW_BYTES)
        weights_file = path.with_suffix(".safetensors")
        weights = read_regular_file(weights_file, max_bytes=MAX_WEIGHTS_BYTES)
        before = links[-1].chain if links else _NOTHING
        place = path.relative_to(leaderboard).as_posix()
        links.append(_next(before, _digest(row), _digest(weights), place))
    return tuple(links)


def _write(leaderboard: Path, links: Iterable[Link]) -> None:
    write_text_atomic(leaderboard / DIGESTS_NAME, "".join(link.line for link in links))


def _next(before: str, row: str, weights: str, place: str) -> Link:
    return Link(_digest(f"{before} {row} {weights} {place}".encode()), row, weights, place)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
