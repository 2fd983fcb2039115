"""The log of the study: a line for each run."""

from __future__ import annotations

import csv
import io

from studies.dynamics.outcome import Result
from studies.dynamics.report.parts import Study

FIELDS = (
    "part", "case", "seed", "version", "reward", "exploration", "solved_episodes", "solved_steps",
    "episodes", "steps", "mean", "iqm",
)  # fmt: skip


def log(study: Study) -> str:
    """Return all runs as comma-separated values, in the order of the plan.

    A cell is empty where a run has no such value: of a run that was not solved, or a learner that
    is no synapse agent. Means are of the 100 public episodes, or minus the cross-entropy in nat.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for groups in study.values():
        for group in groups.values():
            writer.writerows(_line(result) for result in group.results)
    return text.getvalue()


def _line(result: Result) -> dict[str, object]:
    chosen, outcome = result.settings.get("hyperparameters", {}), result.outcome
    return {
        "part": result.part,
        "case": "/".join(result.case),
        "seed": result.seed,
        "version": result.version,
        "reward": chosen.get("reward"),
        "exploration": chosen.get("exploration"),
        "solved_episodes": outcome.solved_episodes,
        "solved_steps": outcome.solved_steps,
        "episodes": outcome.episodes,
        "steps": outcome.steps,
        "mean": f"{result.mean:.6g}",
        "iqm": f"{result.iqm:.6g}",
    }
