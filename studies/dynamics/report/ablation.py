"""Third answer: the part of the setting with dynamics that makes a difference."""

from __future__ import annotations

from snn_gym.learners.settings import SynapseAgentsSettings
from studies.dynamics.groups import Groups, Values
from studies.dynamics.plan import CARTPOLE, TEACHER, ablation_arms
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer, costs
from studies.dynamics.settings import BEST_PRESET, NULLS, PAPER_PRESET, SYNAPSE_AGENTS

FULL = "dynamics"
ARMS = (FULL, "features", "off", "shuffled")
EXPLORING = "exploration alone"
"""Name of the comparison of ``off`` with the mask without dynamics, which explores less."""
SEEN = "seen alone"
"""Name of the comparison of ``features`` with ``off``."""
_DIGITS = {CARTPOLE: 0, TEACHER: 4}
Verdicts = dict[tuple[str, str], verdicts.Verdict]
"""Verdicts by task and the learner compared with the arm with dynamics, or a comparison."""


def section(study: Study) -> str:
    """Return the answer."""
    comparisons = judged(study)
    settings = ablation_arms(SYNAPSE_AGENTS[CARTPOLE][BEST_PRESET])
    rows = [_row(study, comparisons, arm, settings[arm]) for arm in ARMS]  # type: ignore[index]
    rows.append(_row(study, comparisons, PAPER_PRESET, SYNAPSE_AGENTS[CARTPOLE][PAPER_PRESET]))
    rows += [_row(study, comparisons, name, None) for name in NULLS]
    return answer(
        "3. Is it the dynamics, or the reward and exploration?",
        sentence(comparisons),
        ("ablation", "Dynamics on, off and shuffled, and the nulls"),
        [
            "learner", "reward", "exploration", f"{CARTPOLE}: solved",
            "episodes, median (least to most)", f"`{FULL}` needs fewer", "p",
            f"{TEACHER}: nat, median (least to most)", f"`{FULL}` is better", "p",
        ],
        rows,
        f"Mask `{BEST_PRESET}`, equal exploration. In `off` dynamics are neither seen nor "
        "rewarded, in `features` seen and not rewarded. In `shuffled` they are both, but each "
        f"synapse has the numbers of another. The first ten seeds of `{FULL}` on {CARTPOLE} are "
        "the runs of the second question. "
        + " ".join([*_exploration(comparisons), *_open(study["ablation"])]),
    )  # fmt: skip


def judged(study: Study) -> Verdicts:
    """Compare the arm with dynamics with the others, and ``off`` with its neighbours."""
    compared: dict[tuple[str, str], verdicts.Strata] = {}
    for task in _DIGITS:
        others = [*ARMS[1:], *((PAPER_PRESET, *NULLS) if task == CARTPOLE else ())]
        full = _costs(study, task, FULL)
        compared |= {(task, name): [(full, _costs(study, task, name))] for name in others}
        compared[task, SEEN] = [(_costs(study, task, "features"), _costs(study, task, "off"))]
    paper = _costs(study, CARTPOLE, PAPER_PRESET)
    compared[CARTPOLE, EXPLORING] = [(paper, _costs(study, CARTPOLE, "off"))]
    return verdicts.judge(compared)


def _costs(study: Study, task: str, name: str) -> Values:
    if name not in ARMS:
        return costs(study, task, name)
    group = study["ablation"][task, name]
    return -group.means if task == TEACHER else group.episodes


def sentence(comparisons: Verdicts) -> str:
    """Return the verdict on the use of the dynamics."""
    said = [
        *_said(comparisons, CARTPOLE, "On CartPole-v1"),
        *_said(comparisons, TEACHER, "With a teacher"),
    ]
    return " ".join(said) if said else "Not known: runs are missing."


def _said(comparisons: Verdicts, task: str, where: str) -> list[str]:
    if (task, "off") not in comparisons or (task, "shuffled") not in comparisons:
        return []
    off, shuffled = comparisons[task, "off"], comparisons[task, "shuffled"]
    effect = "the dynamics have no significant effect"
    if {off.side, shuffled.side} == {"better"}:
        effect = "the dynamics help, and it matters whose they are"
    if "worse" in (off.side, shuffled.side):
        effect = "the dynamics do harm"
    said = [
        f"{where} {effect}.",
        f"Runs with dynamics are better than `off` in {off} and than `shuffled` in {shuffled}.",
    ]
    if (task, SEEN) in comparisons:
        said.append(f"Runs of `features` are better than `off` in {comparisons[task, SEEN]}.")
    return said


def _exploration(comparisons: Verdicts) -> list[str]:
    if (CARTPOLE, EXPLORING) not in comparisons:
        return []
    verdict = comparisons[CARTPOLE, EXPLORING]
    return [
        f"`{PAPER_PRESET}` is `off` with less exploration; it needs fewer episodes than `off` in "
        f"{verdict}."
    ]


def _open(groups: Groups) -> list[str]:
    empty = [
        f"{task}/{arm}"
        for task in (CARTPOLE, TEACHER)
        for arm in ARMS
        if not groups[task, arm].results
    ]
    if not empty:
        return []
    return [
        f"Planned and not run: {', '.join(empty)}; until then the cause of the gain with a "
        "teacher is open."
    ]


def _row(
    study: Study, comparisons: Verdicts, name: str, settings: SynapseAgentsSettings | None
) -> list[str]:
    chosen = [markdown.MISSING] * 2
    if settings is not None:
        chosen = [settings.reward, f"{settings.exploration:g}"]
    part = "ablation" if name in ARMS else "presets"
    row = [f"`{name}`", *chosen, markdown.solved(study[part][CARTPOLE, name])]
    for task, digits in _DIGITS.items():
        row.append(markdown.spread(_costs(study, task, name), digits))
        row += verdicts.cells(comparisons, (task, name))
    return row
