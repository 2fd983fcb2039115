"""Event-driven execution of leaky integrators, and its costs.

Their outputs are linear in a state that decays, so that a decision need not be computed where no
input arrives and the action stays the same until one does. The integrators are then brought up to
date by one update, whatever time it covers. Only the costs differ from the clocked execution: the
actions are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.registry import make_task
from snn_gym.leaderboard.evaluation import Evaluation, evaluate
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.program.costs import NUMBER_BYTES, Costs, costs_of, mean_costs, sum_costs
from snn_gym.program.interpreter import decide, hidden_before
from snn_gym.program.layers import Array, LeakyLayer
from snn_gym.program.program import Program
from snn_gym.spiking.recording import Recording


def episode_costs(
    program: Program,
    env_id: str,
    seeds: Sequence[int],
    *,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluate leaky integrators, and count the costs of their event-driven execution.

    Costs are means over decisions: those of an episode are ``lengths`` times as much.

    Args:
        program: One layer of leaky integrators with discrete actions.
        env_id: Gymnasium id.
        seeds: Seed of each episode.
        env_kwargs: Arguments of the environment.

    Raises:
        ValueError: The program is another one, there are no seeds, or observations do not fit.
    """
    if [*map(type, program.layers)] != [LeakyLayer] or not program.choice.discrete:
        raise ValueError(
            "event-driven costs are counted of one layer of leaky integrators that chooses "
            f"discrete actions, got layers {[type(x).__name__ for x in program.layers]} and the "
            f"choice {program.choice.rule!r}"
        )
    env = make_task(env_id, **(env_kwargs or {}))
    policy = EventDrivenPolicy(program, env.observation_space, env.action_space)
    env.close()
    return evaluate(policy, env_id, seeds=seeds, env_kwargs=env_kwargs)


class EventDrivenPolicy(FrozenPolicy):
    """Leaky integrators that are computed only where an input arrives or their action may change.

    Args:
        program: One layer of leaky integrators with discrete actions.
        observation_space: Space of observations.
        action_space: Space of actions.
    """

    def record(
        self, observation: NDArray[Any], state: tuple[NDArray[Any], ...] | None = None
    ) -> Recording:
        """Return outputs and mean costs of decisions on a batch.

        Args:
            observation: A batch of observations.
            state: State before, as ``predict`` returns it; None for rest.
        """
        rows = np.asarray(observation, np.float32)
        costs = event_costs(self.program, rows, None if state is None else state[0])
        return replace(super().record(observation, state), costs=costs)


def event_costs(program: Program, observations: Array, state: Array | None = None) -> Costs:
    """Return the mean costs of event-driven decisions, for a state (B, F); None for rest."""
    (layer,) = program.layers
    assert isinstance(layer, LeakyLayer)  # as episode_costs has checked
    decision = decide(program, observations, state)
    entered, before = decision.entered, hidden_before(program, state, len(observations))[0]
    computed = touched(program, entered[0], before)
    here = [
        costs_of(program, entered[:, one], [decision.layers[0][one]], before[one])
        for one in np.split(np.arange(len(observations)), len(observations))
    ]
    # A decision costs nothing or all, but for spikes without a synapse.
    nothing = Costs()
    parts = [
        (1, x if now else replace(nothing, spikes_per_decision=x.spikes_per_decision))
        for x, now in zip(here, computed, strict=True)
    ]
    share = float(computed.mean())
    more: dict[str, Any] = {
        # The time of the last update.
        "state_bytes_per_decision": {"leaky_1": share * NUMBER_BYTES * layer.size}
    }
    if np.ptp(layer.decay) > 0:  # whether outputs may change takes a product with the head
        ahead = (decision.layers[0][computed] != 0) @ (program.head.weights != 0).sum(0)
        products = float(ahead.sum()) / len(observations)
        more["macs_per_decision"] = {"readout": products}
        more["parameter_bytes_per_decision"] = {"readout": NUMBER_BYTES * products}
    return sum_costs(mean_costs(parts), Costs(**more))


def touched(program: Program, values: Array, state: Array) -> NDArray[np.bool_]:
    """Return where (B,) an input (B, D) arrives, or the action of states (B, N) may change."""
    (layer,) = program.layers
    assert isinstance(layer, LeakyLayer)  # as episode_costs has checked
    received = ((values != 0).astype(np.float32) @ (layer.weights != 0)).any(1)
    return np.asarray(received | ~_settled(program, layer, state))


def _settled(program: Program, layer: LeakyLayer, state: Array) -> NDArray[np.bool_]:
    """Return where (B,) the action stays the same while the integrators decay to rest."""
    weights, steady = program.head.weights, layer.biases / (1 - layer.decay)
    left, rest = state - steady, weights @ steady + program.head.biases
    best = (left @ weights.T + rest).argmax(1)
    if np.ptp(layer.decay) == 0:
        # Outputs move on a straight line, and the region of an action is convex.
        return np.asarray(rest[best] >= rest.max())
    gaps = (weights[best][:, np.newaxis] - weights) * left[:, np.newaxis]  # (B, O, N)
    ahead = rest[best][:, np.newaxis] - rest + np.minimum(gaps, 0.0).sum(2)
    return np.asarray((ahead >= 0).all(1))
