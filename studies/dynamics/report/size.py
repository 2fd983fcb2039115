"""Section on learners of CartPole with more synapses."""

from __future__ import annotations

from studies.dynamics.groups import Groups
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import (
    BEST_PRESET,
    PAPER_PRESET,
    SIZE_BUDGET,
    SIZE_HIDDEN_NEURONS,
    SIZE_NULLS,
)
from studies.dynamics.statistics import median, rank_correlation

LEARNERS = (BEST_PRESET, PAPER_PRESET, *SIZE_NULLS)


def synapses(hidden: int) -> int:
    """Return the synapses of a controller of CartPole: 4 inputs, 2 outputs, biases."""
    return 7 * hidden + 2


def section(groups: Groups) -> str:
    """Return the section on size."""
    rows = [_row(groups, name, hidden) for name in LEARNERS for hidden in SIZE_HIDDEN_NEURONS]
    header = [
        "learner", "synapses", "solved", "median episodes (95 % interval)", "episodes by seed",
        "mean return at the end, by seed",
    ]  # fmt: skip
    return "\n\n".join(
        [
            "## 3. More synapses",
            f"CartPole-v1, one hidden layer, at most {SIZE_BUDGET.episodes:,} episodes and "
            f"{SIZE_BUDGET.steps:,} environment steps; hyper-parameters are those for 16 hidden "
            "neurons. CMA-ES adapts variances only.",
            markdown.table(header, rows),
            markdown.bullets(sentences(groups)),
            "![Episodes until solved by size](images/study-size.png)",
        ]
    )


def sentences(groups: Groups) -> list[str]:
    """Return what the runs say on the number of synapses."""
    said = []
    for name in LEARNERS:
        have = [hidden for hidden in SIZE_HIDDEN_NEURONS if groups[name, str(hidden)].results]
        if len(have) < 2:
            continue
        values = [groups[name, str(hidden)].episodes for hidden in have]
        correlation = rank_correlation([synapses(hidden) for hidden in have], values)
        what = f"The number of episodes that `{name}` needs"
        said.append(verdicts.trend(what, "the number of synapses", correlation))
    smallest, largest = SIZE_HIDDEN_NEURONS[0], SIZE_HIDDEN_NEURONS[-1]
    for hidden in (smallest, largest):
        for other in (PAPER_PRESET, *SIZE_NULLS):
            ours, theirs = (groups[name, str(hidden)].episodes for name in (BEST_PRESET, other))
            compared = verdicts.pairwise(BEST_PRESET, ours, other, theirs, verdicts.EPISODES)
            said.append(f"{synapses(hidden):,} synapses: {compared}")
    return said


def _row(groups: Groups, name: str, hidden: int) -> list[str]:
    group = groups[name, str(hidden)]
    start = [f"`{name}`", f"{synapses(hidden):,}"]
    if not group.results:
        return [*start, *[markdown.MISSING] * 3, "no runs yet"]
    return [
        *start,
        markdown.solved(group),
        markdown.with_interval(median(group.episodes)),
        markdown.by_seed(group, group.episodes),
        markdown.by_seed(group, group.means),
    ]
