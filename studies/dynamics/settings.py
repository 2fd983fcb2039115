"""Hyper-parameters, budgets and sizes that are fixed before the study's runs.

Hyper-parameters of synapse agents were chosen on tuning seeds from 1000 on, which no table shows;
those of the nulls on CartPole and Acrobot are the zoo's. On the Teacher job every
learner had 2 to 5 settings tried on seeds 1000 to 1004.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from snn_gym.learners.settings import PRESET_NAMES, SynapseAgentsSettings

NULLS = ("random-search", "accept-reject", "win-stay", "es", "cma-es")
"""Learners that know nothing of synapses, by their names in the zoo."""

BEST_PRESET = "weight+topology+dynamics"
"""Preset of the synapse agents that are compared beyond the first part."""
PAPER_PRESET = "weight+topology"
"""The founding paper's best."""

SOLVED_RETURN = 475.0
"""Mean return of 100 episodes from which CartPole-v1 counts as solved."""


@dataclass(frozen=True)
class Budget:
    """Limits of a run; the first one reached ends it."""

    episodes: int
    """Episodes that judge weights, of old and of new ones."""
    steps: int
    """Environment steps of these episodes."""


PRESETS_BUDGET = Budget(episodes=15_000, steps=3_000_000)
SIZE_BUDGET = Budget(episodes=2_000, steps=1_000_000)
TRANSFER_BUDGET = Budget(episodes=2_000, steps=1_000_000)
TEACHER_JUDGEMENTS = 3_000
"""Networks that a run on the Teacher job may have judged."""
TRANSFER_SOLVED: Mapping[str, float] = MappingProxyType(
    {"CartPole-v1": SOLVED_RETURN, "Acrobot-v1": -100.0}
)
"""Mean return of 100 episodes from which the control tasks of the transfer part count as solved."""
TRANSFER_JUDGEMENTS = 1_000
"""Networks that a run of the transfer part may have judged on the Teacher job; so does each run of
the training before it."""
PRETRAINING_RUNS = 10
"""Networks in a row, each with fresh weights, on which a rule for transfer is trained."""

HIDDEN_NEURONS = (8, 16, 32, 64, 128, 256)
"""Hidden neurons of DQSN."""
HIDDEN_STEPS = 50_000
"""Environment steps of DQSN's training."""
SIZE_HIDDEN_NEURONS = (7, 14, 28, 71, 143, 286, 714, 1428)
"""Hidden neurons H of controllers of CartPole, which have 7 H + 2 synapses: 51 to 9,998."""

_PLAIN = SynapseAgentsSettings()
_WATCHING = replace(_PLAIN, reward="local", exploration=0.5)
_TEACHER = {"step_size": 0.1, "probe_renewal": "never"}


def _for_presets(**changes: Any) -> Mapping[str, SynapseAgentsSettings]:
    table = {
        preset: replace(_WATCHING if "dynamics" in preset else _PLAIN, preset=preset, **changes)
        for preset in PRESET_NAMES
    }
    return MappingProxyType(table)


_CONTROL = _for_presets()

SYNAPSE_AGENTS: Mapping[str, Mapping[str, SynapseAgentsSettings]] = MappingProxyType(
    {
        "CartPole-v1": _CONTROL,
        "Acrobot-v1": _CONTROL,
        "Teacher": _for_presets(**_TEACHER),
    }
)
"""Hyper-parameters of the synapse agents, by task and preset."""

SIZE_NULLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"accept-reject": {}, "es": {}, "cma-es": {"separable": True}}
)
"""Nulls of the part on size; a full covariance of 10,000 weights would need 800 MB."""

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


def without_dynamics(settings: SynapseAgentsSettings) -> SynapseAgentsSettings:
    """Return hyper-parameters of agents that differ only in that they know no dynamics."""
    preset = settings.preset.removesuffix("+dynamics")
    if preset == settings.preset:
        raise ValueError(f"preset {preset!r} has no dynamics; give one that ends in '+dynamics'")
    return replace(settings, preset=preset, reward="global")
