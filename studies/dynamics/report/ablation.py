"""Section on the best preset with dynamics on, off and shuffled across synapses."""

from __future__ import annotations

from studies.dynamics.groups import Groups, shared
from studies.dynamics.plan import CARTPOLE
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import ABLATION_BUDGET, BEST_PRESET, PRESETS_BUDGET
from studies.dynamics.statistics import iqm, iqm_difference, median, superiority

ARMS = ("dynamics", "off", "shuffled")
OTHER_TASKS = ("Acrobot-v1", "MountainCar-v0")
STRETCH_EPISODES = 100
"""Median episodes on CartPole that the stretch goal asks to stay under, without a failed run."""


def section(groups: Groups) -> str:
    """Return the section on dynamics on, off and shuffled."""
    return "\n\n".join(
        [
            "## 4. Dynamics on, off and shuffled",
            f"Synapse agents with the preset `{BEST_PRESET}`. `off`: without the dynamics, neither "
            "as features nor in the reward; `shuffled`: the same numbers, permuted across synapses "
            "by a fixed permutation. Dynamics are of use only if they beat both.",
            f"### {CARTPOLE}: episodes until solved",
            f"At most {PRESETS_BUDGET.episodes:,} episodes and {PRESETS_BUDGET.steps:,} "
            "environment steps.",
            _cartpole_table(groups),
            markdown.bullets(_cartpole_sentences(groups)),
            "### Other tasks: return at the end",
            f"{ABLATION_BUDGET.steps:,} environment steps; IQM of the 100 public episodes of all "
            "runs. Differences are of the IQM over seeds of the runs' mean returns.",
            _other_table(groups),
            markdown.bullets(_other_sentences(groups)),
            "![Dynamics on, off and shuffled](images/study-ablation.png)",
        ]
    )


def _cartpole_table(groups: Groups) -> str:
    rows = []
    for arm in ARMS:
        group = groups[CARTPOLE, arm]
        if not group.results:
            rows.append([f"`{arm}`", *[markdown.MISSING] * 2, "no runs yet"])
            continue
        shown = markdown.with_interval(median(group.episodes))
        rows.append(
            [f"`{arm}`", markdown.solved(group), shown, markdown.by_seed(group, group.episodes)]
        )
    return markdown.table(["arm", "solved", "median episodes (95 % interval)", "by seed"], rows)


def _cartpole_sentences(groups: Groups) -> list[str]:
    on, off, shuffled = (groups[CARTPOLE, arm].episodes for arm in ARMS)
    said = [
        verdicts.pairwise("dynamics", on, "off", off, verdicts.EPISODES),
        verdicts.pairwise("dynamics", on, "shuffled", shuffled, verdicts.EPISODES),
    ]
    if len(on) and len(off) and len(shuffled):
        sides = {superiority(on, other).against(0.5) for other in (off, shuffled)}
        helps = "**yes in these data**" if sides == {"above"} else "**the data do not show it**"
        if "below" in sides:
            helps = "**not in these data**"
        said.insert(0, f"Dynamics save episodes, and it matters whose they are: {helps}.")
        group = groups[CARTPOLE, "dynamics"]
        middle, failed = median(on), len(on) - group.solved
        goal = (
            f"Stretch: a median under {STRETCH_EPISODES} episodes without a failed run; the "
            f"median is {markdown.number(middle.value)}, and {failed} failed"
        )
        is_met = middle.value < STRETCH_EPISODES and not failed
        said.append(verdicts.target(goal, is_met, group))
    return said


def _other_table(groups: Groups) -> str:
    rows = []
    for task in OTHER_TASKS:
        for arm in ARMS:
            group = groups[task, arm]
            if not group.results:
                rows.append([task, f"`{arm}`", markdown.MISSING, "no runs yet"])
                continue
            shown = f"{markdown.with_interval(iqm(group.scores), 1)}, {markdown.count(group)}"
            rows.append([task, f"`{arm}`", shown, markdown.by_seed(group, group.means, 1)])
    return markdown.table(["task", "arm", "IQM (95 % interval)", "mean by seed"], rows)


def _other_sentences(groups: Groups) -> list[str]:
    said = []
    for task in OTHER_TASKS:
        for other in ("off", "shuffled"):
            what = f"{task}, `dynamics` − `{other}`"
            on, against = shared(groups[task, "dynamics"], groups[task, other])
            if not len(on):
                said.append(f"{what}: runs are missing.")
                continue
            change = iqm_difference(on, against, paired=True)
            said.append(verdicts.difference(what, change, 1, higher_is_better=True))
    return said
