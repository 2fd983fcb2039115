"""Audit of a stored leaderboard: files, digests, scores and table agree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from snn_gym._base.storage import StorageError
from snn_gym.leaderboard.chain import Link, read_chain, read_linked
from snn_gym.leaderboard.manifest import SubmissionError
from snn_gym.leaderboard.rendering import TABLE_NAME, read_table, render_table
from snn_gym.leaderboard.results import (
    Row,
    describe_problem,
    hash_tensors,
    read_row,
    unlisted_files,
)
from snn_gym.leaderboard.retraining import find_parent
from snn_gym.leaderboard.submission import check_curve
from snn_gym.leaderboard.verification import check_claim, check_processor, check_weights
from snn_gym.leaderboard.weights import trained_tensors


def audit(leaderboard: str | os.PathLike[str]) -> tuple[str, ...]:
    """List the differences between a stored leaderboard and its verified state.

    Checks the chain ``digests.txt``, the digests of rows and weights, files without a line, the
    architecture and hashes of weights, aggregates of returns, learning curves, parents of lean
    rows, and, if all these agree, the table README.md. No episode is played. If somebody replaces a
    row and all lines that follow, only the history of the file, as in git, shows it.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        A line for each problem, which names the file; empty if there is none.

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
    problems = list(unlisted_files(leaderboard, links))
    rows: dict[str, Row] = {}
    for place, link in links.items():
        try:
            rows[place] = _read_checked(leaderboard, link)
        except (SubmissionError, StorageError) as error:
            problems.append(describe_problem(link, error))
    known = tuple(rows.values())
    for place, row in rows.items():
        try:
            find_parent(leaderboard, row, known)
        except SubmissionError as error:
            problems.append(describe_problem(links[place], error))
    return tuple(problems or _table_problem(leaderboard))


def _read_checked(leaderboard: Path, link: Link) -> Row:
    data, weights = read_linked(leaderboard, link)
    row = read_row(leaderboard, leaderboard / link.place, data)
    check_claim(row.score, len(row.lengths))
    check_curve(row)
    check_processor(row, whole=False)
    if row.hidden is not None:
        check_claim(row.hidden.score, len(row.lengths))
    trained = trained_tensors(check_weights(weights, row), row.agent, row.environment)
    for name, stored, actual in (
        ("content_sha256", row.content_sha256, hash_tensors(trained)),
        ("parameters", row.parameters, sum(x.numel() for x in trained.values())),
    ):
        if stored != actual:
            raise SubmissionError(
                "row-weights",
                f"{name} is {stored}, but that of its weights is {actual}; submit the run again",
            )
    return row


def _table_problem(leaderboard: Path) -> Iterator[str]:
    try:
        text = render_table(leaderboard)
        written = read_table(leaderboard / TABLE_NAME)
    except ValueError as error:  # StorageError included
        yield str(error)
        return
    if written is not None and written != text.encode():
        yield f"{TABLE_NAME} is not the table of the rows; write it with `snn-gym table`"
