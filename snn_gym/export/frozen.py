"""Trained agents that only act: each decision is one compiled call on copies of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.export.frozen_kernels import RELU, TANH, decide_ann, decide_spiking
from snn_gym.policies.portable_agent import (
    Array,
    Portable,
    PortableAgent,
    PortableANN,
    PortableLayer,
    portable,
)
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.program.kernels import forward_kernel
from snn_gym.program.neuron import is_monotone
from snn_gym.spiking.neurons.forward_kernels import forward

_LARGEST = 1e6
"""Currents up to here are tried for the largest one that makes no neuron fire."""
_HALVINGS = 80
_CAUTION = 1e-5
"""Share by which a current must lie below that one to count as quiet: rounding is far smaller."""
_NO_LIMIT = 3e38


class FrozenPolicy:
    """A trained agent that only acts, many times as fast as by ``predict`` of its algorithm.

    Args:
        agent: Its numbers.
        observation_space: What it sees.
        action_space: What it chooses from.
    """

    def __init__(
        self,
        agent: PortableAgent | PortableANN,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self._agent = agent
        self._shape = observation_space.shape
        self._kernel = decide_spiking if isinstance(agent, PortableAgent) else decide_ann
        self._plan, self._table = _packed(agent)

    def predict(
        self,
        observation: NDArray[Any],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], None]:
        """Return the best actions, as ``predict`` of Stable-Baselines3 does.

        Args:
            observation: One observation or a batch.
            state: Not looked at, for these agents have none.
            episode_start: Not looked at.
            deterministic: True: nothing is drawn.

        Returns:
            One action or a batch, and no state.

        Raises:
            ValueError: ``deterministic`` is False, or shapes are others.
        """
        del state, episode_start
        if not deterministic:
            raise ValueError("a frozen agent draws no actions; pass deterministic=True")
        given = np.asarray(observation)
        one = given.shape == self._shape
        if not one and given.shape[1:] != self._shape:
            raise ValueError(
                f"observations have the shape {given.shape}, expected {self._shape} or a batch "
                "of these"
            )
        rows = np.ascontiguousarray(given, np.float32).reshape(1 if one else len(given), -1)
        actions = self._chosen(self.outputs(rows))
        return (actions[0] if one else actions), None

    def outputs(self, observations: Array) -> Array:
        """Return what the head gives, of which the action is chosen.

        Args:
            observations: (B, values) float32, in order.
        """
        found = np.empty((len(observations), self._agent.outputs), np.float32)
        self._kernel(self._plan, self._table, observations, found)
        return found

    def _chosen(self, outputs: Array) -> NDArray[Any]:
        agent = self._agent
        if agent.choice == "argmax":
            actions: NDArray[Any] = outputs.argmax(1)
            return actions
        if agent.choice == "squash":
            outputs = agent.low + np.float32(0.5) * (np.tanh(outputs) + 1) * (
                agent.high - agent.low
            )
        clipped = np.clip(outputs, agent.low, agent.high)
        return clipped.reshape(-1, *(self.action_space.shape or ()))


def freeze(model: BaseAlgorithm | BasePolicy) -> FrozenPolicy:
    """Return an agent that only acts, by one compiled call for a decision.

    It has copies of the weights, so that it does not follow a model that goes on learning.
    Spikes are those of the model, bit for bit; outputs are within rounding of its own.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy; without a state or recurrence.

    Raises:
        ValueError: A part has no compiled form; the message names the nearest one.
    """
    policy: Any = bare_policy(model, "exported")
    agent = portable(policy)
    looped = isinstance(agent, PortableAgent) and any(x.recurrent is not None for x in agent.layers)
    if looped or (isinstance(agent, PortableAgent) and agent.stateful):
        raise ValueError(
            "agents with a state or recurrent layers are not frozen; act by their own predict"
        )
    return FrozenPolicy(agent, policy.observation_space, policy.action_space)


def _packed(agent: PortableAgent | PortableANN) -> tuple[NDArray[np.int64], Array]:
    """Return plan and table, as ``frozen_kernels`` says."""
    plan = [1, agent.inputs, 1, agent.outputs]
    rows = [*_scaling(agent)]
    if isinstance(agent, PortableANN):
        kind = TANH if agent.activation == "tanh" else RELU
        plan += [x for size in agent.sizes for x in (kind, 0, size)]
        for biases, weights in zip(agent.biases, agent.weights, strict=True):
            rows += [biases, *weights]
    else:
        plan[0], plan[2] = agent.time_steps, int(not agent.spike_input)
        for layer in agent.layers:
            kernel = forward_kernel(layer.neuron)
            plan += [kernel.address, len(layer.rest), layer.size]
            quiet = np.float32(quiet_current(layer, agent.time_steps))
            constants = np.concatenate([[quiet], layer.constants])
            rows += [constants, *layer.rest, layer.biases, *layer.weights]
    rows += [agent.head_biases, *agent.head_weights.T]
    if isinstance(agent, PortableAgent):
        rows.append(agent.coefficients[0])
    table = np.zeros((len(rows), max(len(row) for row in rows)), np.float32)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return np.array(plan, np.int64), table


def _scaling(agent: Portable) -> Iterator[Array]:
    found = agent.normaliser
    yield np.zeros(agent.inputs, np.float32) if found is None else found.mean
    yield np.ones(agent.inputs, np.float32) if found is None else found.std
    yield np.array([_NO_LIMIT if found is None else found.clip], np.float32)


def quiet_current(layer: PortableLayer, time_steps: int) -> float:
    """Return a current that lets no neuron of a layer fire, nor do smaller ones.

    Potentials grow with the currents that came before, so that a neuron that is silent at a held
    current is so at all that never exceed it.

    Args:
        layer: The layer.
        time_steps: T of a decision, from rest.

    Returns:
        The largest such current, less a margin for rounding; minus infinity if there is none.
    """
    low, high = -_LARGEST, _LARGEST
    if not is_monotone(layer.neuron, layer.numbers) or _fires(layer, low, time_steps):
        return -np.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _fires(layer, middle, time_steps) else (middle, high)
    scale = max(abs(low), *map(abs, layer.numbers.values()))
    return low - _CAUTION * scale


def _fires(layer: PortableLayer, current: float, time_steps: int) -> bool:
    """Tell whether any neuron of a layer fires at a held current, from rest."""
    held = np.full((1, layer.size), current, np.float32)
    spikes = np.empty((time_steps, layer.size), np.float32)
    kernel, constants = forward_kernel(layer.neuron), layer.constants.reshape(-1, 1)
    nothing = np.empty((0, time_steps, layer.size), np.float32)
    forward(kernel.address, constants, held, layer.rest.copy(), nothing, spikes)
    return bool(spikes.any())
