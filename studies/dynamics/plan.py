"""Cases of the study, with hyper-parameters and budgets that are fixed before its runs.

Hyper-parameters of synapse agents were chosen on tuning seeds from 1000 on, which no table shows;
those of the nulls on CartPole are the zoo's. On the Teacher job every learner had 2 to 5 settings
tried on seeds 1000 to 1004.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from snn_gym._base.config import to_mapping
from snn_gym.learners.settings import PRESET_NAMES, SynapseAgentsSettings
from studies.dynamics.learners import CARTPOLE, TEACHER, train_on_cartpole, train_on_teacher
from studies.runs import Planned

AGENT = "synapse-agents"
NULLS = ("random-search", "accept-reject", "win-stay", "es", "cma-es")
"""Learners that know nothing of synapses, by their names in the zoo."""
BEST_PRESET = "weight+topology+dynamics"
"""Preset of the synapse agents in the ablation."""
PAPER_PRESET = "weight+topology"
"""The founding paper's best."""
SEEDS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("presets", CARTPOLE): 10,
        ("presets", TEACHER): 3,
        ("ablation", CARTPOLE): 30,
        ("ablation", TEACHER): 10,
    }
)
"""Number of seeds 0, 1, … by part and task."""

_PLAIN = SynapseAgentsSettings()
_WATCHING = replace(_PLAIN, reward="local", exploration=0.5)
_OF_TASK: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {CARTPOLE: {}, TEACHER: {"step_size": 0.1, "probe_renewal": "never"}}
)
TEACHER_NULLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "random-search": {},
        # The job has one probe, its whole set, so that no score needs a second look.
        "accept-reject": {"comparison": "kept_score", "step_size": 0.3, "moved_share": 0.3},
        "win-stay": {"comparison": "kept_score", "step_size": 0.5, "moved_share": 0.1},
        "es": {"learning_rate": 0.1, "noise_std": 0.3},
        "cma-es": {"initial_std": 0.5},
    }
)
"""Hyper-parameters of the nulls on the Teacher job, which replace those on CartPole."""


class Case(NamedTuple):
    """A learner on a task."""

    part: str
    """Part of the study, ``presets`` or ``ablation``."""
    task: str
    """``CARTPOLE`` or ``TEACHER``."""
    name: str
    """Name of the learner in the tables."""
    agent: str
    """Agent of the zoo."""
    overrides: Mapping[str, Any]
    """Hyper-parameters that replace the zoo's."""


def preset_settings(task: str, preset: str) -> SynapseAgentsSettings:
    """Return the hyper-parameters of synapse agents that see the signals of a preset."""
    base = _WATCHING if "dynamics" in preset else _PLAIN
    return replace(base, preset=preset, **_OF_TASK[task])


def ablation_arms(task: str) -> dict[str, SynapseAgentsSettings]:
    """Return hyper-parameters that differ only in the synapses' knowledge of the dynamics."""
    settings = preset_settings(task, BEST_PRESET)
    return {
        "dynamics": settings,
        "features": replace(settings, reward="global"),
        "off": without_dynamics(settings),
        "shuffled": replace(settings, shuffled=True),
    }


def without_dynamics(settings: SynapseAgentsSettings) -> SynapseAgentsSettings:
    """Return hyper-parameters of agents that differ only in that they know no dynamics."""
    preset: Any = settings.preset.removesuffix("+dynamics")
    if preset == settings.preset:
        raise ValueError(f"preset {preset!r} has no dynamics; give one that ends in '+dynamics'")
    return replace(settings, preset=preset, reward="global")


def cases() -> Iterator[Case]:
    """Yield every preset, null and arm of the ablation on both tasks."""
    for task in (CARTPOLE, TEACHER):
        for preset in PRESET_NAMES:
            settings = preset_settings(task, preset)
            yield Case("presets", task, preset, AGENT, to_mapping(settings))
        for null in NULLS:
            overrides = TEACHER_NULLS[null] if task == TEACHER else {}
            yield Case("presets", task, null, null, overrides)
        for arm, settings in ablation_arms(task).items():
            yield Case("ablation", task, arm, AGENT, to_mapping(settings))


def plan() -> Iterator[Planned]:
    """Yield all runs."""
    for case in cases():
        train = train_on_teacher if case.task == TEACHER else train_on_cartpole
        for seed in range(SEEDS[case.part, case.task]):
            name = f"{case.part}/{case.task}/{case.name}/{seed}"
            yield Planned(name, partial(train, case.agent, case.overrides, seed))
