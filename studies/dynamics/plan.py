"""Every case of the study and its number of seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from snn_gym._base.config import to_mapping
from snn_gym.learners.settings import PRESET_NAMES, SynapseAgentsSettings
from studies.dynamics.control import ControlCase
from studies.dynamics.hidden import HiddenCase
from studies.dynamics.outcome import Outcome
from studies.dynamics.settings import (
    BEST_PRESET,
    HIDDEN_NEURONS,
    HIDDEN_STEPS,
    NULLS,
    PAPER_PRESET,
    PRESETS_BUDGET,
    SIZE_BUDGET,
    SIZE_HIDDEN_NEURONS,
    SIZE_NULLS,
    SOLVED_RETURN,
    SYNAPSE_AGENTS,
    TEACHER_JUDGEMENTS,
    TEACHER_NULLS,
    TRANSFER_BUDGET,
    TRANSFER_JUDGEMENTS,
    TRANSFER_SOLVED,
    without_dynamics,
)
from studies.dynamics.supervised import TeacherCase
from studies.dynamics.transfer import AGENT, TransferCase

CARTPOLE = "CartPole-v1"
TEACHER = "Teacher"
Arm = Literal["dynamics", "features", "off", "shuffled"]


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
    """Names of the run, from the general to the special."""
    seeds: int
    """How many seeds, 0, 1, ..., are reported."""
    case: Case
    """Case to run."""


def plan(part: str) -> list[Planned]:
    """Return the cases of a part."""
    if part not in PARTS:
        raise ValueError(f"part {part!r} is unknown; known: {', '.join(PARTS)}")
    return PARTS[part](part)


def _presets(part: str) -> list[Planned]:
    """List every preset and null on CartPole until solved, and on the Teacher job."""
    planned = []
    for name, (agent, overrides) in _learners(CARTPOLE).items():
        case = ControlCase(CARTPOLE, agent, PRESETS_BUDGET, SOLVED_RETURN, overrides=overrides)
        planned.append(Planned(part, (CARTPOLE, name), 10, case))
    for name, (agent, overrides) in _learners(TEACHER).items():
        teacher = TeacherCase(agent, TEACHER_JUDGEMENTS, overrides=overrides)
        planned.append(Planned(part, (TEACHER, name), 10, teacher))
    return planned


def _learners(task: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return agents of the zoo with hyper-parameters, by preset or name."""
    nulls = TEACHER_NULLS if task == TEACHER else {name: {} for name in NULLS}
    return {
        **{name: (AGENT, to_mapping(SYNAPSE_AGENTS[task][name])) for name in PRESET_NAMES},
        **{name: (name, nulls[name]) for name in NULLS},
    }


def _hidden(part: str) -> list[Planned]:
    """List DQSN by hidden neurons."""
    return [Planned(part, (str(h),), 10, HiddenCase(h, HIDDEN_STEPS)) for h in HIDDEN_NEURONS]


def _size(part: str) -> list[Planned]:
    """List learners of CartPole by the number of synapses."""
    learners = _learners(CARTPOLE)
    return [
        Planned(
            part, (name, str(hidden)), 5,
            ControlCase(
                CARTPOLE, learners[name][0], SIZE_BUDGET, SOLVED_RETURN, hidden,
                {**learners[name][1], **SIZE_NULLS.get(name, {})},
            ),
        )
        for hidden in SIZE_HIDDEN_NEURONS
        for name in (BEST_PRESET, PAPER_PRESET, *SIZE_NULLS)
    ]  # fmt: skip


def _ablation(part: str) -> list[Planned]:
    """List the best preset with dynamics, with parts of them, and without, at one exploration."""
    planned = []
    for arm, settings in ablation_arms(SYNAPSE_AGENTS[CARTPOLE][BEST_PRESET]).items():
        case = ControlCase(
            CARTPOLE, AGENT, PRESETS_BUDGET, SOLVED_RETURN, overrides=to_mapping(settings)
        )
        planned.append(Planned(part, (CARTPOLE, arm), 30, case))
    for arm, settings in ablation_arms(SYNAPSE_AGENTS[TEACHER][BEST_PRESET]).items():
        taught = TeacherCase(AGENT, TEACHER_JUDGEMENTS, overrides=to_mapping(settings))
        planned.append(Planned(part, (TEACHER, arm), 10, taught))
    return planned


def ablation_arms(settings: SynapseAgentsSettings) -> dict[Arm, SynapseAgentsSettings]:
    """Return hyper-parameters that differ only in the synapses' knowledge of the dynamics."""
    return {
        "dynamics": settings,
        "features": replace(settings, reward="global"),
        "off": without_dynamics(settings),
        "shuffled": replace(settings, shuffled=True),
    }


def _transfer(part: str) -> list[Planned]:
    """List rules that were learned on the Teacher job, where they are carried to."""
    planned = []
    for target in ("same", "relabelled", "32-hidden", CARTPOLE, "Acrobot-v1"):
        task = target if target in SYNAPSE_AGENTS else TEACHER
        for preset in (BEST_PRESET, PAPER_PRESET):
            settings = SYNAPSE_AGENTS[task][preset]
            arms: dict[str, Case] = {"scratch": _target(target, AGENT, to_mapping(settings))}
            frozen = _target(target, AGENT, to_mapping(replace(settings, frozen=True)))
            for rule in ("pretrained", "untrained"):
                arms[rule] = TransferCase(preset, frozen, rule, target == "relabelled")
            planned += [
                Planned(part, (target, preset, arm), 10, case) for arm, case in arms.items()
            ]
        overrides = TEACHER_NULLS["accept-reject"] if task == TEACHER else {}
        null = _target(target, "accept-reject", overrides)
        planned.append(Planned(part, (target, "accept-reject"), 10, null))
    return planned


def _target(target: str, agent: str, overrides: Mapping[str, Any]) -> ControlCase | TeacherCase:
    if target in TRANSFER_SOLVED:
        solved = TRANSFER_SOLVED[target]
        return ControlCase(target, agent, TRANSFER_BUDGET, solved, overrides=overrides)
    hidden = 32 if target == "32-hidden" else None
    return TeacherCase(agent, TRANSFER_JUDGEMENTS, hidden, overrides)


PARTS: dict[str, Callable[[str], list[Planned]]] = {
    "presets": _presets,
    "hidden": _hidden,
    "size": _size,
    "ablation": _ablation,
    "transfer": _transfer,
}
"""Function that lists the cases of each part, by the part's name."""
