"""Tasks, arms and seeds of the study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snn_gym.envs.registry import load_environment_spec

CHECKPOINT_INTERVAL = 10_000
"""Environment steps between checkpoints, from which arms branch."""
FIRST_SEED = 100
"""First seed that is reported. Settings were chosen on seeds from 1000 on."""
FRESH_SEED = 110
"""First seed of tasks whose first ten seeds revealed a fault of an earlier outer loop."""
FRESHER_SEED = 120
"""First seed of tasks whose seeds from 110 on taught something as well."""
TENTH_SEED = 130
"""First seed of ``TENTH_TASKS``, whose settings follow from all earlier seeds."""
SECOND_SEED = 140
"""First seed of ``SECOND_TASKS``."""
SYNAPSE_SEED = 150
"""First seed of ``SYNAPSE_TASKS``."""

SPIKES_ALONE: Mapping[str, float] = MappingProxyType({"pruning": 0.0})
"""Settings of the runs before synapses were shed too."""


@dataclass(frozen=True)
class Task:
    """A task of the study, and who plays it."""

    env_id: str
    """Gymnasium id."""
    agent: str = "ppo-lif"
    """Agent that is trained; its twin is the zoo's."""
    seeds: int = 10
    """Number of seeds."""
    first_seed: int = FIRST_SEED
    """First of them."""
    margin: float = 0.05
    """Loss of return that is no loss, in units of the range from random play to ``solved``."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the network that replace the agent's."""
    variant: str = ""
    """Prefix of the arms of such a network, agent or seeds; empty for the task's default."""

    budget: int | None = None
    """Environment steps of a training; None for the environment's budget."""

    lean: Mapping[str, Any] = field(default_factory=lambda: SPIKES_ALONE)
    """Settings of ``LeanParameters`` for all arms but ``off``, which have those of the arm too."""

    @property
    def name(self) -> str:
        """Id of the environment, with the suffix of a repeated task."""
        return f"{self.env_id}@{self.variant}" if self.variant else self.env_id

    def label(self, arm: str) -> str:
        """Return the name under which an arm's outcome is kept."""
        return f"{self.variant}-{arm}" if self.variant else arm

    @property
    def steps(self) -> int:
        """Environment steps of a training."""
        return self.budget or load_environment_spec(self.env_id).budget["gradient"]

    @property
    def allowed_loss(self) -> float:
        """Loss of return that is no loss, in units of return."""
        return load_environment_spec(self.env_id).reference.loss(self.margin)

    def seed_range(self) -> range:
        """Return the reported seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.env_id: task
        for task in (
            Task("CartPole-v1", first_seed=FRESHER_SEED),
            Task("Pendulum-v1", first_seed=FRESH_SEED, margin=0.02),
            Task("Acrobot-v1", first_seed=FRESH_SEED),
            Task("MountainCar-v0", first_seed=FRESHER_SEED),
            Task("snn/CartPole-v1", first_seed=FRESH_SEED),
            Task("snn/CueAccumulation-v0", "recurrent-ppo-lsnn", first_seed=FRESHER_SEED),
            Task("LunarLander-v3", seeds=5, first_seed=111),
        )
    }
)
"""Tasks by id, in the order in which they are run."""
OTHER_AGENTS: Mapping[str, Task] = MappingProxyType(
    {
        task.agent: task
        for task in (
            # Seeds before these taught how values of actions are compared, and that neurons which
            # fire all the time are to be folded.
            Task("CartPole-v1", "dqsn", seeds=5, first_seed=FRESHER_SEED, variant="dqsn"),
            # Each step has an update of all networks; this is its cost.
            Task("Pendulum-v1", "sac-lif", seeds=5, margin=0.02, variant="sac-lif", budget=20_000),
        )
    }
)
"""Agents that learn in other ways, by name, each on one task."""
TENTH = "tenth"
WORST_TENTH: Mapping[str, float] = MappingProxyType(
    {"worst_share": 0.1, "bound": 0.2, "max_bound": 0.3}
)
"""Settings chosen on seeds 1000 to 1003 of all tasks but LunarLander-v3."""
TENTH_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            replace(task, first_seed=TENTH_SEED, variant=TENTH, lean={**task.lean, **WORST_TENTH})
            for task in TASKS.values()
        )
    }
)
"""The tasks with a bound for the tenth of the states in which behaviour is farthest off, by id and
``@tenth``."""
SECOND = "second"
SECOND_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            replace(TASKS[env_id], seeds=10, first_seed=SECOND_SEED, variant=SECOND)
            for env_id in ("snn/CueAccumulation-v0", "LunarLander-v3", "MountainCar-v0")
        )
    }
)
"""Tasks all of whose arms were trained once more, with other seeds, by id and ``@second``: an arm
branches from the weights of its `off`, and these were not kept and come out otherwise on another
processor or with another version."""

SYNAPSES = "synapses"
SYNAPSE_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(env_id, agent, 5, SYNAPSE_SEED, margin, variant=SYNAPSES, lean={})
            for env_id, agent, margin in (
                ("Pendulum-v1", "ppo-lif", 0.02),
                ("snn/CartPole-v1", "ppo-lif", 0.05),
                ("snn/CursorDecoding-v0", "recurrent-ppo-lsnn", 0.05),
                ("snn/EventTracking-v0", "recurrent-ppo-lsnn", 0.05),
            )
        )
    }
)
"""Tasks on which synapses are shed with the spikes, by id and ``@synapses``."""

OFF = "off"
LEAN = "lean"
SPIKES = "spikes"
FIXED = "fixed"
PRUNE = "prune"
SMALL = "small"

TUNING_SEEDS = range(1002, 1005)
"""Seeds on which the strength of ``fixed`` is chosen; no result uses them."""
STRENGTHS = (1.7, 4.0, 10.0, 25.0, 60.0)
"""Strengths of which it is chosen, evenly apart on a logarithmic scale. Of 0.3 to 10, between which
the strength of ``lean`` mostly moves, the largest was best on all of the first four tasks."""
CHOICES = Path(__file__).parent / "fixed.json"
"""File of the strengths that were chosen, by task."""

_CONTROL = {"widening": 1.0, "tolerance": 1.0}
"""A bound that stays, whatever is earned."""
_FIXED = {"control_rate": 0.0, **_CONTROL}

TRIED: Mapping[str, float] = MappingProxyType({f"{FIXED}-{x:g}": x for x in STRENGTHS})
"""Strengths by the arm that tries one."""

ARMS: Mapping[str, Mapping[str, Any] | None] = MappingProxyType(
    {
        OFF: None,
        LEAN: {},
        SPIKES: SPIKES_ALONE,
        "shuffled": {"signals": "shuffled", **_CONTROL},
        "uniform": {"signals": "uniform", **_CONTROL},
        "scale": {"signals": "scale", **_CONTROL},
        "blind": {"signals": "blind", **_CONTROL},
        FIXED: _FIXED,
        PRUNE: {"signals": "prune", "pruning": 1.0, **_CONTROL},
        SMALL: {"first_strength": 0.0, **_FIXED},
        "synops-2000": {"max_synops": 2000.0},
        "synops-1000": {"max_synops": 1000.0},
        "synops-500": {"max_synops": 500.0},
        "synops-250": {"max_synops": 250.0},
        **{arm: {"first_strength": x, **_FIXED} for arm, x in TRIED.items()},
    }
)
"""Settings of ``LeanParameters`` by arm; None for an agent that goes on learning. Controls have
the last bound of ``lean``, so they are run after it."""

REPORTED = tuple(arm for arm in ARMS if arm not in TRIED and arm != SPIKES)
"""Arms that are run with the reported seeds; ``spikes`` is `lean` there."""


def settings_of(
    arm: str, last_bound: float | None, strength: float | None = None
) -> dict[str, Any] | None:
    """Return the settings of an arm."""
    if arm not in ARMS:
        raise ValueError(f"arm {arm!r} is unknown; arms: {', '.join(ARMS)}")
    settings = ARMS[arm]
    if settings is None or not _CONTROL.items() <= settings.items():
        return None if settings is None else dict(settings)
    if last_bound is None:
        raise ValueError(f"arm {arm!r} takes the last bound of {LEAN!r}: run that first")
    if arm != FIXED:
        return {**settings, "bound": last_bound}
    if strength is None:
        raise ValueError(f"arm {arm!r} takes a strength that was chosen, got none")
    return {**settings, "first_strength": strength, "bound": last_bound}


def read_choices(path: Path = CHOICES) -> dict[str, float]:
    """Return the strengths that were chosen, by task; none where there is no file."""
    if not path.exists():
        return {}
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def chosen_strength(task: Task, path: Path = CHOICES) -> float:
    """Return the strength that was chosen for a task."""
    chosen = read_choices(path).get(task.env_id)
    if chosen not in STRENGTHS:
        raise ValueError(
            f"arm {FIXED!r} of {task.env_id} has the strength {chosen}, expected one of "
            f"{STRENGTHS}: run `python -m studies.lean choose --task {task.env_id}` first"
        )
    return chosen
