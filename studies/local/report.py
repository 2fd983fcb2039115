"""Write docs/local-study.md from the runs that there are."""

from __future__ import annotations

import numpy as np

from studies.local import td_stdp
from studies.local.learning import (
    ARMS,
    ENV_ID,
    EVALUATION_EPISODES,
    FEWER_EPISODES,
    SOLVED,
    STEPS,
    WINDOW,
    LocalRun,
)
from studies.local.report_adaptation import adaptation_section
from studies.local.report_dynamics import dynamics_section
from studies.runs import Runs
from studies.tables import table, wrapped


def pages(runs: Runs) -> dict[str, str]:
    """Return the study's page."""
    learning = {arm: found for arm in ARMS if (found := runs.read(LocalRun, f"learning/{arm}/"))}
    parts = (
        *(_head(), _table(learning), adaptation_section(runs)),
        *(dynamics_section(runs), _seeds(learning)),
    )
    return {"local-study.md": "\n".join(part for part in parts if part)}


def _head() -> str:
    return wrapped(
        "# Learning on line by local rules",
        "Written by `python -m studies.local report` from the runs of `python -m studies.local "
        "run`, which lie in `studies/local/runs.jsonl`.",
        f"Every agent learns {ENV_ID} in one environment, `ppo-lif` in 8 parallel ones. Each seed "
        "ran once, and nothing was tuned on these seeds. Step sizes fall over the steps that a run "
        "may use.",
        f"A run is solved when {WINDOW} training episodes in a row have a mean return of at least "
        f"{SOLVED:.0f}, exploration included. It ends there. A run that is not solved within "
        f"{STEPS:,} environment steps has failed, and failures count. After the run the agent "
        f"plays {EVALUATION_EPISODES} fresh episodes without exploration.",
        "TD-STDP ([Chung and Kozma 2020](https://arxiv.org/abs/2008.13044)) is a new "
        "implementation of the published equations and constants (`studies/local/td_stdp.py`). It "
        f"has {td_stdp.EPISODES} episodes, as published; its evaluation is {FEWER_EPISODES} "
        "episodes. The published result is 169.5 ± 23.5 episodes to a mean of 500, over the "
        "successful ones of 10 runs.",
        "The episodes of `accept-reject` are those of every network that it tries, rejected ones "
        "included. The criterion measures the return while an agent learns, so `accept-reject` "
        "almost never solves the task here. By the return of the network that it keeps it needed a "
        "median of 69 episodes ([dynamics study](dynamics-study.md)).",
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
        "Episodes until solved (– for a failure), and in brackets the mean of the evaluation.\n",
    ]
    for arm, found in runs.items():
        cells = [
            f"{run.seed}: {run.solved_after or '–'} ({run.final:.1f})" for run in found
        ]  # fmt: skip
        parts.append(wrapped(f"**{ARMS[arm].says}.** {'; '.join(cells)}."))
    return "\n".join(parts)
