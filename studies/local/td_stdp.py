"""TD-STDP on CartPole-v1 with its published constants, from its equations.

Chung & Kozma 2020, "Reinforcement learning with feedback-modulated TD-STDP",
https://arxiv.org/abs/2008.13044; https://github.com/stephen-chung-mh/td_stdp, ``config_cp.ini``. A
decision is 20 time steps of 1 ms; inputs are Bernoulli spikes of 81 Fourier features, critic (40
neurons) and actor (20 for each action) are LIF neurons that the inputs drive one time step late.
At each time step, in this order:

    v <- exp(-1/100) v + x, a spike at 13 above rest, reset to rest
    r <- exp(-1/20) r + s,  V = -0.2 + 2 mean(r) / 20
    δ = sqrt(γ) reward / 20 + γ V - V_before,  γ = exp(-1/1000), reward times 0.02
    critic: w <- w + δ z
    actor:  q <- exp(-1/40) q + (1[a] - p) z / 40, w <- w + δ q
    P <- exp(-1/20) P + η s_pre,  z <- exp(-1/20) z + P s_post / 20

``V`` is 0 in the last 2 ms of the decision in which an episode has failed; an episode that the
limit has cut goes on in value. Then all but the weights is at rest, and 6 decisions pass before the
pole moves, with δ = 0. The action is drawn from the softmax of 50 mean(r) / 20.
"""

from __future__ import annotations

import itertools
import math

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit

Array = NDArray[np.float32]
Population = tuple[Array, Array, Array, Array, Array]

ENV_ID = "CartPole-v1"
EPISODES = 400
"""Episodes of a published run."""
LIMITS = np.array([2.4, 3.2, math.pi / 12.0, 3.2])
"""Limits of the observations on both sides."""
CRITICS, ACTORS = 40, 20
"""Neurons of the critic, and of the actor for each action."""
TIME_STEPS = 20
WAITING = 6
"""Decisions between a reset and the first move."""
_RATES = (0.005, 0.01)
_START = 0.1
_ACTIONS = 2
# Subnormal numbers, to which traces of silent neurons decay, cost ten times the time of others.
_TINY = np.float32(1e-30)
_COEFFICIENTS = np.array(list(itertools.product(range(3), repeat=4)), np.float64)


