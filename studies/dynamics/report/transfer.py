"""Section on rules learned on one job and used on another."""

from __future__ import annotations

from studies.dynamics.groups import Group, Groups, Values
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import (
    BEST_PRESET,
    PAPER_PRESET,
    PRETRAINING_RUNS,
    TRANSFER_BUDGET,
    TRANSFER_JUDGEMENTS,
    TRANSFER_SOLVED,
)
from studies.dynamics.statistics import median

REFERENCE = "accept-reject"
PRESETS = (BEST_PRESET, PAPER_PRESET)
ARMS = ("pretrained", "scratch", "untrained")
TARGETS = {
    "same": "Teacher, as it was learned",
    "relabelled": "Teacher, inputs and hidden neurons with other indices",
    "32-hidden": "Teacher, 32 hidden neurons instead of 16",
    "CartPole-v1": "CartPole-v1",
    "Acrobot-v1": "Acrobot-v1",
}


def section(groups: Groups) -> str:
    """Return the section on transfer."""
    solved = ", ".join(
        f"{markdown.number(value)} on {name}" for name, value in TRANSFER_SOLVED.items()
    )
    parts = [
        "## 5. Transfer of a rule",
        f"`pretrained`: learned on the Teacher job, {PRETRAINING_RUNS} fresh networks in a row and "
        f"{TRANSFER_JUDGEMENTS:,} judged networks each, then frozen. `scratch`: learned on the "
        "target only. `untrained`: frozen before it learned anything, so that moves are random; "
        "what moves do not improve is taken back in all three. On the Teacher job the measure is "
        f"the cross-entropy after {TRANSFER_JUDGEMENTS:,} judged networks, on control tasks the "
        f"number of episodes until solved (a mean of 100 episodes of {solved}), of at most "
        f"{TRANSFER_BUDGET.episodes:,} episodes and {TRANSFER_BUDGET.steps:,} steps. Indices are "
        "changed for inputs and hidden neurons: those of hidden neurons alone would change "
        "nothing in a network with fresh weights.",
    ]
    for target, heading in TARGETS.items():
        parts += [
            f"### {heading}",
            _table(groups, target),
            markdown.bullets(sentences(groups, target)),
        ]
    return "\n\n".join(parts)


def sentences(groups: Groups, target: str) -> list[str]:
    """Return what the runs say on the transfer to a target."""
    measure = verdicts.EPISODES if target in TRANSFER_SOLVED else verdicts.CROSS_ENTROPY
    null = costs(target, groups[target, REFERENCE])
    said = []
    for preset in PRESETS:
        values = {arm: costs(target, groups[target, preset, arm]) for arm in ARMS}
        ours = f"{preset}, pretrained"
        for arm in ("scratch", "untrained"):
            other = f"{preset}, {arm}"
            said.append(verdicts.pairwise(ours, values["pretrained"], other, values[arm], measure))
        said.append(verdicts.pairwise(ours, values["pretrained"], REFERENCE, null, measure))
    return said


def costs(target: str, group: Group) -> Values:
    """Return what runs cost: episodes to solve a control task, or cross-entropy."""
    return group.episodes if target in TRANSFER_SOLVED else -group.means


def _table(groups: Groups, target: str) -> str:
    digits = 0 if target in TRANSFER_SOLVED else 3
    rows = []
    cases = [(preset, arm) for preset in PRESETS for arm in ARMS]
    for labels in (*cases, (REFERENCE,)):
        group = groups[(target, *labels)]
        name = f"`{', '.join(labels)}`"
        if not group.results:
            rows.append([name, markdown.MISSING, "no runs yet"])
            continue
        values = costs(target, group)
        shown = markdown.with_interval(median(values), digits)
        if target in TRANSFER_SOLVED:
            shown = f"{shown}, solved {markdown.solved(group)}"
        else:
            shown = f"{shown}, {markdown.count(group)}"
        rows.append([name, shown, markdown.by_seed(group, values, digits)])
    return markdown.table(["rule", "median (95 % interval)", "by seed"], rows)
