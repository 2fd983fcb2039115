"""Whether a stored leaderboard is what was verified: files, digests, scores and table agree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from snn_gym._base.storage import StorageError
from snn_gym.leaderboard.chain import Link, read_chain, read_linked
from snn_gym.leaderboard.manifest import SubmissionError
from snn_gym.leaderboard.rendering import TABLE_NAME, read_table, render_table
from snn_gym.leaderboard.results import Row, hash_tensors, named, read_row, strangers
from snn_gym.leaderboard.retraining import find_parent
from snn_gym.leaderboard.submission import check_curve
from snn_gym.leaderboard.verification import check_claim, check_processor, check_weights
from snn_gym.leaderboard.weights import trained_tensors


def audit(leaderboard: str | os.PathLike[str]) -> tuple[str, ...]:
    """Say what of a stored leaderboard is not as it was verified.

    Every row and its weights have the digests of their last line in ``digests.txt``, and every line
    follows from the one before; there are no other files; weights fit the architecture that the row
    names and have its hashes; aggregates follow from the returns; the parents of rows that were
    made lean are rows with their seeds; README.md is the table of the rows. No episode is played.
    Who writes a row and all lines from its own on anew is seen only where the file's history is
    known, as in git.

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
    try:
        links = {link.place: link for link in read_chain(leaderboard)}
    except (SubmissionError, StorageError) as error:
        return (str(error),)
    problems = list(strangers(leaderboard, links))
    rows: dict[str, Row] = {}
    for place, link in links.items():
        try:
            rows[place] = _read_checked(leaderboard, link)
        except (SubmissionError, StorageError) as error:
            problems.append(named(link, error))
    known = tuple(rows.values())
    for place, row in rows.items():
        try:
            find_parent(leaderboard, row, known)
        except SubmissionError as error:
            problems.append(named(links[place], error))
    return tuple(problems or _table_problem(leaderboard))


def _read_checked(leaderboard: Path, link: Link) -> Row:
    """Return a row; raise what is wrong with it or its weights."""
    data, weights = read_linked(leaderboard, link)
    row = read_row(leaderboard, leaderboard / link.place, data)
    _check_row(row, weights)
    return row


def _check_row(row: Row, weights: bytes) -> None:
    check_claim(row.score, len(row.lengths))
    check_curve(row)
    check_processor(row, whole=False)
    if row.hidden is not None:
        check_claim(row.hidden.score, len(row.lengths))
    trained = trained_tensors(check_weights(weights, row), row.agent, row.environment)
    for name, stored, found in (
        ("content_sha256", row.content_sha256, hash_tensors(trained)),
        ("parameters", row.parameters, sum(x.numel() for x in trained.values())),
    ):
        if stored != found:
            raise SubmissionError(
                "row-weights",
                f"{name} is {stored}, but that of its weights is {found}; submit the run again",
            )


def _table_problem(leaderboard: Path) -> Iterator[str]:
    path = leaderboard / TABLE_NAME
    try:
        text = render_table(leaderboard)
    except ValueError as error:
        yield str(error)
        return
    try:
        written = read_table(path)
    except StorageError as error:
        yield str(error)
        return
    if written is not None and written != text.encode():
        yield f"{TABLE_NAME} is not the table of the rows; write it with `snn-gym table`"
