"""Outcomes made by hand, and tasks of a moment."""

from __future__ import annotations

import dataclasses

from studies.lean import plan, runner
from studies.lean.outcome import Outcome
from studies.lean.plan import Task
from studies.lean.report import write_report


@dataclasses.dataclass(frozen=True)
class ShortTask(Task):
    """A task whose budget is a few rollouts."""

    budget: int | None = 2048


def shorten(monkeypatch, **settings):
    """Give every arm settings of a few updates, and a checkpoint after each rollout."""
    arms = {arm: x if x is None else {**x, **settings} for arm, x in plan.ARMS.items()}
    for module in (plan, runner):
        monkeypatch.setattr(module, "ARMS", arms)
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)


def made_outcome(arm, seed, mean, **changes):
    """Return an outcome of 100 SynOps of hidden spikes, 10 MACs and 90 updates of neurons."""
    outcome = Outcome(
        task="CartPole-v1", arm=arm, seed=seed, agent="ppo-lif", steps=1, branched_at=0,
        settings={}, begun_at=0.5, last_bound=0.02, returns=(mean,), mean=mean,
        synops={"hidden_1": 100.0}, macs=10.0, neuron_updates=90.0, seconds=1.0, version="0",
    )  # fmt: skip
    return dataclasses.replace(outcome, **changes)


def cells_of(text, first):
    """Return the first row of a text's tables with that first cell, by the heads of its columns."""
    head = []
    for line in text.splitlines():
        cells = line[2:-2].split(" | ") if line.startswith("|") else []
        if cells and cells[0] == first:
            return dict(zip(head, cells, strict=True))
        head = (head or cells) if cells else []
    raise AssertionError(f"no row of {first}")


def report_text(results, docs):
    """Return the text of all pages that a report of these results has."""
    return "\n".join(page.read_text(encoding="utf-8") for page in write_report(results, docs))
