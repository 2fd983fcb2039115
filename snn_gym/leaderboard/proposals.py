"""Trial verification on a copy of a leaderboard: `python -m snn_gym.leaderboard.proposals`.

It reports the outcome of `snn-gym verify` for each submission, without a
permanent row, so that a workflow can run it on a pull request from a stranger.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import typer

from snn_gym._base.config import to_mapping
from snn_gym._base.names import printable, without_controls
from snn_gym.leaderboard.manifest import SubmissionError
from snn_gym.leaderboard.reevaluation import retrain_row
from snn_gym.leaderboard.rendering import render_line
from snn_gym.leaderboard.rerun import VerificationSettings
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.verification import verify

RETRAINING_CPU_SECONDS = 30 * 60
"""Processor time limit for training a submission again."""


def try_proposals(
    submissions: str | os.PathLike[str],
    leaderboard: str | os.PathLike[str],
    scratch: str | os.PathLike[str],
    settings: VerificationSettings | None = None,
    *,
    cpu_seconds: int = RETRAINING_CPU_SECONDS,
) -> Iterator[str]:
    """Verify every submission of a folder on a copy of a leaderboard, made at ``scratch``.

    Each is also trained again, unless that takes more than ``cpu_seconds``. Yields texts to print:
    report and table line of each, or its refusal; last a summary.

    Raises:
        SubmissionError: ``proposals``, after the summary, if a submission was refused.
    """
    settings = settings or VerificationSettings()
    scratch = Path(shutil.copytree(leaderboard, scratch))
    folders = sorted(Path(submissions).iterdir()) if Path(submissions).is_dir() else []
    refused = []
    for folder in folders:
        shown = printable(str(folder))
        try:
            row = verify(folder, scratch, settings)
            again = _train_again(scratch, row, settings, cpu_seconds)
        except SubmissionError as error:
            refused.append(printable(folder.name))
            yield f"{shown}: refused: {error}"
            continue
        yield f"{shown}: verified, {again}; re-run {settings.describe()}\n\n{_shown(row)}\n"
        yield render_line(scratch, row)
    yield f"submissions in {submissions}: {len(folders)}, refused {len(refused)}"
    if refused:
        raise SubmissionError("proposals", f"refused: {', '.join(refused)}; see the lines above")


def _train_again(scratch: Path, row: Row, settings: VerificationSettings, cpu_seconds: int) -> str:
    """Train a new row again; return in words that it holds or the time was up, else refuse it."""
    with tempfile.TemporaryDirectory(prefix="snn-gym-proposal-") as temporary:
        # In another process, which the kernel can end at any point.
        process = multiprocessing.get_context("spawn").Process(
            target=_retrain, args=(scratch, row, settings, cpu_seconds, temporary)
        )
        process.start()
        process.join()
    if process.exitcode == 0:
        return "trained again"
    if process.exitcode == -signal.SIGXCPU:
        return f"not trained again, as that takes more than {cpu_seconds:,} s of processor time"
    raise SubmissionError(
        "retraining", f"training it again ended with status {process.exitcode}; see the line above"
    )


def _retrain(
    scratch: Path, row: Row, settings: VerificationSettings, cpu_seconds: int, temporary: str
) -> None:
    # A soft limit ends this process with SIGXCPU; the checkpoints go with the folder.
    for resource_id, limit in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, settings.memory_bytes),
    ):
        _, hard = resource.getrlimit(resource_id)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource_id, (allowed, hard))
    tempfile.tempdir = temporary
    sys.exit(retrain_row(scratch, row, settings.seeds).problem)


def _shown(row: Row) -> str:
    """Return a row as JSON without the values of each episode."""
    fields = to_mapping(row)
    del fields["lengths"], fields["score"]["returns"]
    return json.dumps(fields, indent=2)


def main() -> int:
    """Print reports on the submissions of the command line; return 0, or 2 after a refusal."""
    parser = argparse.ArgumentParser(description="Verify submissions beside a leaderboard.")
    parser.add_argument("submissions", help="folder whose entries are submissions")
    parser.add_argument("leaderboard", help="folder of the leaderboard")
    parser.add_argument("scratch", help="folder to make: a copy with the new rows")
    arguments = vars(parser.parse_args())
    try:
        for text in try_proposals(**arguments):
            typer.echo(without_controls(text))
    except (ValueError, OSError) as error:
        typer.echo(without_controls(str(error)), err=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
