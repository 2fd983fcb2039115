"""Write docs/local-study.md from the runs that there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snn_gym._base.storage import write_text_atomic
from studies.local import td_stdp
from studies.local.report_adaptation import adaptation_section
from studies.local.report_dynamics import dynamics_section
from studies.local.report_tasks import tasks_section
from studies.local.runs import (
    ARMS,
    ENV_ID,
    EVALUATION_EPISODES,
    FEWER_EPISODES,
    RESULTS,
    SOLVED,
    STEPS,
    WINDOW,
    LocalRun,
    read_runs,
)
from studies.tables import table, wrapped


def write_report(docs: Path, results: Path = RESULTS) -> Path:
    """Write the report.

    Args:
        docs: Folder to write into.
        results: Folder of the runs.

    Returns:
        The document.
    """
    runs = {arm: found for arm in ARMS if (found := read_runs(arm, results))}
    path = docs / "local-study.md"
    adapted = adaptation_section(docs / "images", results)
    regulated = dynamics_section(results)
    parts = (_head(), _table(runs), adapted, tasks_section(results), regulated, _seeds(runs))
    write_text_atomic(path, "\n".join(part for part in parts if part))
    return path


def _head() -> str:
    return wrapped(
        "# Learning on line by local rules",
        "Written by `python -m studies.local report` from the runs of `python -m studies.local "
        "run`, which lie in `studies/local/results`.",
        f"Every agent learns {ENV_ID} in one environment, `ppo-lif` in 8 side by side, each seed "
        "once, and nothing was tuned on these seeds. Step sizes fall over the steps that a run may "
        f"use. A run is solved at the end of the first {WINDOW} training episodes in a row "
        f"whose mean return is at least {SOLVED:.0f}, exploration included, and ends there; one "
        f"that has made {STEPS:,} environment steps before has failed. What failed is counted. "
        f"Then the agent plays {EVALUATION_EPISODES} fresh episodes without exploration.",
        "TD-STDP ([Chung and Kozma 2020](https://arxiv.org/abs/2008.13044)) was written anew from "
        "its equations and published constants (`studies/local/td_stdp.py`) and has "
        f"{td_stdp.EPISODES} episodes, as there; its evaluation is {FEWER_EPISODES} episodes. "
        "Published: 169.5 ± 23.5 episodes to a mean of 500, over those of 10 runs that got there.",
        "The episodes of `accept-reject` are those of every network that it tries, the rejected "
        "ones too, so their mean says little of the one that it keeps: by this criterion, which "
        "asks what an agent earns while it learns, it solves next to nothing. By what that network "
        "earns it needed a median of 69 episodes ([dynamics study](dynamics-study.md)).",
    )


def _table(runs: dict[str, list[LocalRun]]) -> str:
    rows = [_row(ARMS[arm].says, found) for arm, found in runs.items()]
    heading = (
        "agent", "seeds", "solved", "episodes, median", "least to most", "steps, median",
        f"evaluations of {SOLVED:.0f} or more", "mean of the evaluations", "worst",
    )  # fmt: skip
    return "\n## The table\n\n" + table(heading, rows) + "\n"


def _row(says: str, runs: list[LocalRun]) -> tuple[str, ...]:
    episodes = [run.solved_after for run in runs]
    found = sorted(x for x in episodes if x is not None)
    # A run that failed took longer than all others.
    ordered = sorted(np.inf if x is None else float(x) for x in episodes)
    median, steps = float(np.median(ordered)), float(np.median([run.steps for run in runs]))
    finals = [run.final for run in runs]
    return (
        says,
        str(len(runs)),
        f"{len(found)} of {len(runs)}",
        f"{median:.1f}" if np.isfinite(median) else "–",
        f"{found[0]} to {found[-1]}" if found else "–",
        f"{steps:,.0f}",
        f"{sum(x >= SOLVED for x in finals)} of {len(runs)}",
        f"{np.mean(finals):.1f}",
        f"{min(finals):.1f}",
    )


def _seeds(runs: dict[str, list[LocalRun]]) -> str:
    parts = [
        "## Every seed\n",
        "Episodes until solved (– for failed), and the evaluation's mean.\n",
    ]
    for arm, found in runs.items():
        cells = [
            f"{run.seed}: {run.solved_after or '–'} ({run.final:.1f})" for run in found
        ]  # fmt: skip
        parts.append(wrapped(f"**{ARMS[arm].says}.** {'; '.join(cells)}."))
    return "\n".join(parts)
