"""Whether a stored leaderboard is what was verified: files, digests, scores and table agree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from snn_gym.scoring.architecture import trained_tensors
from snn_gym.scoring.chain import DIGESTS_NAME, Link, read_chain
from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.manifest import MAX_ROW_BYTES, MAX_WEIGHTS_BYTES
from snn_gym.scoring.results import RESULTS_FOLDER, Row, hash_tensors, read_row
from snn_gym.scoring.table import TABLE_NAME, render_table
from snn_gym.scoring.verification import check_claim, check_weights
from snn_gym.storage import StorageError, read_regular_file

_HISTORY = "restore it from the history"


def audit(leaderboard: str | os.PathLike[str]) -> tuple[str, ...]:
    """Say what of a stored leaderboard is not as it was verified.

    Every row and its weights have the digests of their last line in ``digests.txt``, and every line
    follows from the one before; there are no other files; weights fit the architecture that the row
    names and have its hashes; aggregates follow from the returns; README.md is the table of the
    rows. No episode is played. Who writes a row and all lines from its own on anew is seen only
    where the file's history is known, as in git.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        A line for each problem, which names the file; none where all agrees.

    Raises:
        ValueError: The folder is missing.
    """
    leaderboard = Path(leaderboard)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    problems = [] if not (chain := _chain_problem(leaderboard)) else [chain]
    links = () if problems else read_chain(leaderboard)
    known = {link.place: link for link in links}
    if not problems:
        problems += _strangers(leaderboard, known)
    for link in known.values():
        if problem := _row_problem(leaderboard, link):
            problems.append(problem)
    if not problems:
        problems += _table_problem(leaderboard)
    return tuple(problems)


def _chain_problem(leaderboard: Path) -> str | None:
    try:
        read_chain(leaderboard)
    except (SubmissionError, StorageError) as error:
        return str(error)
    return None


def _strangers(leaderboard: Path, known: dict[str, Link]) -> Iterator[str]:
    """Name the files that no line of the chain accounts for."""
    expected = {Path(place).with_suffix(x) for place in known for x in (".json", ".safetensors")}
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*")):
        relative = path.relative_to(leaderboard)
        if relative not in expected and (path.is_symlink() or not path.is_dir()):
            yield (
                f"{relative.as_posix()} is not in {DIGESTS_NAME}; expected only what `snn-gym "
                "verify` wrote; remove it and verify its submission"
            )


def _row_problem(leaderboard: Path, link: Link) -> str | None:
    """Return what is wrong with a row and its weights, None if nothing is."""
    row_file = leaderboard / link.place
    weights_file = row_file.with_suffix(".safetensors")
    try:
        data = _same(leaderboard, row_file, link.row, MAX_ROW_BYTES)
        weights = _same(leaderboard, weights_file, link.weights, MAX_WEIGHTS_BYTES)
        _check_row(read_row(leaderboard, row_file, data), weights)
    except (SubmissionError, StorageError) as error:
        text = str(error)
        return text if link.place.removesuffix(".json") in text else f"{link.place}: {text}"
    return None


def _same(leaderboard: Path, path: Path, digest: str, max_bytes: int) -> bytes:
    """Return the content of a file that has a known digest."""
    data = read_regular_file(path, max_bytes=max_bytes)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise SubmissionError(
            "digests",
            f"{path.relative_to(leaderboard).as_posix()} has the SHA-256 {found[:16]}…; expected "
            f"{digest[:16]}…, as in {DIGESTS_NAME}; {_HISTORY}",
        )
    return data


def _check_row(row: Row, weights: bytes) -> None:
    check_claim(row.score, len(row.lengths))
    trained = trained_tensors(check_weights(weights, row), row.agent, row.environment)
    for name, stored, found in (
        ("content_sha256", row.content_sha256, hash_tensors(trained)),
        ("parameters", row.parameters, sum(x.numel() for x in trained.values())),
    ):
        if stored != found:
            raise SubmissionError(
                "row-weights", f"{name} is {stored}, but that of its weights is {found}; {_HISTORY}"
            )


def _table_problem(leaderboard: Path) -> Iterator[str]:
    path = leaderboard / TABLE_NAME
    try:
        text = render_table(leaderboard)
    except ValueError as error:
        yield str(error)
        return
    if path.exists() and path.read_text(encoding="utf-8") != text:
        yield f"{TABLE_NAME} is not the table of the rows; write it with `snn-gym table`"
