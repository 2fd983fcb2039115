"""Section on hyper-parameters that differ between compared runs."""

from __future__ import annotations

from collections.abc import Mapping

from snn_gym._base.config import to_mapping
from snn_gym.learners.settings import SynapseAgentsSettings
from studies.dynamics.plan import CARTPOLE, TEACHER, ablation_arms
from studies.dynamics.report.seen import PLAIN_PRESETS
from studies.dynamics.settings import BEST_PRESET, PAPER_PRESET, SYNAPSE_AGENTS
from studies.tables import table

ASKED = ("preset", "shuffled")
"""Hyper-parameters that a comparison of dynamics varies on purpose."""


def section() -> str:
    """Return the compared pairs with their other differences."""
    rows = [[pair, ", ".join(others) or "nothing"] for pair, others in pairs().items()]
    return "\n\n".join(
        [
            "## Which pairs are equal",
            "`dynamics` and `shuffled` differ only in the synapse whose dynamics they see; "
            "`features` and `off` differ only in whether dynamics are seen.",
            table(["pair", "other differences"], rows).rstrip(),
        ]
    )


def pairs() -> Mapping[str, list[str]]:
    """Return the hyper-parameters in which pairs differ beside the requested ones."""
    control, arms = SYNAPSE_AGENTS[CARTPOLE], ablation_arms(SYNAPSE_AGENTS[CARTPOLE][BEST_PRESET])
    watching = sorted(
        {
            other
            for task in (CARTPOLE, TEACHER)
            for name in PLAIN_PRESETS
            for other in differing(
                SYNAPSE_AGENTS[task][name], SYNAPSE_AGENTS[task][f"{name}+dynamics"]
            )
        }
    )
    return {
        "question 1: any two masks without dynamics": differing(control["all"], control["history"]),
        "question 2: a mask with dynamics and without": watching,
        "question 3: `dynamics` and `off`": differing(arms["dynamics"], arms["off"]),
        "question 3: `dynamics` and `shuffled`": differing(arms["dynamics"], arms["shuffled"]),
        "question 3: `features` and `off`": differing(arms["features"], arms["off"]),
        f"question 3: `off` and `{PAPER_PRESET}`": differing(arms["off"], control[PAPER_PRESET]),
    }


def differing(one: SynapseAgentsSettings, other: SynapseAgentsSettings) -> list[str]:
    """Return names of hyper-parameters in which two settings differ, but for those asked for."""
    first, second = to_mapping(one), to_mapping(other)
    return [key for key in first if key not in ASKED and first[key] != second[key]]
