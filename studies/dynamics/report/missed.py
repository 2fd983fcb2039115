"""Section on the targets of the study and the attempts to meet them."""

from __future__ import annotations

import numpy as np

from studies.dynamics.plan import CARTPOLE
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.ablation import FULL
from studies.dynamics.report.parts import Study, costs
from studies.dynamics.settings import BEST_PRESET, PAPER_PRESET

REFERENCE = "accept-reject"


def section(study: Study) -> str:
    """Return target, result and attempts."""
    return "\n\n".join(["## The target", *paragraphs(study)])


def paragraphs(study: Study) -> list[str]:
    """Return target, result and attempts; that runs are missing if they are."""
    null = costs(study, CARTPOLE, REFERENCE)
    tried = {
        BEST_PRESET: costs(study, CARTPOLE, BEST_PRESET),
        PAPER_PRESET: costs(study, CARTPOLE, PAPER_PRESET),
        FULL: study["ablation"][CARTPOLE, FULL].episodes,
    }
    found = verdicts.judge({name: [(values, null)] for name, values in tried.items()})
    if found.keys() != tried.keys():
        return ["Runs are missing."]
    medians = {name: markdown.median(values) for name, values in tried.items()}
    paper = study["presets"][CARTPOLE, PAPER_PRESET]
    is_met = np.median(tried[BEST_PRESET]) <= np.median(null)
    return [
        f"The target for `{BEST_PRESET}` was at most as many episodes on CartPole-v1 as "
        f"`{REFERENCE}`, on ten seeds. It needs {medians[BEST_PRESET]} in the median against "
        f"{markdown.median(null)}: **{'met' if is_met else 'missed'}** (fewer in "
        f"{found[BEST_PRESET]}). On all {len(tried[FULL])} seeds of the third question it needs "
        f"{medians[FULL]} (fewer in {found[FULL]}). `{PAPER_PRESET}`, without dynamics, needs "
        f"{medians[PAPER_PRESET]} (fewer in {found[PAPER_PRESET]}).",
        f"A second target, that `{PAPER_PRESET}` solve it on at least 9 of 10 seeds, is "
        f"{'met' if paper.solved >= 9 else 'missed'}: {markdown.solved(paper)}.",
        "Tried on tuning seeds: reward by eligibility, two step sizes, three explorations "
        "([table](../agents/synapse-agents/README.md)). The best setting there was not the best on "
        "the next tuning seeds. Tried on the reported seeds: six masks with dynamics, dynamics off "
        "and shuffled, eight sizes.",
    ]
