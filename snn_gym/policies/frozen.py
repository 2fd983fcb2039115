"""Programs of models, and agents that only act: one compiled call for a decision."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space

from snn_gym.policies.acting import as_taken, rows_of
from snn_gym.policies.base import ProgramPolicy
from snn_gym.policies.raw_observations import Acting, ActingPolicy, RawPolicy, raw_policy
from snn_gym.program.compiled import CompiledProgram
from snn_gym.program.costs import costs_of
from snn_gym.program.interpreter import decide, rest_state
from snn_gym.program.layers import Array
from snn_gym.program.program import Program
from snn_gym.spiking.execution import next_noise
from snn_gym.spiking.recording import Recording


def program_of(model: BaseAlgorithm | Acting) -> Program:
    """Return the program that an agent acts by.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names a supported one.
    """
    policy = raw_policy(model)
    bare = policy.inner if isinstance(policy, RawPolicy) else policy
    if not isinstance(bare, ProgramPolicy):
        raise ValueError(f"only policies of snn_gym are exported, got {type(bare).__name__}")
    if is_image_space(bare.observation_space):
        raise ValueError("images are not exported; train on a Box whose values are flattened")
    program: Program = policy.program()
    return program


class FrozenPolicy:
    """A trained agent that only acts, many times as fast as by ``predict`` of its algorithm.

    Args:
        program: Acting network of the agent.
        observation_space: Space of observations.
        action_space: Space of actions.
    """

    def __init__(
        self,
        program: Program,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.program = program
        self.reseed_noise(0)

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder; without one nothing happens.

        Args:
            seed: Seed of the stream, as in ``reseed_noise`` of a policy.
        """
        self._noise_state = torch.tensor([seed, 0])

    def predict(
        self,
        observation: NDArray[Any],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the best actions, as ``predict`` of Stable-Baselines3 does.

        Args:
            observation: One observation or a batch of B.
            state: State that the last call returned; None starts every episode from rest.
            episode_start: (B,), bool: where an episode starts, from rest. None: nowhere.
            deterministic: Has to be True, for no action is drawn.

        Returns:
            One action or a batch, and the state for the next call; None if none is carried.

        Raises:
            ValueError: ``deterministic`` is False, or shapes are others.
        """
        if not deterministic:
            raise ValueError("a frozen agent draws no actions; pass deterministic=True")
        observations = np.asarray(observation)
        rows = self._rows(observations)
        states = self._states(state, episode_start, len(rows))
        actions = self._actions(rows, states)
        taken = as_taken(actions, observations, self.observation_space, self.action_space)
        return taken, None if states is None else (states,)

    def record(
        self, observation: NDArray[Any], state: tuple[NDArray[Any], ...] | None = None
    ) -> Recording:
        """Return outputs and costs of decisions; the recording has no layers.

        Args:
            observation: One observation or a batch of B.
            state: As ``predict`` returned it before these decisions; None for rest.

        Raises:
            ValueError: The encoder draws noise, or the shape is another one.
        """
        if self.program.needs_noise:
            raise ValueError(
                "a frozen agent with a noisy encoder is not recorded; record its model"
            )
        rows = self._rows(np.asarray(observation))
        before = None if state is None else state[0]
        made = decide(self.program, rows, before)
        costs = costs_of(self.program, made.entered, made.layers, before)
        return Recording((), torch.from_numpy(made.outputs), 0.0, costs)

    def _rows(self, observations: NDArray[Any]) -> Array:
        """Return one observation or a batch as rows (B, values); refuse other shapes."""
        rows = rows_of(observations, self.observation_space)
        if rows is None:
            raise ValueError(
                f"observations have the shape {observations.shape}, expected "
                f"{self.observation_space.shape} or a batch of these"
            )
        return rows

    def _states(
        self, state: tuple[NDArray[Any], ...] | None, starts: NDArray[Any] | None, batch: int
    ) -> Array | None:
        """Return new states (B, F) before a decision; None if the program carries none."""
        program = self.program
        if not program.stateful:
            return None
        rest = rest_state(program, batch)
        if state is None:
            return rest
        if state[0].shape != rest.shape:
            raise ValueError(
                f"the state has the shape {state[0].shape}, expected {rest.shape}; pass on what "
                "predict returned"
            )
        # A copy, for the compiled call moves states on in place.
        again = np.zeros(batch, np.bool_) if starts is None else np.asarray(starts, np.bool_)
        return np.where(again[:, np.newaxis], rest, state[0]).astype(np.float32)

    @cached_property
    def _compiled(self) -> CompiledProgram:
        """The program's compiled call."""
        return CompiledProgram(self.program)

    def _actions(self, rows: Array, states: Array | None) -> NDArray[Any]:
        """Return the best actions for rows (B, values); move states (B, F) on in place."""
        return self._compiled.actions(rows, states, self._noise(len(rows)))

    def _noise(self, batch: int) -> Array | None:
        """Return the noise (T, B, channels) of a decision, None where none is needed."""
        program = self.program
        if not program.needs_noise:
            return None
        shape = (program.time_steps, batch, program.channels)
        return next_noise(self._noise_state, shape, 1).numpy()


def freeze(model: BaseAlgorithm | BasePolicy) -> FrozenPolicy:
    """Return an agent that only acts, by one compiled call for a decision.

    It has copies of the weights, so that it does not follow a model that goes on learning.
    Spikes are those of the model, bit for bit, but for noise and receptive fields. Outputs are
    within rounding of the model's, and so are observations that a VecNormalize standardises.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.

    Raises:
        ValueError: A part has no compiled form; the message names a supported one.
    """
    policy: ActingPolicy = raw_policy(model)
    return FrozenPolicy(program_of(policy), policy.observation_space, policy.action_space)
