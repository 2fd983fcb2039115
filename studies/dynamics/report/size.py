"""Fourth answer: how large the network may be, for synapse agents, nulls and DQSN."""

from __future__ import annotations

import numpy as np

from snn_gym.leaderboard.statistics import interquartile_mean
from studies.dynamics.groups import Values
from studies.dynamics.plan import CARTPOLE
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer
from studies.dynamics.settings import (
    BEST_PRESET,
    HIDDEN_NEURONS,
    HIDDEN_STEPS,
    NULLS,
    PAPER_PRESET,
    SIZE_BUDGET,
    SIZE_HIDDEN_NEURONS,
    SIZE_NULLS,
)
from studies.statistics import SIGNIFICANT, equal_to, holm_by_name, p_value, trend
from studies.tables import table

LEARNERS = (BEST_PRESET, PAPER_PRESET, *SIZE_NULLS)
DQSN = "dqsn"
Trends = dict[str, tuple[float, float]]
"""Rank correlation with the size and its corrected p-value, by learner."""


def synapses(hidden: int) -> int:
    """Return the synapses of a controller of CartPole: 4 inputs, 2 outputs, biases."""
    return 7 * hidden + 2


def section(study: Study) -> str:
    """Return the answer."""
    found, against = trends(study), judged(study)
    sizes = [f"{synapses(hidden):,}" for hidden in SIZE_HIDDEN_NEURONS]
    rows = [_row(study, found, against, name) for name in LEARNERS]
    others = [name for name in NULLS if name not in SIZE_NULLS]
    rows.append(markdown.not_run(others, len(sizes) + 4))
    return answer(
        "4. How large may the network be?",
        sentence(found, against),
        ("size", "Episodes until solved by size; return of DQSN by hidden neurons"),
        ["learner", *sizes, "rank correlation", "p", f"`{BEST_PRESET}` needs fewer", "p"],
        rows,
        "Median episodes until CartPole-v1 is solved, by the number of synapses of one hidden "
        f"layer. Each size has {_runs(study)} runs of at most {SIZE_BUDGET.episodes:,} episodes "
        f"and {SIZE_BUDGET.steps:,} steps, with the hyper-parameters of 16 hidden neurons. Tests "
        f"take all sizes together, because so few runs decide nothing at one size.",
        _dqsn(study, found),
    )


def trends(study: Study) -> Trends:
    """Return the rank correlation of each learner's episodes, or DQSN's return, with the size."""
    samples: dict[str, tuple[list[int], list[Values]]] = {}
    for name in LEARNERS:
        episodes = {h: study["size"][name, str(h)].episodes for h in SIZE_HIDDEN_NEURONS}
        samples[name] = _present(episodes)
    samples[DQSN] = _present({h: study["hidden"][(str(h),)].means for h in HIDDEN_NEURONS})
    found = {name: trend(*each) for name, each in samples.items() if len(each[0]) > 1}
    corrected = holm_by_name({name: p for name, (_, p) in found.items()})
    return {name: (correlation, corrected[name]) for name, (correlation, _) in found.items()}


def judged(study: Study) -> dict[str, verdicts.Verdict]:
    """Compare the best mask with the other learners over all sizes."""
    groups = study["size"]
    return verdicts.judge(
        {
            name: [
                (groups[BEST_PRESET, str(h)].episodes, groups[name, str(h)].episodes)
                for h in SIZE_HIDDEN_NEURONS
            ]
            for name in LEARNERS[1:]
        }
    )


def sentence(found: Trends, against: dict[str, verdicts.Verdict]) -> str:
    """Return the verdict on size."""
    if not found:
        return "Not known: runs are missing."
    more = [name for name in LEARNERS if name in found and _side(found[name]) == "rises"]
    level = [name for name in LEARNERS if name in found and _side(found[name]) == "is level"]
    said = []
    if more:
        said.append(f"with more synapses {markdown.names(more)} needs more episodes")
    lost = [name for name in against if against[name].side == "worse"]
    if lost:
        it = "it" if more == [BEST_PRESET] else f"`{BEST_PRESET}`"
        said.append(f"over all sizes {it} needs more than {markdown.names(lost)}")
    if level:
        said.append(f"no trend is significant for {markdown.names(level)}")
    if DQSN in found:
        said.append(f"the return of `{DQSN}` {_side(found[DQSN])} with its hidden neurons")
        if _side(found[DQSN]) == "rises":
            said[-1] += ", as in the founding paper"
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in said)


def _side(found: tuple[float, float]) -> str:
    correlation, p = found
    if p > SIGNIFICANT:
        return "is level"
    return "rises" if correlation > 0 else "falls"


def _present(samples: dict[int, Values]) -> tuple[list[int], list[Values]]:
    present = {level: values for level, values in samples.items() if len(values)}
    return list(present), list(present.values())


def _runs(study: Study) -> str:
    counts = [len(group.results) for group in study["size"].values()]
    return f"{min(counts)} to {max(counts)}"


def _dqsn(study: Study, found: Trends) -> str:
    groups = [(hidden, study["hidden"][(str(hidden),)]) for hidden in HIDDEN_NEURONS]
    shown = [
        (str(hidden), f"{interquartile_mean(group.scores):.0f}")
        for hidden, group in groups
        if group.results
    ]
    if DQSN not in found:
        return f"Runs of `{DQSN}` are missing."
    correlation, p = found[DQSN]
    nulls = [study["presets"][CARTPOLE, name].steps for name in SIZE_NULLS]
    fastest = min((float(np.median(steps)) for steps in nulls if len(steps)), default=np.inf)
    return (
        f"`{DQSN}` learns by gradients for {HIDDEN_STEPS:,} steps. Rank correlation of its return "
        f"with the hidden neurons: {markdown.number(correlation, 2)}, {equal_to(p)}. The quickest "
        f"baseline below takes {markdown.number(fastest)} steps to 475 with 16 hidden "
        f"neurons.\n\n{table((f'hidden neurons of `{DQSN}`', 'IQM of its return'), shown)}".rstrip()
    )


def _row(study: Study, found: Trends, against: dict[str, verdicts.Verdict], name: str) -> list[str]:
    row = [f"`{name}`"]
    row += [
        markdown.median(study["size"][name, str(hidden)].episodes) for hidden in SIZE_HIDDEN_NEURONS
    ]
    row += [markdown.MISSING] * 2
    if name in found:
        correlation, p = found[name]
        row[-2:] = [markdown.number(correlation, 2), p_value(p)]
    return [*row, *verdicts.cells(against, name)]