def fourier(observation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probabilities (81,) of an input spike for an observation (4,)."""
    scaled = np.clip(observation / (2.0 * LIMITS) + 0.5, 0.0, 1.0)
    probabilities: NDArray[np.float64] = (np.cos(np.pi * _COEFFICIENTS @ scaled) + 1.0) / 2.0
    return probabilities


@njit(cache=True, error_model="numpy")
def _fire(last: Array, weights: Array, v: Array, rates: Array, fired: Array) -> None:
    """Advance a population (N,), driven through weights (D * N,) by the last input spikes (D,)."""
    one, leak = np.float32(1.0), np.float32(math.exp(-1.0 / 100.0))
    decay = np.float32(math.exp(-1.0 / 20.0))
    for j in range(v.size):
        v[j] = leak * v[j]
    for i in range(last.size):
        if last[i] > np.float32(0.0):
            for j in range(v.size):
                v[j] += weights[i * v.size + j]
    for j in range(v.size):
        fired[j] = np.float32(v[j] >= 13.0)
        v[j] = (one - fired[j]) * v[j]
        rates[j] = decay * rates[j] + fired[j]


@njit(cache=True, error_model="numpy")
def _learn(change: np.float32, trace: Array, weights: Array) -> None:
    """Let weights follow the TD error times their traces."""
    for k in range(weights.size):
        weights[k] += change * trace[k]


@njit(cache=True, error_model="numpy")
def _gate(gates: Array, z: Array, q: Array) -> None:
    """Let gated traces (D * N,) decay, and add gates (N,) times traces (D * N,)."""
    decay, gain = np.float32(math.exp(-1.0 / 40.0)), np.float32(1.0 / 40.0)
    for i in range(q.size // gates.size):
        for j in range(gates.size):
            k = i * gates.size + j
            kept = decay * q[k] + gain * (gates[j] * z[k])
            q[k] = kept if abs(kept) > _TINY else np.float32(0.0)


@njit(cache=True, error_model="numpy")
def _follow(rate: np.float32, spikes: Array, pre: Array, fired: Array, z: Array) -> None:
    """Let the traces P (D,) of inputs and z (D * N,) of synapses follow the spikes."""
    decay, gain = np.float32(math.exp(-1.0 / 20.0)), np.float32(1.0 / 20.0)
    for i in range(pre.size):
        pre[i] = decay * pre[i] + rate * spikes[i]
        charge = gain * pre[i]
        for j in range(fired.size):
            k = i * fired.size + j
            kept = decay * z[k] + charge * fired[j]
            z[k] = kept if abs(kept) > _TINY else np.float32(0.0)


@njit(cache=True, error_model="numpy")
def decide(
    inputs: Array, critic: Population, actor: Population, q: Array, last: Array,
    value_before: NDArray[np.float64], gates: Array, reward: float, ends: bool, learns: bool,
) -> None:  # fmt: skip
    """Run the time steps of a decision.

    Args:
        inputs: (20, D) spikes.
        critic: Weights (D * N,), traces z (D * N,), potentials and rates (N,), traces P (D,);
            written, as are the next ones.
        actor: The same of the actor.
        q: Traces (D * N,) of the actor.
        last: The inputs' last spikes (D,).
        value_before: The value before, (1,).
        gates: ``1[a] - p`` of each of the actor's neurons.
        reward: Of the last action, scaled, for each time step.
        ends: Whether the episode has failed.
        learns: Whether there is a TD error.
    """
    gamma, fired, acted = math.exp(-1.0 / 1000.0), np.empty_like(critic[2]), np.empty_like(actor[2])
    for t in range(inputs.shape[0]):
        _fire(last, critic[0], critic[2], critic[3], fired)
        _fire(last, actor[0], actor[2], actor[3], acted)
        value = -0.2 + 2.0 * critic[3].mean() / 20.0
        alive = 0.0 if ends and t >= inputs.shape[0] - 2 else 1.0
        error = math.sqrt(gamma) * reward + gamma * value * alive - value_before[0]
        value_before[0] = value
        delta = np.float32(error if learns else 0.0)
        _learn(delta, critic[1], critic[0])
        _gate(gates, actor[1], q)
        _learn(delta, q, actor[0])
        last[:] = inputs[t]
        _follow(np.float32(_RATES[0]), last, critic[4], fired, critic[1])
        _follow(np.float32(_RATES[1]), last, actor[4], acted, actor[1])


class TDSTDP:
    """The published agent."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, inputs = rng, len(_COEFFICIENTS)
        self.critic = self._population(inputs, CRITICS)
        self.actor = self._population(inputs, _ACTIONS * ACTORS)
        self._q = np.zeros_like(self.actor[0])
        self._last = np.zeros(inputs, np.float32)
        self._value = np.zeros(1)
        self._p = np.full(_ACTIONS, 1.0 / _ACTIONS)
        self._action = int(rng.integers(_ACTIONS))

    def _population(self, inputs: int, neurons: int) -> Population:
        weights = (_START * self._rng.random(inputs * neurons)).astype(np.float32)
        v, rates, pre = (np.zeros(size, np.float32) for size in (neurons, neurons, inputs))
        return weights, np.zeros_like(weights), v, rates, pre

    def rest(self) -> None:
        """Put all but the weights and the value before to rest."""
        for array in (*self.critic[1:], *self.actor[1:], self._q, self._last):
            array[:] = 0.0

    def decide(
        self,
        observation: NDArray[np.floating],
        reward: float,
        *,
        failed: bool = False,
        learns: bool = True,
        explores: bool = True,
    ) -> int:
        """Run a decision, learn, and return the action.

        Args:
            observation: (4,).
            reward: Of the last action.
            failed: Whether it ended the episode.
            learns: Whether there is a TD error.
            explores: Whether the action is drawn; else it is the most probable one.
        """
        probabilities = fourier(observation)
        shape = (TIME_STEPS, probabilities.size)
        spikes = (self._rng.random(shape) < probabilities).astype(np.float32)
        own = np.eye(_ACTIONS)[self._action] - self._p
        gates = np.repeat(own, ACTORS).astype(np.float32)
        each = 0.02 * reward / TIME_STEPS
        decide(
            spikes, self.critic, self.actor, self._q, self._last, self._value, gates, each, failed,
            learns,
        )  # fmt: skip
        rates = self.actor[3].reshape(_ACTIONS, ACTORS).mean(1) / 20.0
        odds = np.exp(50.0 * (rates - rates.max()))
        self._p = odds / odds.sum()
        drawn = self._rng.random() < self._p[1] if explores else self._p[1] > 0.5
        self._action = int(drawn)
        return self._action


def episode(
    agent: TDSTDP, env: gym.Env[NDArray[np.float32], np.int64], seed: int | None, *, learns: bool
) -> float:
    """Play an episode from its reset on; return its return."""
    observation, _ = env.reset(seed=seed)
    agent.rest()
    for _ in range(WAITING):
        action = agent.decide(observation, 0.0, learns=False, explores=learns)
    total, over = 0.0, False
    while not over:
        observation, reward, failed, cut, _ = env.step(np.int64(action))
        total += float(reward)
        over = failed or cut
        action = agent.decide(
            observation, float(reward), failed=failed, learns=learns, explores=learns
        )
    return total
