"""Cheapest rivals of a pilot: small ANNs that rows of the table taught."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from snn_gym._base.config import Config, from_mapping

RIVALS = Path(__file__).parent / "rivals.toml"


@dataclass(frozen=True)
class Rival(Config):
    """A small ANN that keeps the return of the rows that taught it."""

    environment: str
    """Gymnasium id."""
    network: str
    """Its hidden layers, in words."""
    operations: int
    """Operations of a decision: multiply-accumulates and updates of hidden units."""


def read_rivals(path: Path = RIVALS) -> tuple[Rival, ...]:
    """Read all rivals, in the order of the file."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["rival"]
    return tuple(from_mapping(Rival, entry, str(path)) for entry in entries)


def rival_of(env_id: str) -> Rival | None:
    """Return a task's rival, None where none is known."""
    return next((rival for rival in read_rivals() if rival.environment == env_id), None)
