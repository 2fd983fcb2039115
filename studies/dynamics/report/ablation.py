"""Third answer: which part of the setting with dynamics makes a difference."""

from __future__ import annotations

from snn_gym.learners.settings import SynapseAgentsSettings
from studies.dynamics.groups import Group, Groups, Values
from studies.dynamics.plan import CARTPOLE, TEACHER, ablation_arms
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer
from studies.dynamics.settings import BEST_PRESET, NULLS, PAPER_PRESET, SYNAPSE_AGENTS

FULL = "dynamics"
ARMS = (FULL, "features", "off", "shuffled")
EXPLORING = "exploration alone"
"""Name of the comparison of ``off`` with the mask without dynamics, which explores less."""
Found = dict[str, verdicts.Verdict]


def section(study: Study) -> str:
    """Return the answer."""
    found = judged(study)
    settings = ablation_arms(SYNAPSE_AGENTS[CARTPOLE][BEST_PRESET])
    rows = [
        _row(found, arm, study["ablation"][CARTPOLE, arm], settings[arm])  # type: ignore[index]
        for arm in ARMS
    ]
    paper = study["presets"][CARTPOLE, PAPER_PRESET]
    rows.append(_row(found, PAPER_PRESET, paper, SYNAPSE_AGENTS[CARTPOLE][PAPER_PRESET]))
    rows += [_row(found, name, study["presets"][CARTPOLE, name], None) for name in NULLS]
    return answer(
        "3. Is it the dynamics, or what goes with them?",
        sentence(found),
        ("ablation", "Dynamics on, off and shuffled, and the nulls"),
        [
            "learner", "reward", "exploration", "solved", "episodes, median (least to most)",
            f"`{FULL}` needs fewer", "p",
        ],
        rows,
        f"CartPole-v1, mask `{BEST_PRESET}`. `off`: dynamics neither seen nor rewarded; "
        "`features`: seen, not rewarded; `shuffled`: both, but each synapse has the numbers of "
        f"another. The first ten seeds of `{FULL}` are the runs of the second question. "
        + " ".join([*_exploration(found), *_open(study["ablation"])]),
    )  # fmt: skip


def judged(study: Study) -> Found:
    """Compare the arm with dynamics with the others, and ``off`` with less exploration."""

    def episodes(name: str) -> Values:
        if name in ARMS:
            return study["ablation"][CARTPOLE, name].episodes
        return study["presets"][CARTPOLE, name].episodes

    others = [*ARMS[1:], PAPER_PRESET, *NULLS]
    compared: dict[str, verdicts.Strata] = {
        name: [(episodes(FULL), episodes(name))] for name in others
    }
    compared[EXPLORING] = [(episodes(PAPER_PRESET), episodes("off"))]
    return verdicts.judge(compared)


def sentence(found: Found) -> str:
    """Return what the runs say on the use of the dynamics."""
    if not {"off", "shuffled"} <= found.keys():
        return "Not known: runs are missing."
    sides = {found[arm].side for arm in ("off", "shuffled")}
    start = "At equal exploration the dynamics save episodes, and it matters whose they are"
    if sides != {"better"}:
        start = "At equal exploration these data show no use of the dynamics"
    if "worse" in sides:
        start = "At equal exploration the dynamics cost episodes"
    return (
        f"{start}: with them fewer are needed than without in {found['off']}, and than with those "
        f"of another synapse in {found['shuffled']}."
    )


def _exploration(found: Found) -> list[str]:
    if EXPLORING not in found:
        return []
    verdict = found[EXPLORING]
    return [
        f"`{PAPER_PRESET}`, which is `off` with less exploration, needs fewer episodes than it in "
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
        f"Planned and not run: {', '.join(empty)}; until then it is open what makes the gain with "
        "a teacher."
    ]


def _row(
    found: Found, name: str, group: Group, settings: SynapseAgentsSettings | None
) -> list[str]:
    chosen = [markdown.MISSING] * 2
    if settings is not None:
        chosen = [settings.reward, f"{settings.exploration:g}"]
    return [
        f"`{name}`",
        *chosen,
        markdown.solved(group),
        markdown.spread(group.episodes),
        *verdicts.cells(found, name),
    ]
