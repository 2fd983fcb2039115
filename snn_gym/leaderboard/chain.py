"""Hash chain of a leaderboard's verified rows (Haber and Stornetta 1991, doi:10.1007/BF00196791).

``digests.txt`` has a line for each time that a row was written; the last line of a row counts. A
line holds the SHA-256 of the row's file and of its weights' file, the row's place, and before these
the SHA-256 of all three and of the line before. So no line can be changed, removed or inserted
without changing all that follow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snn_gym._base.storage import StorageError, opened_folder, read_regular_file, write_text_atomic
from snn_gym.leaderboard.manifest import (
    MAX_ROW_BYTES,
    MAX_WEIGHTS_BYTES,
    RESULTS_FOLDER,
    SubmissionError,
)

DIGESTS_NAME = "digests.txt"
_MAX_DIGESTS_BYTES = 64 * 1024 * 1024
_START = "0" * 64  # stands for the line before the first
# Names have the lengths that manifests allow; an id's slash becomes two underscores.
_LINE = re.compile(
    r"([0-9a-f]{64}) ([0-9a-f]{64}) ([0-9a-f]{64}) "
    r"(results/[a-z0-9-]{1,64}/[A-Za-z0-9_-]{1,65}/(?:0|[1-9][0-9]{0,8})\.json)"
)


@dataclass(frozen=True)
class Link:
    """A line of the chain: three SHA-256 digests and the place of the row's file."""

    chain: str
    """Digest of the line before and of the other three fields."""
    row: str
    weights: str
    place: str
    """Path below the leaderboard, with slashes."""


def read_chain(leaderboard: Path) -> tuple[Link, ...]:
    """Return the chain without a last line whose row was not written; refuse a broken chain."""
    links = _read_lines(leaderboard)
    return links[:-1] if _is_interrupted(leaderboard, links) else links


def drop_interrupted(leaderboard: Path) -> Link | None:
    """Remove and return a last line whose writer was stopped before its row; else return None."""
    # A deleted or restored last row looks the same; only the file's history can tell.
    links = _read_lines(leaderboard)
    if not _is_interrupted(leaderboard, links):
        return None
    _write_lines(leaderboard, links[:-1])
    return links[-1]


def _read_lines(leaderboard: Path) -> tuple[Link, ...]:
    path = leaderboard / DIGESTS_NAME
    data = b""
    if path.exists() or path.is_symlink():
        data = read_regular_file(path, max_bytes=_MAX_DIGESTS_BYTES)
    if not data:
        _check_has_no_rows(leaderboard)
        return ()
    links: list[Link] = []
    before = _START
    # No splitlines: it ends lines where no other reader does.
    lines = data.decode("ascii", "replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        link = None if match is None else Link(*match.groups())
        if link is None or link != _next(before, link.row, link.weights, link.place):
            raise SubmissionError(
                "digests",
                f"line {number} of {DIGESTS_NAME} does not follow from the one before; expected "
                "the lines that `snn-gym verify` wrote; restore the file from its history",
            )
        links.append(link)
        before = link.chain
    return tuple(links)


def _check_has_no_rows(leaderboard: Path) -> None:
    """Refuse rows without a chain, because a new chain would vouch for their content."""
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*.json")):
        if not path.name.startswith("."):  # an unfinished file
            raise SubmissionError(
                "digests",
                f"{leaderboard} has rows under {RESULTS_FOLDER}/ and no line in {DIGESTS_NAME}; "
                "expected a line for each; restore the file from its history, or verify the "
                "submissions again into a new folder",
            )


def _is_interrupted(leaderboard: Path, links: Sequence[Link]) -> bool:
    if not links:
        return False
    last = links[-1]
    earlier = [link for link in links[:-1] if link.place == last.place]
    try:
        row = read_below(leaderboard, last.place, MAX_ROW_BYTES)
    except StorageError as error:
        if error.reason != "missing" or earlier:
            return False  # the reader of the row reports it
        # Without weights, too, it is a package with a part of the table, or both were deleted.
        weights = (leaderboard / last.place).with_suffix(".safetensors")
        return weights.is_file() and not weights.is_symlink()
    return bool(earlier) and last.row != earlier[-1].row == _digest(row)


@contextmanager
def opened_place(leaderboard: Path, place: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of a row's folder, created if ``make``, and its file name; links raise."""
    *folders, name = place.split("/")
    with opened_folder(leaderboard, folders, make=make) as descriptor:
        yield descriptor, name


def read_below(leaderboard: Path, place: str, max_bytes: int) -> bytes:
    """Return the content of a file below a leaderboard; links and larger files raise."""
    with opened_place(leaderboard, place) as (descriptor, name):
        return read_regular_file(name, max_bytes=max_bytes, dir_fd=descriptor)


def weights_place(place: str) -> str:
    """Return the place of a row's weights from the place of its file."""
    return place.removesuffix(".json") + ".safetensors"


def read_linked(leaderboard: Path, link: Link) -> tuple[bytes, bytes]:
    """Return the content of row and weights; refuse other digests than those of their line."""
    row = read_below(leaderboard, link.place, MAX_ROW_BYTES)
    weights = read_below(leaderboard, weights_place(link.place), MAX_WEIGHTS_BYTES)
    _check_digest(link.place, row, link.row)
    _check_digest(weights_place(link.place), weights, link.weights)
    return row, weights


def _check_digest(place: str, data: bytes, expected: str) -> None:
    digest = _digest(data)
    if digest != expected:
        raise SubmissionError(
            "digests",
            f"{place} has the SHA-256 {digest[:16]}…; expected {expected[:16]}…, as in "
            f"{DIGESTS_NAME}; restore it from the history",
        )


def add_link(leaderboard: Path, place: str, row: bytes, weights: bytes) -> None:
    """Add the line of a row that is about to be written; the caller holds the lock."""
    links = read_chain(leaderboard)
    before = links[-1].chain if links else _START
    new = _next(before, _digest(row), _digest(weights), place)
    _write_lines(leaderboard, (*links, new))


def _write_lines(leaderboard: Path, links: Iterable[Link]) -> None:
    lines = (" ".join(vars(link).values()) + "\n" for link in links)
    write_text_atomic(leaderboard / DIGESTS_NAME, "".join(lines))


def _next(before: str, row: str, weights: str, place: str) -> Link:
    return Link(_digest(f"{before} {row} {weights} {place}".encode()), row, weights, place)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
