"""Episodes of programs by the interpreter, whose costs are those of their own execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.registry import make_task
from snn_gym.leaderboard.evaluation import Evaluation, evaluate
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.program.costs import Costs, count_costs
from snn_gym.program.interpreter import decide
from snn_gym.program.layers import Array
from snn_gym.program.program import Program


def episode_costs(
    program: Program,
    env_id: str,
    seeds: Sequence[int],
    *,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluate a program by the interpreter, and count its costs in its own execution.

    Costs are means over decisions: those of an episode are ``lengths`` times as much.

    Args:
        program: A program; ``with_events`` returns one that updates neurons only when they receive.
        env_id: Gymnasium id.
        seeds: Seed of each episode.
        env_kwargs: Arguments of the environment.

    Raises:
        ValueError: There are no seeds, or observations do not fit the program.
    """
    env = make_task(env_id, **(env_kwargs or {}))
    policy = InterpretedPolicy(program, env.observation_space, env.action_space)
    env.close()
    return evaluate(policy, env_id, seeds=seeds, env_kwargs=env_kwargs)


class InterpretedPolicy(FrozenPolicy):
    """A program that acts by the interpreter, in its own execution, and counts its costs.

    Args:
        program: Acting network of the agent.
        observation_space: Space of observations.
        action_space: Space of actions.
    """

    def _actions(self, rows: Array, states: Array | None) -> NDArray[Any]:
        decision = decide(self.program, rows, states, self._noise(len(rows)))
        if states is not None:
            states[:] = decision.state
        return decision.actions

    def record(self, obs: NDArray[Any], state: tuple[NDArray[Any], ...] | None = None) -> Counted:
        """Return the mean costs of decisions.

        Args:
            obs: A batch of observations.
            state: State before, as ``predict`` returns it; None for rest.
        """
        rows, before = np.asarray(obs, np.float32), None if state is None else state[0]
        return Counted(count_costs(self.program, rows, before, self._noise(len(rows))))


@dataclass(frozen=True)
class Counted:
    """Recording of which only costs are known."""

    costs: Costs
