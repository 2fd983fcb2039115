"""Choose the fixed strength of the cost that saves most, for each task on seeds of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snn_gym._base.storage import write_text_atomic
from studies.lean.outcome import Outcome, outcome_path, read_outcome
from studies.lean.plan import CHOICES, LEAN, OFF, TRIED, TUNING_SEEDS, Task, read_choices
from studies.lean.runner import Report, run_seed


def choose_strength(
    task: Task, tuning: Path, scratch: Path, report: Report, choices: Path = CHOICES
) -> float:
    """Try all strengths of a task, and write down the best."""
    arms = (OFF, LEAN, *TRIED)
    for seed in TUNING_SEEDS:
        run_seed(task, seed, arms, tuning, scratch, report)
    found = {
        arm: [
            read_outcome(outcome_path(tuning, task.env_id, task.label(arm), seed))
            for seed in TUNING_SEEDS
        ]
        for arm in arms
    }
    best = best_strength(task, found[OFF], {x: found[arm] for arm, x in TRIED.items()})
    chosen = {**read_choices(choices), task.env_id: best}
    write_text_atomic(choices, json.dumps(chosen, indent=2, sort_keys=True) + "\n")
    return best


def best_strength(
    task: Task, off: Sequence[Outcome], tried: Mapping[float, Sequence[Outcome]]
) -> float:
    """Return the strength of the fewest SynOps, of those whose mean return is no loss."""
    least = _mean_return(off) - task.allowed_loss
    keeping = [x for x, outcomes in tried.items() if _mean_return(outcomes) >= least]
    if not keeping:
        return max(tried, key=lambda x: _mean_return(tried[x]))
    return min(keeping, key=lambda x: np.mean([run.log_synops for run in tried[x]]))


def _mean_return(outcomes: Sequence[Outcome]) -> float:
    return float(np.mean([x.mean for x in outcomes]))
