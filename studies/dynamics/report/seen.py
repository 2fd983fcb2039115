"""First answer: the signals that a synapse should see."""

from __future__ import annotations

from snn_gym.learners.settings import PRESET_NAMES
from studies.dynamics.plan import CARTPOLE
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.parts import Study, answer, costs
from studies.dynamics.settings import NULLS, PAPER_PRESET

PLAIN_PRESETS = tuple(name for name in PRESET_NAMES if "dynamics" not in name)


def section(study: Study) -> str:
    """Return the answer."""
    found = judged(study)
    return answer(
        "1. What should a synapse see?",
        sentence(study, found),
        ("seen", "Episodes until solved, by the signals that a synapse sees"),
        [
            "learner", "solved", "episodes, median (least to most)", "steps, median",
            f"`{PAPER_PRESET}` needs fewer", "p",
        ],
        [_row(study, found, name) for name in (*PLAIN_PRESETS, *NULLS)],
        "CartPole-v1. A mask names the signals that a synapse sees: the `history` of its moves and "
        "rewards, its `weight`, its position (`topology`), or `all` three. Masks have equal "
        "exploration and reward. The last rows are gradient-free baselines that see no synapse. "
        "“Needs fewer” is a share of pairs of runs; 50 % is no difference.",
    )  # fmt: skip


def judged(study: Study) -> dict[str, verdicts.Verdict]:
    """Compare the paper's mask with the other masks and the nulls."""
    ours = costs(study, CARTPOLE, PAPER_PRESET)
    others = [name for name in (*PLAIN_PRESETS, *NULLS) if name != PAPER_PRESET]
    return verdicts.judge({name: [(ours, costs(study, CARTPOLE, name))] for name in others})


def sentence(study: Study, found: dict[str, verdicts.Verdict]) -> str:
    """Return the verdict on the founding paper's claim."""
    masks = [name for name in PLAIN_PRESETS if name in found]
    if not masks:
        return "Not known: runs are missing."
    median = markdown.median(costs(study, CARTPOLE, PAPER_PRESET))
    start = f"`{PAPER_PRESET}`, the founding paper's choice, needs {median} episodes in the median"
    sides = {
        side: [name for name in found if found[name].side == side] for side in ("better", "worse")
    }
    if sides["worse"]:
        return f"{start}: more than {markdown.names(sides['worse'])}."
    if set(masks) <= set(sides["better"]):
        return f"{start}: fewer than every other mask."
    better = f"only {markdown.names(sides['better'])}" if sides["better"] else "no other learner"
    return f"{start}. It is significantly better than {better}."


def _row(study: Study, found: dict[str, verdicts.Verdict], name: str) -> list[str]:
    group = study["presets"][CARTPOLE, name]
    return [
        f"`{name}`",
        markdown.solved(group),
        markdown.spread(group.episodes),
        markdown.median(group.steps),
        *verdicts.cells(found, name),
    ]
