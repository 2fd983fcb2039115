"""Rows of the results table that a page was measured from, and whether they are still the same.

A study that reads rows keeps beside its numbers a file NAME.rows: a digest of each row, of its
weights and returns. A page whose rows have changed since is stale: its command measures it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.results import Row, find_row, list_rows

ROOT = Path(__file__).parents[1]
LEADERBOARD = ROOT / "leaderboard"
_DIGITS = 16


class RowName(NamedTuple):
    """Agent, environment and training seed of a row."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    seed: int
    """Training seed."""


class Source(NamedTuple):
    """Place of a page's digests, and the command that measures the page again."""

    rows: str
    """File of the digests, from the root of the checkout."""
    command: str
    """Command that measures and writes the page."""


SOURCES: Mapping[str, tuple[Source, ...]] = MappingProxyType(
    {
        "faults": (Source("studies/faults/report.rows", "studies.faults run"),),
        "local-study": (
            Source("studies/local/adaptation.rows", "studies.local run --only adaptation"),
        ),
        "eprop-study": (Source("studies/eprop/report.rows", "studies.eprop report"),),
    }
)
"""Sources of the pages that quote rows, by the name of the page in docs/."""


def row_digest(row: Row) -> str:
    """Return a digest of a row's weights and returns; its costs may be counted in another way."""
    content = json.dumps([row.weights_sha256, row.score.returns])
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]


def record_rows(
    path: Path, names: Iterable[RowName | Row], leaderboard: Path = LEADERBOARD
) -> None:
    """Write the digests of rows, sorted by their names."""
    known = {RowName(x.agent, x.environment, x.seed) for x in names}
    lines = [f"{_digest_of(name, leaderboard)} {_text(name)}\n" for name in sorted(known)]
    write_text_atomic(path, "".join(lines))


def moved_rows(path: Path, leaderboard: Path = LEADERBOARD) -> list[RowName]:
    """Return the recorded rows that are gone or have other weights or returns today."""
    recorded = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())
    pairs = [(digest, _name(text)) for digest, text in recorded]
    return [name for digest, name in pairs if _digest_of(name, leaderboard) != digest]


def _text(name: RowName) -> str:
    return f"{name.agent}|{name.environment}|{name.seed}"


def _name(text: str) -> RowName:
    agent, environment, seed = text.split("|")
    return RowName(agent, environment, int(seed))


def _digest_of(name: RowName, leaderboard: Path) -> str | None:
    row = find_row(list_rows(leaderboard), *name)
    return None if row is None else row_digest(row)
