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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snn_gym._base.storage import StorageError, opened_folder, read_regular_file, write_text_atomic
from snn_gym.leaderboard.manifest import MAX_ROW_BYTES, MAX_WEIGHTS_BYTES, SubmissionError

DIGESTS_NAME = "digests.txt"
RESULTS_FOLDER = "results"
_MAX_DIGESTS_BYTES = 64 * 1024 * 1024
_NOTHING = "0" * 64  # before the first line
# Names have the lengths that manifests allow; an id's slash becomes two underscores.
_LINE = re.compile(
    r"([0-9a-f]{64}) ([0-9a-f]{64}) ([0-9a-f]{64}) "
    r"(results/[a-z0-9-]{1,64}/[A-Za-z0-9_-]{1,65}/(?:0|[1-9][0-9]{0,8})\.json)"
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
        leaderboard: Folder of the leaderboard; one without rows has no lines.

    Returns:
        Its lines, without the last one where its writer was stopped before the row was
        there: the next writer takes it off.

    Raises:
        SubmissionError: ``digests``: a line was changed, left out or put in, or there are rows and
            no line.
        StorageError: The file is no regular file of a sensible size.
    """
    links = _read_lines(leaderboard)
    return links[:-1] if _is_interrupted(leaderboard, links) else links


def drop_interrupted(leaderboard: Path) -> Link | None:
    """Take the last line off if its row is not there: its writer was stopped between the two.

    Who puts an earlier file of the last row back, or deletes the last row, is taken for that;
    without the last line that would be whole, too, and only the history of the file tells either.

    Args:
        leaderboard: Folder of the leaderboard; the caller holds its lock.

    Returns:
        That line, None where nothing was interrupted.

    Raises:
        SubmissionError: As in ``read_chain``.
        StorageError: As in ``read_chain``.
    """
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
    before = _NOTHING
    # No splitlines: it ends lines where no other reader does.
    lines = data.decode("ascii", "replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
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
    return tuple(links)


def _check_has_no_rows(leaderboard: Path) -> None:
    """Refuse rows without a chain: one that began with them would vouch for whatever they say."""
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*.json")):
        if not path.name.startswith("."):  # a file that was never finished
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
            return False  # said where the row is read
        # Neither: a package with a part of the table, or both were deleted.
        weights = (leaderboard / last.place).with_suffix(".safetensors")
        return weights.is_file() and not weights.is_symlink()
    return bool(earlier) and last.row != earlier[-1].row == _digest(row)


@contextmanager
def opened_place(leaderboard: Path, place: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the folder of a row as a descriptor, and the name of the row's file there.

    Args:
        leaderboard: Folder of the leaderboard.
        place: The row's file, as seen from there, with slashes.
        make: Whether to make the folders that are missing.

    Raises:
        StorageError: A folder on the way is missing, a link, or no folder.
    """
    *folders, name = place.split("/")
    with opened_folder(leaderboard, folders, make=make) as descriptor:
        yield descriptor, name


def read_below(leaderboard: Path, place: str, max_bytes: int) -> bytes:
    """Return the content of a file below a leaderboard, following no link on the way.

    Args:
        leaderboard: Folder of the leaderboard.
        place: The file, as seen from there, with slashes.
        max_bytes: Largest accepted size in bytes.

    Raises:
        StorageError: It is missing, no regular file of such a size, or behind a link.
    """
    with opened_place(leaderboard, place) as (descriptor, name):
        return read_regular_file(name, max_bytes=max_bytes, dir_fd=descriptor)


def weights_place(place: str) -> str:
    """Return where the weights of a row lie.

    Args:
        place: The row's file, as seen from the leaderboard.
    """
    return place.removesuffix(".json") + ".safetensors"


def read_linked(leaderboard: Path, link: Link) -> tuple[bytes, bytes]:
    """Return the row and the weights of a line, if they are what it says.

    Args:
        leaderboard: Folder of the leaderboard.
        link: Last line of the row.

    Raises:
        SubmissionError: ``digests``: one of them is another file.
        StorageError: One of them is missing, or no regular file of a sensible size.
    """
    return (
        _same(leaderboard, link.place, link.row, MAX_ROW_BYTES),
        _same(leaderboard, weights_place(link.place), link.weights, MAX_WEIGHTS_BYTES),
    )


def _same(leaderboard: Path, place: str, digest: str, max_bytes: int) -> bytes:
    data = read_below(leaderboard, place, max_bytes)
    found = _digest(data)
    if found != digest:
        raise SubmissionError(
            "digests",
            f"{place} has the SHA-256 {found[:16]}…; expected {digest[:16]}…, as in "
            f"{DIGESTS_NAME}; restore it from the history",
        )
    return data


def add_link(leaderboard: Path, place: str, row: bytes, weights: bytes) -> None:
    """Add a row that is about to be written; the caller holds the leaderboard's lock.

    A leaderboard without rows gets its chain.

    Args:
        leaderboard: Folder of the leaderboard.
        place: The row's file, as seen from there, with slashes.
        row: Its content.
        weights: Content of its weights' file.

    Raises:
        SubmissionError: The chain is broken, or there are rows and none.
    """
    links = read_chain(leaderboard)
    before = links[-1].chain if links else _NOTHING
    new = _next(before, _digest(row), _digest(weights), place)
    _write_lines(leaderboard, (*links, new))


def _write_lines(leaderboard: Path, links: Iterable[Link]) -> None:
    write_text_atomic(leaderboard / DIGESTS_NAME, "".join(link.line for link in links))


def _next(before: str, row: str, weights: str, place: str) -> Link:
    return Link(_digest(f"{before} {row} {weights} {place}".encode()), row, weights, place)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
