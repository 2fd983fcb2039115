"""Write docs/eprop-study.md from the runs and costs that there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from snn_gym.envs.registry import load_environment_spec
from studies.eprop.angle import SEED, Angle
from studies.eprop.training import (
    AGENT,
    ARMS,
    EVALUATION_EPISODES,
    SEEDS,
    SHORT,
    TASKS,
    EpropRun,
)
from studies.rows import VERSION_1
from studies.runs import Runs
from studies.tables import return_digits, table, wrapped

BAR = 0.9
"""Share of the return of back-propagation through time that e-prop is to earn."""
MEMORYLESS = {
    "snn/CueAccumulation-v0": (301_824, (0.54, 0.46, 0.46, 0.46, 0.46)),
    "snn/MaskedCartPole-v1": (500_224, (44.93, 42.64, 42.21, 45.12, 43.02)),
}
"""Steps and mean returns of ``ppo-lif``, which starts from rest at every decision, of version 1."""

LENGTHS_OF_TRAINING = {"": "", f"{SHORT}/": ", a third of the steps"}
"""Suffix of a section's heading by prefix of the runs' names."""

RunsByArm = Mapping[str, list[EpropRun]]


def pages(runs: Runs) -> dict[str, str]:
    """Return the study's page."""
    parts = [_head()]
    for env_id, (folder, length) in itertools.product(TASKS, LENGTHS_OF_TRAINING.items()):
        found = {arm: runs.read(EpropRun, f"{folder}{env_id}/{arm}/") for arm in ARMS}
        by_arm = {arm: kept for arm, kept in found.items() if kept}
        if by_arm:
            parts.append(_task(env_id, length, by_arm))
    parts.append(_angles(runs.read(Angle, "angles/")))
    return {"eprop-study.md": "\n".join(parts)}


def _head() -> str:
    return wrapped(
        "# Memory learned without back-propagation through recurrent spikes",
        "Written by `python -m studies.eprop report` from the runs of `python -m studies.eprop "
        "run`, which lie in `studies/eprop/runs.jsonl`.",
        f"`{AGENT}` learns two tasks that need memory, once with each gradient: back-propagation "
        "through time (BPTT), or e-prop ([Bellec et al. "
        "2020](https://doi.org/10.1038/s41467-020-17236-y)). E-prop leaves out the path through "
        "recurrent spikes. The critic is a GRU that always learns by BPTT; acting does not need "
        "it.",
        "The hyper-parameters are those of the agent's file. None was tuned for e-prop, and none "
        "on these seeds. Every training takes the same number of environment steps on one "
        f"machine. The trained agent then plays {EVALUATION_EPISODES} fresh episodes without "
        "exploration.",
        f"The bar was set before the runs: the mean return of e-prop is at least {BAR} of the mean "
        "return of BPTT. MaskedCartPole was first trained for 160,000 steps, and e-prop missed the "
        "bar; the last of the three tables shows these runs. After one run of seed 1000, both "
        "gradients were trained for the whole budget of the task, on fresh seeds.",
    )


def _task(env_id: str, length: str, runs: RunsByArm) -> str:
    spec, digits = load_environment_spec(env_id), return_digits(env_id)
    steps, budget = next(iter(runs.values()))[0].steps, spec.budget["gradient"]
    heading = (
        "gradient", "seeds", "mean return", "return of each seed", "share of BPTT's return",
        "share of BPTT's gain over no memory", "training (core s)", "updates (core s)",
    )  # fmt: skip
    null = float(np.mean(MEMORYLESS[env_id][1]))
    rows = [_row(arm, found, runs, digits, null) for arm, found in runs.items()]
    rows.append(_null_row(env_id, digits))
    return "\n".join(
        [
            f"\n## {env_id}{length}\n",
            wrapped(
                f"Each agent trains for {steps:,} environment steps; the task's budget is "
                f"{budget:,}. Random play earns {spec.reference.random:.{digits}f}. The task is "
                f"solved at {spec.reference.solved:.{digits}f}."
            ),
            table(heading, rows),
            _verdict(env_id, runs),
        ]
    )


def _row(
    arm: str, found: list[EpropRun], runs: RunsByArm, digits: int, null: float
) -> tuple[str, ...]:
    seeds = ", ".join(f"{run.seed}: {run.final:.{digits}f}" for run in found)
    base = runs.get("bptt", [])
    shares = [_share(found, base, below) for below in (0.0, null)]
    return (
        ARMS[arm].says,
        str(len(found)),
        f"{np.mean([run.final for run in found]):.{digits}f}",
        seeds,
        *("1" if arm == "bptt" else "–" if x is None else f"{x:.3f}" for x in shares),
        f"{np.median([run.training_s for run in found]):.0f}",
        f"{np.median([run.update_s for run in found]):.0f}",
    )


def _share(found: list[EpropRun], base: list[EpropRun], below: float = 0.0) -> float | None:
    """Return the share of another arm's return over a level, on the seeds that both have."""
    finals = {run.seed: run.final for run in base}
    both = [(run.final, finals[run.seed]) for run in found if run.seed in finals]
    if not both:
        return None
    earned, reference = np.mean(both, axis=0)
    return float((earned - below) / (reference - below))


def _null_row(env_id: str, digits: int) -> tuple[str, ...]:
    steps, means = MEMORYLESS[env_id]
    says = f"no memory: `ppo-lif`, {steps:,} steps (rows of version 1, {VERSION_1})"
    seeds = ", ".join(f"{x:.{digits}f}" for x in means)
    return says, str(len(means)), f"{np.mean(means):.{digits}f}", seeds, "–", "0", "–", "–"


def _verdict(env_id: str, runs: RunsByArm) -> str:
    share = _share(runs.get("eprop", []), runs.get("bptt", []))
    if share is None:
        return wrapped("No seed has both gradients yet.")
    word = "reaches" if share >= BAR else "misses"
    says = f"E-prop with symmetric feedback {word} the bar: {share:.3f} against {BAR}."
    seeds, planned = min(len(runs["eprop"]), len(runs["bptt"])), len(SEEDS[env_id])
    if seeds < planned:
        says += (
            f" Only {seeds} of the {planned} planned seeds have run, too few for a conclusion; "
            "`python -m studies.eprop run` trains the rest."
        )
    return wrapped(says)


def _angles(angles: Iterable[Angle]) -> str:
    heading = ("task", "steps trained", "cosine", "norm of e-prop's gradient / norm of BPTT's")
    rows = [(x.env_id, f"{x.steps:,}", f"{x.cosine:.2f}", f"{x.norms:.2f}") for x in angles]
    return "\n".join(
        [
            "\n## Difference between the gradients\n",
            wrapped(
                "Both policy gradients of the actor's synapses are computed on the same rollout of "
                f"the same agent, which learns by BPTT (one training for each task, seed {SEED}). "
                "The path through recurrent spikes carries little of the gradient before learning. "
                "It carries more as the recurrent weights are trained."
            ),
            table(heading, rows),
        ]
    )
