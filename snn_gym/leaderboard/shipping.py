"""Selection of the rows that the package contains: the median seed of each agent and environment.

This file imports the standard library alone: ``hatch_build.py`` runs it before anything else is
installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

LARGEST_WEIGHTS_BYTES = 100_000
"""Largest weights file that the package contains."""
MOST_BYTES = 3_000_000
"""Limit on all selected files together."""

_DIGESTS = Path("digests.txt")
_PLAN = Path("plan.toml")
_RESULTS = Path("results")


def median_seed(means: Mapping[int, float]) -> int:
    """Return the seed of the median return; of an even number of seeds, the lower middle one."""
    by_return = sorted(means, key=lambda seed: (means[seed], seed))
    return by_return[(len(by_return) - 1) // 2]


def shipped_files(leaderboard: Path, most_bytes: int = MOST_BYTES) -> tuple[Path, ...]:
    """Return paths of the digests, the plan and, smallest first, median rows with their weights.

    Rows stop at ``most_bytes`` together; large weights are left out. Nothing without digests.
    """
    if not (leaderboard / _DIGESTS).is_file():
        return ()
    chosen = [path for path in (_DIGESTS, _PLAN) if (leaderboard / path).is_file()]
    left = most_bytes - sum(_size(leaderboard / path) for path in chosen)
    for row in sorted(_small_medians(leaderboard), key=lambda row: (_size(_weights(row)), row)):
        left -= _size(row) + _size(_weights(row))
        if left < 0:
            break
        chosen += [path.relative_to(leaderboard) for path in (row, _weights(row))]
    return tuple(chosen)


def _small_medians(leaderboard: Path) -> Iterator[Path]:
    for folder in (leaderboard / _RESULTS).glob("*/*"):
        rows = {int(path.stem): json.loads(path.read_bytes()) for path in folder.glob("*.json")}
        means = {seed: row["score"]["mean"] for seed, row in rows.items()}
        if means:
            path = folder / f"{median_seed(means)}.json"
            if _size(_weights(path)) <= LARGEST_WEIGHTS_BYTES:
                yield path


def _weights(row: Path) -> Path:
    return row.with_suffix(".safetensors")


def _size(path: Path) -> int:
    return path.stat().st_size
