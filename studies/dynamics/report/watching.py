"""Second answer: whether it helps a synapse to see the dynamics, without a teacher and with one."""

from __future__ import annotations

from collections.abc import Mapping

from studies.dynamics.plan import CARTPOLE, TEACHER
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer, costs
from studies.dynamics.report.seen import PLAIN_PRESETS
from studies.dynamics.settings import NULLS, TEACHER_JUDGEMENTS

POOLED = "all masks"
_DIGITS = {CARTPOLE: 0, TEACHER: 4}
Verdicts = Mapping[tuple[str, str], verdicts.Verdict]
"""Verdicts by task and mask, or ``POOLED``."""


def section(study: Study) -> str:
    """Return the answer."""
    comparisons = judged(study)
    pooled = [POOLED]
    for task in _DIGITS:
        pooled += [markdown.MISSING] * 2 + verdicts.cells(comparisons, (task, POOLED))
    rows = [_row(study, comparisons, name) for name in PLAIN_PRESETS]
    nulls = [_null(study, name) for name in NULLS]
    heads = [(f"{task}: without", "with", "with is better", "p") for task in _DIGITS]
    return answer(
        "2. Does it help a synapse to see the dynamics?",
        sentence(comparisons),
        ("watching", "Agents with dynamics and without, on CartPole-v1 and with a teacher"),
        ["mask", *(cell for head in heads for cell in head)],
        [*rows, pooled, *nulls],
        "Cells are medians, with the number of runs in brackets: episodes until CartPole-v1 is "
        f"solved, or cross-entropy in nat on the Teacher job after {TEACHER_JUDGEMENTS:,} judged "
        "networks. The Teacher job is to sort 200 points as a perceptron does. Its eligibility, "
        "which agents with dynamics see and are rewarded for, comes from the right answers. So "
        "these agents are taught, and all others are not. **No pair here is equal**: exploration "
        "and reward differ, too ([below](#which-pairs-are-equal)), so whole settings are compared.",
    )


def judged(study: Study) -> dict[tuple[str, str], verdicts.Verdict]:
    """Compare each mask with dynamics with the same without, and all masks together."""
    compared: dict[tuple[str, str], verdicts.Strata] = {}
    for task in _DIGITS:
        pairs = {
            name: (costs(study, task, f"{name}+dynamics"), costs(study, task, name))
            for name in PLAIN_PRESETS
        }
        compared |= {(task, name): [pair] for name, pair in pairs.items()}
        compared[task, POOLED] = list(pairs.values())
    return verdicts.judge(compared)


def sentence(comparisons: Verdicts) -> str:
    """Return the verdict on all masks together."""
    said = []
    for task, where in ((TEACHER, "With a teacher"), (CARTPOLE, "Without one")):
        if (task, POOLED) not in comparisons:
            said.append(f"{where} runs are missing.")
            continue
        verdict = comparisons[task, POOLED]
        how = {
            "better": "the setting with dynamics is better",
            "worse": "the setting with dynamics is worse",
            "open": "the difference is not significant",
        }[verdict.side]
        said.append(f"{where} {how} (better in {verdict}).")
    return " ".join(said)


def _row(study: Study, comparisons: Verdicts, name: str) -> list[str]:
    row = [f"`{name}`"]
    for task, digits in _DIGITS.items():
        for each in (name, f"{name}+dynamics"):
            values = costs(study, task, each)
            row.append(f"{markdown.median(values, digits)} ({len(values)})")
        row += verdicts.cells(comparisons, (task, name))
    return row


def _null(study: Study, name: str) -> list[str]:
    row = [f"`{name}`"]
    for task, digits in _DIGITS.items():
        values = costs(study, task, name)
        row.append(f"{markdown.median(values, digits)} ({len(values)})")
        row += [markdown.MISSING] * 3
    return row
