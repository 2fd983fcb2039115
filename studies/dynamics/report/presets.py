"""Section on presets of a synapse's features against nulls, on CartPole and the Teacher job."""

from __future__ import annotations

import numpy as np

from snn_gym.learners.settings import PRESET_NAMES
from studies.dynamics.groups import Groups, Values
from studies.dynamics.plan import CARTPOLE, TEACHER
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import (
    BEST_PRESET,
    NULLS,
    PAPER_PRESET,
    PRESETS_BUDGET,
    TEACHER_JUDGEMENTS,
)
from studies.dynamics.statistics import median, superiority

PLAIN_PRESETS = tuple(name for name in PRESET_NAMES if "dynamics" not in name)
REFERENCE = "accept-reject"


def section(groups: Groups) -> str:
    """Return the section on presets."""
    return "\n\n".join(
        [
            "## 1. What synapses see",
            f"### {CARTPOLE}: episodes until solved",
            f"At most {PRESETS_BUDGET.episodes:,} episodes and {PRESETS_BUDGET.steps:,} "
            "environment steps; a run that was not solved by then is a failure, `> budget`. "
            f"“Against {REFERENCE}” is the share of pairs of runs in which the learner needs fewer "
            "episodes (50 %: no difference).",
            _table(groups, CARTPOLE, 0),
            markdown.bullets(_cartpole_sentences(groups)),
            "![Episodes until solved](images/study-presets.png)",
            f"### {TEACHER}: cross-entropy after {TEACHER_JUDGEMENTS:,} judged networks",
            "Mean over the whole set, in nat; “against "
            f"{REFERENCE}” is the share of pairs in which the learner's is lower. On this job "
            "the eligibility is computed from the right answers: agents that follow it are taught, "
            "and the others are not.",
            _table(groups, TEACHER, 3),
            markdown.bullets(_teacher_sentences(groups)),
        ]
    )


def costs(groups: Groups, task: str, name: str) -> Values:
    """Return what a learner's runs cost: episodes to solve CartPole, or cross-entropy."""
    group = groups[task, name]
    return group.episodes if task == CARTPOLE else -group.means


def _table(groups: Groups, task: str, digits: int) -> str:
    what = "median episodes" if task == CARTPOLE else "median"
    header = ["learner", f"{what} (95 % interval)", f"against {REFERENCE}", "by seed"]
    if task == CARTPOLE:
        header[2:2] = ["solved", "median steps"]
    rows = [_row(groups, task, name, digits) for name in (*PRESET_NAMES, *NULLS)]
    return markdown.table(header, rows)


def _row(groups: Groups, task: str, name: str, digits: int) -> list[str]:
    group, values = groups[task, name], costs(groups, task, name)
    if not len(values):
        return [f"`{name}`", *[markdown.MISSING] * (4 if task == CARTPOLE else 2), "no runs yet"]
    reference = costs(groups, task, REFERENCE)
    against = markdown.MISSING
    if name != REFERENCE and len(reference):
        against = markdown.percent(superiority(values, reference))
    row = [f"`{name}`", markdown.with_interval(median(values), digits), against]
    if task == CARTPOLE:
        row[2:2] = [markdown.solved(group), markdown.number(float(np.median(group.steps)))]
    return [*row, markdown.by_seed(group, values, digits)]


def _cartpole_sentences(groups: Groups) -> list[str]:
    paper, best = groups[CARTPOLE, PAPER_PRESET], groups[CARTPOLE, BEST_PRESET]
    reference = groups[CARTPOLE, REFERENCE]
    sentences = []
    if paper.results:
        goal = f"Target: `{PAPER_PRESET}` solves it on at least 9 of 10 seeds; it does on "
        sentences.append(verdicts.target(f"{goal}{paper.solved}", paper.solved >= 9, paper))
    sentences += _comparisons(groups, CARTPOLE, verdicts.EPISODES)
    if best.results and reference.results:
        ours, theirs = median(best.episodes), median(reference.episodes)
        goal = (
            f"Target: the median of `{BEST_PRESET}` ({markdown.number(ours.value)} episodes) is "
            f"not above that of `{REFERENCE}` ({markdown.number(theirs.value)})"
        )
        sentences.append(verdicts.target(goal, ours.value <= theirs.value, best))
    return sentences


def _teacher_sentences(groups: Groups) -> list[str]:
    return _comparisons(groups, TEACHER, verdicts.CROSS_ENTROPY)


def _comparisons(groups: Groups, task: str, measure: verdicts.Measure) -> list[str]:
    values = {name: costs(groups, task, name) for name in (*PRESET_NAMES, *NULLS)}
    plain = {name: values[name] for name in PLAIN_PRESETS if name != PAPER_PRESET}
    claim = "The founding paper's claim that weight and topology are the best state design"
    compare = verdicts.pairwise
    return [
        verdicts.best_of(PAPER_PRESET, values[PAPER_PRESET], plain, measure, claim),
        *(
            compare(f"{name}+dynamics", values[f"{name}+dynamics"], name, values[name], measure)
            for name in PLAIN_PRESETS
        ),
        *(compare(BEST_PRESET, values[BEST_PRESET], name, values[name], measure) for name in NULLS),
    ]
