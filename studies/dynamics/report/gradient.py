"""Section on PPO with and without regulation by the network's dynamics."""

from __future__ import annotations

import numpy as np

from studies.dynamics.gradient import THRESHOLDS, WINDOW_EPISODES
from studies.dynamics.groups import Groups, shared
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import GRADIENT_STEPS
from studies.dynamics.statistics import Estimate, iqm, mean, paired_difference

ARMS = ("dynamics", "off", "shuffled")
CONTROLS = ("off", "shuffled")
TARGET_TASKS = 2
"""Tasks, of four, on which the dynamics are to be of use."""


def section(groups: Groups) -> str:
    """Return the section on gradient learners."""
    header = [
        "task", "arm", "IQM (95 % interval)", "steps to threshold (95 % interval)",
        "spikes per decision", "mean by seed", "steps to threshold by seed",
    ]  # fmt: skip
    rows = [_row(groups, task, arm) for task in GRADIENT_STEPS for arm in ARMS]
    thresholds = ", ".join(
        f"{markdown.number(THRESHOLDS[task])} on {task}" for task in GRADIENT_STEPS
    )
    steps = ", ".join(f"{count:,} on {task}" for task, count in GRADIENT_STEPS.items())
    return "\n\n".join(
        [
            "## 6. Gradient learners that watch the dynamics",
            "`ppo-lif` without regulation (`off`), with that of `ppo-lif-dynamics` (`dynamics`), "
            "and with the same one whose signals go to other neurons of the layer (`shuffled`). "
            f"Environment steps: {steps}. The threshold is a mean of {WINDOW_EPISODES} training "
            f"episodes of {thresholds}; its steps are averaged over runs, a run that did not get "
            "there counting with all its steps, which is too few. Differences are over seeds, "
            "which are drawn together for both arms.",
            markdown.table(header, rows),
            markdown.bullets(sentences(groups)),
            "![Differences by task](images/study-gradient.png)",
        ]
    )


def differences(groups: Groups, task: str, other: str) -> dict[str, Estimate]:
    """Return the differences ``dynamics`` minus another arm, by their names.

    Args:
        groups: The runs.
        task: The task.
        other: ``off`` or ``shuffled``.

    Returns:
        ``return``: of the IQM over seeds of the mean returns; ``steps``: of the mean steps to the
        threshold. Nothing where runs are missing.
    """
    first, second = groups[task, "dynamics"], groups[task, other]
    means, steps = shared(first, second, "means"), shared(first, second, "steps")
    if not len(means[0]):
        return {}
    limit = GRADIENT_STEPS[task]
    bounded = [np.minimum(values, limit) for values in steps]
    return {
        "return": paired_difference(*means, "iqm"),
        "steps": paired_difference(bounded[0], bounded[1]),
    }


def sentences(groups: Groups) -> list[str]:
    """Return what the runs say on the use of regulation."""
    said, useful, judged = [], [], 0
    for task in GRADIENT_STEPS:
        found = {other: differences(groups, task, other) for other in CONTROLS}
        for other, changes in found.items():
            said += _changes(task, other, changes)
        if all(found.values()):
            judged += 1
            if _is_useful(found["off"], found["shuffled"]):
                useful.append(task)
    names = ", ".join(useful) or "none"
    verdict = "met" if len(useful) >= TARGET_TASKS else "missed"
    first = (
        f"Target: regulation is of use on at least {TARGET_TASKS} of {len(GRADIENT_STEPS)} tasks, "
        "with a higher return or fewer steps to the threshold than without it and than with "
        f"shuffled signals, both intervals excluding 0: **{verdict}**, on {names} of {judged} "
        "tasks judged."
    )
    return [first, *said]


def _is_useful(off: dict[str, Estimate], shuffled: dict[str, Estimate]) -> bool:
    higher = all(found["return"].against(0.0) == "above" for found in (off, shuffled))
    sooner = all(found["steps"].against(0.0) == "below" for found in (off, shuffled))
    return higher or sooner


def _changes(task: str, other: str, changes: dict[str, Estimate]) -> list[str]:
    what = f"{task}, `dynamics` − `{other}`"
    if not changes:
        return [f"{what}: runs are missing."]
    return [
        verdicts.difference(f"{what}, return", changes["return"], 1, higher_is_better=True),
        verdicts.difference(
            f"{what}, steps to threshold", changes["steps"], 0, higher_is_better=False
        ),
    ]


def _row(groups: Groups, task: str, arm: str) -> list[str]:
    group = groups[task, arm]
    if not group.results:
        return [task, f"`{arm}`", *[markdown.MISSING] * 4, "no runs yet"]
    spikes = [result.outcome.spikes_per_decision or 0.0 for result in group.results]
    return [
        task,
        f"`{arm}`",
        f"{markdown.with_interval(iqm(group.scores), 1)}, {markdown.count(group)}",
        markdown.with_interval(mean(np.minimum(group.steps, GRADIENT_STEPS[task]))),
        markdown.number(float(np.mean(spikes)), 1),
        markdown.by_seed(group, group.means, 1),
        markdown.by_seed(group, group.steps),
    ]
