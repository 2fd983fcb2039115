"""Smallest networks in fixed point: their return, and the instructions of a decision on a chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.leaderboard.floor import agent_of
from snn_gym.learners.students import Family
from snn_gym.policies import program_of
from snn_gym_deploy import IntegerProgram, to_integer, visit
from snn_gym_deploy.instructions import check_tools, count_instructions
from studies.floor.tasks import Played, search

SEEDS = range(5)


@dataclass(frozen=True)
class Counted(Played):
    """A smallest network with weights of 8 bits, its return, and its instructions as C."""

    instructions: float
    """Of a decision, on a Cortex-M4."""
    form: str
    """Form of the C."""


class IntegerPolicy:
    """A policy that acts by an integer program.

    Args:
        integer: The program.
        like: Policy with its spaces.
    """

    def __init__(self, integer: IntegerProgram, like: Any) -> None:
        self._integer = integer
        self.observation_space, self.action_space = like.observation_space, like.action_space

    def predict(
        self,
        observation: NDArray[Any],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return actions (B,) or (B, O) for observations (B, ...), and the state to go on with."""
        del deterministic
        if state is not None and episode_start is not None:
            rest = self._integer.rest_state(len(observation))
            starts = episode_start[:, np.newaxis]
            state = tuple(np.where(starts, x, y) for x, y in zip(rest, state, strict=True))
        made = self._integer.decide(observation, state)
        return made.actions, made.state if self._integer.program.stateful else None


def counted(env_id: str, family: Family, seed: int) -> Counted:
    """Search again for the smallest network of a family, and count it in fixed point."""
    check_tools("cortex-m4")  # before the minutes of the search
    result = search(env_id, family, seed)
    small = result.cheapest[family]
    assert small is not None  # the same search gave one before
    model = agent_of(small, env_id, seed=seed)
    visits = visit(model, env_id)
    found = count_instructions(model, env_id, "cortex-m4", visits=visits)
    integer = to_integer(program_of(model), visits.peaks, visits.inputs)
    policy = IntegerPolicy(integer, model.policy)
    played = evaluate(policy, env_id, 1_000)
    return Counted(result.least_return, played.mean, found.per_decision, found.form)
