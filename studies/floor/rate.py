"""Actors on a pendulum that asks for more decisions a second: held, and by events."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import snn_gym
from snn_gym.envs.classic_control import BatchedPendulum
from snn_gym.leaderboard.evaluation import evaluation_seeds
from snn_gym.policies import FrozenPolicy
from snn_gym.program import NeuronLayer, Program, chosen, equations
from studies.floor.tasks import Played, search

RATES = (1, 2, 4, 8)
"""Times the 20 decisions a second of ``Pendulum-v1``."""
CONTENDERS = ("relu held", "relu events", "lif", "relu-8 held", "relu-8 events")
"""The smallest ReLU and LIF networks of a seed, and the zoo's ``ppo-relu-8``."""
ENV_ID = "Pendulum-v1"
_STEPS, _DT = 200, 0.05  # decisions of an episode, and seconds of one
_TUNING = range(1_700_000_000, 1_700_000_600)
_THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Change, in standard deviations, that a unit or input must exceed to send."""
Floats = NDArray[np.float64]
_search = cache(search)  # whose network serves at all rates


@dataclass(frozen=True)
class Rate(Played):
    """The cheapest setting of a contender at a rate; a reward counts by the time of its step."""

    operations: float | None = None
    """In a twentieth of a second, in which ``Pendulum-v1`` asks for one decision."""
    hold: int | None = None
    """Steps for which an action is held."""
    threshold: float | None = None
    """None if nothing but spikes and values other than zero is sent."""

    @property
    def price(self) -> float:
        """Operations, infinite if the return is not kept."""
        return self.operations if self.keeps and self.operations is not None else math.inf


class FastPendulum(BatchedPendulum):
    """``Pendulum-v1`` with shorter steps and as many more of them."""

    def __init__(self, num_envs: int, rate: int) -> None:
        super().__init__(num_envs, max_episode_steps=_STEPS * rate)
        self._task.dt = _DT / rate


Actor = Callable[[NDArray[np.float32]], tuple[NDArray[Any], float]]
"""Function of observations (B, 3) that returns actions (B, 1) and the operations of a decision, a
mean over the batch."""


class Dense:
    """An actor that computes everything anew, counted by the project's own counter."""

    def __init__(self, program: Program) -> None:
        env = FastPendulum(1, 1)
        self._policy = FrozenPolicy(program, env.single_observation_space, env.single_action_space)
        self._state: Any = None

    def __call__(self, observations: NDArray[np.float32]) -> tuple[NDArray[Any], float]:
        """Act as ``FrozenPolicy`` does."""
        operations = self._policy.record(observations, self._state).costs.operations_per_decision
        actions, self._state = self._policy.predict(observations, self._state)
        assert operations is not None  # of a network that is counted whole
        return actions, operations


class Events:
    """A ReLU network whose inputs and units send what changed (sigma-delta units).

    O'Connor and Welling 2016, https://arxiv.org/abs/1611.02024. An input or unit sends its value
    when it differs from the last one sent by more than a threshold, and its receivers add the
    difference. It takes one update a decision, which compares, and a MAC for each synapse that
    a difference passes.
    """

    def __init__(self, program: Program, bounds: Sequence[Floats]) -> None:
        self._maps, self._choice, self._bounds = maps(program), program.choice, bounds
        self.sent = [np.zeros(1) for _ in bounds]
        """Last values (B, D) that inputs, and units of each layer, have sent."""

    def __call__(self, observations: NDArray[np.float32]) -> tuple[NDArray[Any], float]:
        """Send what changed, and act by the sums of what was sent."""
        signal, operations = observations.astype(np.float64), 0.0
        for k, (weights, biases) in enumerate(self._maps):
            signal = np.maximum(signal, 0.0) if k else signal
            sends = np.abs(signal - self.sent[k]) > self._bounds[k]
            self.sent[k] = np.where(sends, signal, self.sent[k])
            fan_out = np.count_nonzero(weights, axis=1)
            operations += signal.shape[1] + float((sends * fan_out).sum(1).mean())
            signal = self.sent[k] @ weights + biases
        return chosen(self._choice, signal.astype(np.float32)), operations


