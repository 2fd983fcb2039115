"""Measured instructions of a decision, from a file of the leaderboard."""

from __future__ import annotations

import csv
from pathlib import Path

from snn_gym._base.storage import read_regular_file

INSTRUCTIONS_NAME = "instructions.csv"
_COLUMNS = ["weights_sha256", "target", "instructions"]
_MAX_BYTES = 16 << 20


def read_instructions(leaderboard: str | Path) -> dict[tuple[str, str], float]:
    """Return the instructions of a decision by weights' SHA-256 and target.

    Targets are ``snn_gym.program.prices.MEASURED``. Empty without a file ``instructions.csv``.

    Raises:
        ValueError: The file has other columns, or a line holds no number.
    """
    path = Path(leaderboard) / INSTRUCTIONS_NAME
    if not path.exists():
        return {}
    lines = read_regular_file(path, max_bytes=_MAX_BYTES).decode("ascii").splitlines()
    head, *rows = csv.reader(lines)
    if head != _COLUMNS:
        raise ValueError(f"{path} has the columns {head}, expected {_COLUMNS}")
    return {(digest, target): float(number) for digest, target, number in rows}
