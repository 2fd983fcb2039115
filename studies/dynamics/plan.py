"""Every case of the study: what is run, and on how many seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from snn_gym.learners.settings import PRESET_NAMES, SynapseAgentsSettings
from studies.dynamics.control import ControlCase
from studies.dynamics.outcome import Outcome
from studies.dynamics.settings import (
    NULLS,
    PRESETS_BUDGET,
    SOLVED_RETURN,
    SYNAPSE_AGENTS,
    TEACHER_JUDGEMENTS,
    TEACHER_NULLS,
)
from studies.dynamics.supervised import TeacherCase


class Case(Protocol):
    """Something that is run on every seed."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""

    def train(self, seed: int) -> Outcome:
        """Run one seed."""


@dataclass(frozen=True)
class Planned:
    """A case and its place in the study."""

    part: str
    """Part of the study."""
    labels: tuple[str, ...]
    """What is run, from the general to the special."""
    seeds: int
    """How many seeds, 0, 1, ..., are reported."""
    case: Case
    """What is run."""


def plan(part: str) -> list[Planned]:
    """Return the cases of a part.

    Args:
        part: One of ``PARTS``.

    Raises:
        ValueError: There is no such part.
    """
    if part not in PARTS:
        raise ValueError(f"part {part!r} is unknown; known: {', '.join(PARTS)}")
    return PARTS[part]()


def _presets() -> list[Planned]:
    learners: dict[str, str | SynapseAgentsSettings] = {
        **{preset: SYNAPSE_AGENTS["CartPole-v1"][preset] for preset in PRESET_NAMES},
        **{name: name for name in NULLS},
    }
    cartpole = [
        Planned(
            "presets", ("CartPole-v1", label), 10,
            ControlCase("CartPole-v1", learner, PRESETS_BUDGET, SOLVED_RETURN),
        )
        for label, learner in learners.items()
    ]  # fmt: skip
    return cartpole + _on_teacher()


def _on_teacher() -> list[Planned]:
    agents = {
        preset: TeacherCase(SYNAPSE_AGENTS["Teacher"][preset], TEACHER_JUDGEMENTS)
        for preset in PRESET_NAMES
    }
    nulls = {
        name: TeacherCase(name, TEACHER_JUDGEMENTS, overrides=TEACHER_NULLS[name]) for name in NULLS
    }
    return [
        Planned("presets", ("Teacher", label), 10, case)
        for label, case in {**agents, **nulls}.items()
    ]


PARTS: dict[str, Callable[[], list[Planned]]] = {
    "presets": _presets,
}
"""What lists the cases of each part, by its name."""