def maps(program: Program) -> list[tuple[Floats, Floats]]:
    """Return weights (D, N) and biases (N,) of each map of a ReLU network."""
    pairs = [(x.weights, x.biases) for x in program.layers]
    pairs.append((program.head.weights.T, program.head.biases))
    return [(w.astype(np.float64), b.astype(np.float64)) for w, b in pairs]


def play(actor: Actor, rate: int, hold: int, seeds: Sequence[int]) -> tuple[Floats, float]:
    """Return returns (B,) of episodes by seeds, and operations in a twentieth of a second."""
    env = FastPendulum(len(seeds), rate)
    observations, _ = env.reset(seed=list(seeds))
    returns, operations = np.zeros(len(seeds)), 0.0
    actions: NDArray[Any] = np.zeros((len(seeds), 1), np.float32)
    for step in range(_STEPS * rate):
        if step % hold == 0:
            actions, more = actor(observations)
            operations += more
        observations, rewards, *_ = env.step(actions)
        returns += rewards / rate
    return returns, operations / _STEPS


def slowed(program: Program, period: float) -> Program:
    """Return a program whose neurons leak in a decision as much as in ``period`` of its own."""
    layers: list[Any] = []
    for layer in program.layers:
        if isinstance(layer, NeuronLayer):
            constants = layer.constants.copy()
            place = equations(layer.neuron).constants.index("mem_gain")
            constants[place] = 1 - (1 - constants[place]) ** period
            layers.append(replace(layer, constants=constants))
        else:
            layers.append(layer)
    return replace(program, layers=tuple(layers))


def deviations(program: Program, rate: int) -> list[Floats]:
    """Return the standard deviations (D,) of inputs and units of a ReLU network as it acts."""
    seen: list[list[Floats]] = []
    actor = Events(program, [np.zeros(1) for _ in maps(program)])

    def watched(observations: NDArray[np.float32]) -> tuple[NDArray[Any], float]:
        decided = actor(observations)
        seen.append(list(actor.sent))
        return decided

    play(watched, rate, 1, _TUNING[:20])
    return [np.concatenate(x).std(0) for x in zip(*seen, strict=True)]


def compared(contender: str, rate: int, seed: int) -> Rate:
    """Return a contender's cheapest setting that keeps the return on tuning episodes, played anew.

    It keeps it with a standard error to spare.
    """
    name, _, form = contender.partition(" ")
    program, least = _program(name, seed)
    if program is None:
        return Rate(least, None)
    scales = deviations(program, rate) if form == "events" else []
    kept: list[tuple[float, int, float | None]] = []
    for hold in sorted({max(1, rate // 2), rate, 2 * rate}):
        for threshold in _THRESHOLDS if scales else (None,):
            actor = _actor(program, hold / rate, threshold, scales)
            returns, operations = play(actor, rate, hold, _TUNING)
            if returns.mean() - returns.std() / math.sqrt(len(returns)) >= least:
                kept.append((operations, hold, threshold))
    if not kept:
        return Rate(least, None)
    _, hold, threshold = min(kept, key=lambda x: x[0])
    actor = _actor(program, hold / rate, threshold, scales)
    returns, operations = play(actor, rate, hold, evaluation_seeds(1_000))
    return Rate(least, float(returns.mean()), round(operations, 4), hold, threshold)


def _actor(
    program: Program, period: float, threshold: float | None, scales: Sequence[Floats]
) -> Actor:
    """Return the actor of a setting, before an episode."""
    if threshold is None:
        return Dense(slowed(program, period))
    return Events(program, [threshold * x for x in scales])


def _program(name: str, seed: int) -> tuple[Program | None, float]:
    """Return a network by name, and the least return that counts as kept."""
    result = _search(ENV_ID, "lif" if name == "lif" else "relu", seed)
    if name == "relu-8":
        policy: Any = snn_gym.load_pretrained("ppo-relu-8", ENV_ID, seed).policy
        return policy.program(), result.least_return
    (small,) = result.cheapest.values()
    return None if small is None else small.program, result.least_return
