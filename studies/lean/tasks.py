"""Tasks, arms and seeds of the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snn_gym.envs.registry import load_environment_spec

CHECKPOINT_INTERVAL = 10_000
"""Environment steps between checkpoints, from which arms branch."""
FRESH_SEED, FRESHER_SEED = 110, 120
"""First seeds of tasks whose seeds before taught something. Settings were chosen on seeds from 1000
on."""
SECOND_SEED, SYNAPSE_SEED = 140, 150
"""First seeds of ``SECOND_TASKS`` and of ``SYNAPSE_TASKS``."""
SECOND, SYNAPSES = "second", "synapses"
OFF = "off"
LEAN = "lean"
SPIKES = "spikes"
FIXED = "fixed"
PRUNE = "prune"
SMALL = "small"
SIGNALS = ("shuffled", "uniform", "scale", "blind")
"""Controls that differ in the signal that each neuron receives (``studies.lean.controls``)."""
CONTROLS = (*SIGNALS, FIXED, PRUNE, SMALL)
SPIKES_ALONE: Mapping[str, float] = MappingProxyType({"pruning": 0.0})
"""Settings of the runs before synapses were shed too."""


@dataclass(frozen=True)
class Task:
    """A task of the study, and who plays it."""

    env_id: str
    """Gymnasium id."""
    agent: str = "ppo-lif"
    """Agent that is trained."""
    seeds: int = 10
    """Number of seeds."""
    first_seed: int = FRESH_SEED
    """First of them."""
    margin: float = 0.05
    """Loss of return that is no loss, in units of the range from random play to ``solved``."""
    variant: str = ""
    """Prefix of the arms of other seeds; empty for the task's default."""
    lean: Mapping[str, Any] = field(default_factory=lambda: SPIKES_ALONE)
    """Settings of ``LeanParameters`` for all arms but ``off``, which have those of the arm too."""
    arms: tuple[str, ...] = (OFF, LEAN, *CONTROLS)
    """Arms that are trained, in this order: they branch from ``off``, and controls follow
    ``lean``."""

    @property
    def name(self) -> str:
        """Id of the environment, with the suffix of a repeated task."""
        return f"{self.env_id}@{self.variant}" if self.variant else self.env_id

    def label(self, arm: str) -> str:
        """Return the name under which an arm's outcome is kept."""
        return f"{self.variant}-{arm}" if self.variant else arm

    def run_name(self, arm: str, seed: int) -> str:
        """Return the name of a run in the table."""
        return f"{self.env_id}/{self.label(arm)}/{seed}"

    @property
    def steps(self) -> int:
        """Environment steps of a training."""
        return load_environment_spec(self.env_id).budget["gradient"]

    @property
    def allowed_loss(self) -> float:
        """Loss of return that is no loss, in units of return."""
        return load_environment_spec(self.env_id).reference.loss(self.margin)

    def seed_range(self) -> range:
        """Return the reported seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)


TASKS = (
    Task("CartPole-v1", first_seed=FRESHER_SEED),
    Task("Pendulum-v1", margin=0.02),
    Task("Acrobot-v1"),
    Task("MountainCar-v0", first_seed=FRESHER_SEED, arms=(OFF, LEAN, FIXED)),
    Task("snn/CartPole-v1"),
    Task("snn/CueAccumulation-v0", "recurrent-ppo-lsnn", first_seed=FRESHER_SEED, arms=(OFF, LEAN)),
    Task("LunarLander-v3", seeds=5, first_seed=111, arms=(OFF, LEAN)),
)
SECOND_TASKS = (
    Task(
        "snn/CueAccumulation-v0", "recurrent-ppo-lsnn", 10, SECOND_SEED, variant=SECOND,
        arms=(OFF, LEAN, *SIGNALS, PRUNE),
    ),
    Task(
        "LunarLander-v3", first_seed=SECOND_SEED, variant=SECOND,
        arms=(OFF, LEAN, *SIGNALS, PRUNE, SMALL),
    ),
    Task(
        "MountainCar-v0", first_seed=SECOND_SEED, variant=SECOND,
        arms=(OFF, LEAN, *SIGNALS, PRUNE),
    ),
)  # fmt: skip
"""Tasks that were trained once more, with other seeds: an arm branches from the weights of its
`off`, and these were not kept and come out otherwise on another processor or with another
version."""
SYNAPSE_TASKS = tuple(
    Task(
        env_id, agent, 5, SYNAPSE_SEED, margin, variant=SYNAPSES, lean={},
        arms=(OFF, LEAN, SPIKES, PRUNE),
    )
    for env_id, agent, margin in (
        ("Pendulum-v1", "ppo-lif", 0.02),
        ("snn/CartPole-v1", "ppo-lif", 0.05),
        ("snn/CursorDecoding-v0", "recurrent-ppo-lsnn", 0.05),
    )
)  # fmt: skip
"""Tasks on which synapses are shed with the spikes."""

STRENGTHS: Mapping[str, float] = MappingProxyType(
    {
        "CartPole-v1": 60.0,
        "Pendulum-v1": 60.0,
        "Acrobot-v1": 60.0,
        "MountainCar-v0": 4.0,
        "snn/CartPole-v1": 60.0,
    }
)
"""Strength of the cost in the control ``fixed``, by task: of 1.7, 4, 10, 25 and 60 the one with the
fewest SynOps on seeds 1002 to 1004 whose mean return was within the margin."""

_CONTROL = {"widening": 1.0, "tolerance": 1.0}
"""A bound that stays, whatever is earned."""


def settings_of(arm: str, task: Task, last_bound: float | None) -> dict[str, Any]:
    """Return the settings of ``LeanParameters`` of an arm that sheds.

    Controls have the last bound of ``lean``, so they are run after it.
    """
    if arm in (LEAN, SPIKES):
        return {**task.lean, **(SPIKES_ALONE if arm == SPIKES else {})}
    if last_bound is None:
        raise ValueError(f"arm {arm!r} takes the last bound of {LEAN!r}: run that first")
    settings: dict[str, dict[str, Any]] = {
        FIXED: {"first_strength": STRENGTHS.get(task.env_id), "control_rate": 0.0},
        SMALL: {"first_strength": 0.0, "control_rate": 0.0},
        PRUNE: {"signals": PRUNE, "pruning": 1.0},
    }
    own = settings.get(arm, {"signals": arm})
    return {**task.lean, **own, **_CONTROL, "bound": last_bound}
