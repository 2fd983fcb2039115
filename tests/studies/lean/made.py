"""Outcomes made by hand, and tasks of a moment."""

from __future__ import annotations

import dataclasses
from typing import Any

from studies.lean.outcome import Outcome
from studies.lean.plan import Task


@dataclasses.dataclass(frozen=True)
class ShortTask(Task):
    """A task whose budget is a few rollouts."""

    budget: int | None = 2048


def made_outcome(arm: str, seed: int, mean: float, **changes: Any) -> Outcome:
    """Return an outcome of 100 SynOps of hidden spikes, 10 MACs and 90 updates of neurons."""
    outcome = Outcome(
        task="CartPole-v1", arm=arm, seed=seed, agent="ppo-lif", steps=1, branched_at=0,
        settings={}, begun_at=0.5, last_bound=0.02, returns=(mean,), mean=mean,
        synops={"hidden_1": 100.0}, macs=10.0, neuron_updates=90.0, seconds=1.0, version="0",
    )  # fmt: skip
    return dataclasses.replace(outcome, **changes)


def cells_of(text: str, first: str) -> dict[str, str]:
    """Return a row of a text's only table, found by its first cell, by the heads of its columns."""
    rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("|")]
    return next(dict(zip(rows[0], row, strict=True)) for row in rows if row[0] == first)
