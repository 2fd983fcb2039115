"""Fifth answer: transfer of a learned rule to other jobs."""

from __future__ import annotations

import itertools
from math import comb

from studies.dynamics.groups import Groups, Values
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer
from studies.dynamics.settings import (
    BEST_PRESET,
    NULLS,
    PAPER_PRESET,
    PRETRAINING_RUNS,
    TRANSFER_BUDGET,
    TRANSFER_JUDGEMENTS,
    TRANSFER_SOLVED,
)
from studies.statistics import SIGNIFICANT

REFERENCE = "accept-reject"
ARMS = ("pretrained", "scratch", "untrained")
RULES = (*((preset, arm) for preset in (BEST_PRESET, PAPER_PRESET) for arm in ARMS), (REFERENCE,))
TARGETS = {
    "same": "Teacher",
    "relabelled": "other indices",
    "32-hidden": "32 hidden neurons",
    "CartPole-v1": "CartPole-v1",
    "Acrobot-v1": "Acrobot-v1",
}
Verdicts = dict[tuple[str, str, str], verdicts.Verdict]
"""Verdicts by target, mask and the rule compared with the learned one."""


def section(study: Study) -> str:
    """Return the answer."""
    groups = study["transfer"]
    others = [name for name in NULLS if name != REFERENCE]
    return answer(
        "5. Is a learned rule of use elsewhere?",
        sentence(groups, judged(groups)),
        ("transfer", "Rules that were learned on the Teacher job, on others"),
        ["rule", *TARGETS.values()],
        [*(_row(groups, rule) for rule in RULES), markdown.not_run(others, len(TARGETS))],
        f"`pretrained` rules were learned on the Teacher job, on {PRETRAINING_RUNS} networks in a "
        "row, and frozen. `scratch` rules were learned on the target alone. `untrained` rules were "
        "frozen at the start.",
        f"Teacher cells are cross-entropies in nat after {TRANSFER_JUDGEMENTS:,} judged networks: "
        "on the same job, with permuted indices of inputs and hidden neurons, and with more hidden "
        "neurons. Control cells are episodes until CartPole-v1 (475) and Acrobot-v1 (−100) are "
        f"solved, of at most {TRANSFER_BUDGET.episodes:,}. [Learning on line](local-study.md) "
        "reports the loss of agents when half of their neurons are deleted.",
    )


def judged(groups: Groups) -> Verdicts:
    """Compare every rule that was learned with the others, on every target."""
    compared: dict[tuple[str, str, str], verdicts.Strata] = {}
    for target in TARGETS:
        for preset in (BEST_PRESET, PAPER_PRESET):
            ours = costs(groups, target, (preset, "pretrained"))
            for other in (*ARMS[1:], REFERENCE):
                labels = (other,) if other == REFERENCE else (preset, other)
                compared[target, preset, other] = [(ours, costs(groups, target, labels))]
    return verdicts.judge(compared)


def sentence(groups: Groups, comparisons: Verdicts) -> str:
    """Return the verdict on transfer."""
    most = max((len(group.results) for group in groups.values()), default=0)
    if not comparisons:
        return "Not known: runs are missing."
    if 2 / comb(2 * most, most) > SIGNIFICANT:
        runs = "is one run" if most == 1 else f"are {most} runs"
        return f"Not known: there {runs} of each, too few for any test."
    said = [_said(comparisons, preset) for preset in (BEST_PRESET, PAPER_PRESET)]
    if not any(said):
        return f"None of {len(comparisons)} comparisons of a learned rule is significant."
    return " ".join(f"The learned rule of {text}." for text in said if text)


def _said(comparisons: Verdicts, preset: str) -> str:
    """Return the rules that a mask's learned rule is better and worse than, and where."""
    said: dict[tuple[str, str], list[str]] = {}
    for side, other in itertools.product(("better", "worse"), (*ARMS[1:], REFERENCE)):
        where = [
            TARGETS[target]
            for (target, mask, rival), verdict in comparisons.items()
            if (mask, rival, verdict.side) == (preset, other, side)
        ]
        if where:
            said.setdefault((side, ", ".join(where)), []).append(f"`{other}`")
    parts = (f"{side} than {' and '.join(others)} ({at})" for (side, at), others in said.items())
    return f"`{preset}` is {', '.join(parts)}" if said else ""


def costs(groups: Groups, target: str, labels: tuple[str, ...]) -> Values:
    """Return the cost of runs: episodes to solve a control task, or cross-entropy in nat."""
    group = groups[(target, *labels)]
    return group.episodes if target in TRANSFER_SOLVED else -group.means


def _row(groups: Groups, labels: tuple[str, ...]) -> list[str]:
    return [
        f"`{', '.join(labels)}`",
        *(
            markdown.spread(costs(groups, target, labels), 0 if target in TRANSFER_SOLVED else 3)
            for target in TARGETS
        ),
    ]
