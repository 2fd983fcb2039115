"""Synapses of a policy with their traces and their update at every environment step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.learners.local.kernels import (
    NO_FEEDBACK,
    ONLY_BROADCAST,
    RANDOM_FEEDBACK,
    SYMMETRIC_FEEDBACK,
    TINY,
    Array,
    Network,
    Places,
    learn_and_act,
    values_of,
)
from snn_gym.learners.local.regulator import LocalRegulator
from snn_gym.policies.controller import LocalActorCriticPolicy
from snn_gym.program.neuron_kernels import local_kernel
from snn_gym.spiking.layer_neurons import LayerNeurons

# ---- climbing ------------------------------------------------------------------------------------
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@njit(cache=True, error_model="numpy")
def climb(
    steps: tuple[float, float], hidden: int, samples: int, update: int, gradient: Array,
    first: Array, second: Array, theta: Array, order: NDArray[np.int64], shown: Array,
) -> None:  # fmt: skip
    """Change ``theta`` (P,) along the mean gradient, by Adam, or plainly if ``update`` is 0.

    ``gradient`` (P,) sums over ``samples``; ``first`` and ``second`` (P,) are Adam's moments,
    changed by its step number ``update``. ``steps`` are the step sizes of the first ``hidden``
    weights and of the rest; ``shown`` gets the weights in the policy's order. Adam: Kingma & Ba
    2015, https://arxiv.org/abs/1412.6980.
    """
    zero, one, share = np.float32(0.0), np.float32(1.0), np.float32(1.0 / samples)
    beta1, beta2, epsilon = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON)
    for part in range(2):
        # Hidden synapses and readouts have their own step sizes.
        begin, end = (hidden, theta.size) if part else (0, hidden)
        step = np.float32(steps[part])
        if update == 0:
            for p in range(begin, end):
                theta[p] += step * (share * gradient[p])
            continue
        of_first = np.float32(1.0 / (1.0 - BETA1**update))
        of_second = np.float32(1.0 / (1.0 - BETA2**update))
        for p in range(begin, end):
            g = share * gradient[p]
            m = beta1 * first[p] + (one - beta1) * g
            v = beta2 * second[p] + (one - beta2) * (g * g)
            first[p] = m if abs(m) > TINY else zero
            second[p] = v if v > TINY else zero
            root = np.sqrt(second[p] * of_second) + epsilon
            theta[p] += step * (first[p] * of_first) / root
    for k in range(order.size):
        shown[k] = theta[order[k]]


# ---- core ----------------------------------------------------------------------------------------
FEEDBACK = {
    "broadcast": ONLY_BROADCAST,
    "none": NO_FEEDBACK,
    "random": RANDOM_FEEDBACK,
    "symmetric": SYMMETRIC_FEEDBACK,
}


@dataclass
class Moments:
    """State of Adam: moments (P,) float32."""

    first: Array
    second: Array
    updates: int = 0

    @classmethod
    def none(cls, count: int) -> Moments:
        """Return the moments of ``count`` weights before the first update."""
        return cls(np.zeros(count, np.float32), np.zeros(count, np.float32))


class Rule(NamedTuple):
    """Constants of the learning rule; see ``LocalRuleSettings``."""

    feedback: str
    gamma: float
    trace_decay: float
    optimiser: str
    reward_scale: float
    plasticity: str = "three_factor"


class Outcome(NamedTuple):
    """Outcomes of B actions."""

    rewards: Array
    """(B,) float32."""
    ended: NDArray[np.bool_]
    """(B,), whether the episode ended, so that the present inputs begin the next."""
    values_after: Array
    """(B,) float32, value of the last observation if a limit cut the episode, else 0."""


class LocalCore:
    """Synapses of a ``LocalActorCriticPolicy`` in B environments, with their traces.

    The policy's parameters become views of one array, which every update writes.
    """

    def __init__(
        self,
        policy: LocalActorCriticPolicy,
        samples: int,
        rule: Rule,
        moments: Moments | None = None,
        regulator: LocalRegulator | None = None,
    ) -> None:
        check_network(policy)
        self._rule = rule
        self._rule_numbers = (
            FEEDBACK[rule.feedback], rule.gamma, rule.gamma * rule.trace_decay, rule.reward_scale,
        )  # fmt: skip
        hidden, _, _ = policy.learned_parts()
        self._network = _network_of(policy)
        self._limits = _limits(policy, hidden[0].in_features)
        self._order, self._hidden = _places(policy)
        self._shown = _as_one_array(policy)
        # The kernels need layers in another order than the policy has.
        self._theta = np.empty_like(self._shown)
        self.read_policy()
        count = self._theta.size
        self.moments = moments or Moments.none(count)
        continuous = isinstance(policy.action_space, spaces.Box)
        outputs = policy.head.out_features
        self.noise_shape = (samples, outputs if continuous else 1)
        """Shape of the noise of a step: uniform for Discrete actions, else normal."""
        self.traces: Array = np.zeros((samples, count), np.float32)
        self.errors: Array = np.zeros(samples, np.float32)
        """TD errors (B,) of the last step, 0 for first decisions."""
        self._started = np.zeros(samples, np.bool_)
        self._chosen = np.zeros(samples, np.int64)
        self._drawn = np.zeros((samples, outputs if continuous else 0), np.float32)
        self._gradient = np.zeros(count, np.float32)
        # Arguments of the kernel, made once.
        # The feedback weights share the policy's memory.
        self._learned: tuple[Array, Array] = (self._theta, policy.feedback.numpy())
        self._memory = (self.traces, np.zeros(samples, np.float32), self._started)
        self._results = (self._gradient, self.errors)
        self._regulator, empty = regulator, np.zeros(0, np.float32)
        self._watched = (empty, empty) if regulator is None else regulator.watched
        self.forget()

    @property
    def is_continuous(self) -> bool:
        """Whether the action space is a Box, else it is Discrete."""
        return self._drawn.shape[1] > 0

    def read_policy(self) -> None:
        """Copy the policy's weights into this core, after they were set outside."""
        self._theta[self._order] = self._shown

    def forget(self) -> None:
        """Begin episodes in all environments: the next step ignores outcomes and resets traces."""
        self._started[:] = False
        if self._regulator is not None:
            self._regulator.begin(self._started.size)

    def values(self, observations: Array) -> Array:
        """Return the values (n,) of observations (n, D), float32."""
        # Only the readout of the value, without a step or a trace.
        values = np.empty(len(observations), np.float32)
        values_of(self._network, self._limits, self._theta, observations, values)
        return values

    def step(
        self,
        observations: Array,
        noise: NDArray[np.float64],
        outcome: Outcome,
        step_sizes: tuple[float, float],
    ) -> NDArray[Any]:
        """Learn from the outcome of the last actions, and choose the next.

        The network runs once for each environment step: the decision uses the weights before the
        update, and its value closes the TD error of the last step.

        Args:
            observations: (B, D) float32, not scaled.
            noise: ``noise_shape``, float64.
            outcome: Outcome of the last actions; ignored for the first step after ``forget``.
            step_sizes: Step sizes of hidden synapses and of readouts; both 0 to learn nothing.

        Returns:
            Actions (B,) int64, or (B, A) float32 before ``tanh``; overwritten by the next step.
        """
        if self._regulator is not None:
            self._regulator.clear()
        self._learn_and_act(observations, noise, outcome)
        # Without learning, Adam's moments stay too.
        if step_sizes != (0.0, 0.0):
            moments = self.moments
            moments.updates += 1
            if self._regulator is not None:
                self._regulator.step(self._theta, outcome.rewards, outcome.ended, step_sizes[0])
            # 0 selects a plain step along the gradient.
            update = moments.updates if self._rule.optimiser == "adam" else 0
            climb(
                step_sizes, self._hidden, len(self._started), update, self._gradient,
                moments.first, moments.second, self._theta, self._order, self._shown,
            )  # fmt: skip
        return self._drawn if self.is_continuous else self._chosen

    def _learn_and_act(
        self, observations: Array, noise: NDArray[np.float64], outcome: Outcome
    ) -> None:
        """Choose actions; fill the TD errors and the gradient, and update the traces."""
        learn_and_act(
            self._network, self._rule_numbers, self._limits, self._learned, self._memory,
            observations, outcome, (noise, self._chosen, self._drawn), self._results, self._watched,
        )  # fmt: skip


def check_network(policy: LocalActorCriticPolicy) -> None:
    """Raise ValueError if the rule can't learn a part of the network."""
    config = policy.network
    for name, allowed in (
        ("encoder", ("constant",)),
        ("recurrent", (False,)),
        ("decoder", ("mean_rate", "last_voltage")),
        ("learnable", ((),)),
        ("regulation", (None,)),
    ):
        if getattr(config, name) not in allowed:
            raise ValueError(
                f"LocalActorCritic can't learn {name}={getattr(config, name)!r}; use "
                f"{name}={' or '.join(map(repr, allowed))}"
            )


def _network_of(policy: LocalActorCriticPolicy) -> Network:
    """Return the hidden layers and the decoder for the kernels."""
    hidden, _, _ = policy.learned_parts()
    # check_network has refused networks of cells, which have other neurons.
    neurons = [cast("LayerNeurons", layer.neuron) for layer in policy.controller.layers]
    kernels = [(local_kernel(x.text, x.surrogate).address, len(x.state_names)) for x in neurons]
    return Network(
        np.array([hidden[0].in_features, *(x.out_features for x in hidden)], np.int64),
        np.array(kernels, np.int64),
        _as_rows([x.constants[:, 0] for x in neurons]),
        _as_rows([x.rest32[:, 0] for x in neurons]),
        policy.controller.decoder.coefficients[0].numpy().copy(),
        np.float32(policy.network.surrogate_slope),
    )


def _as_rows(values: Sequence[Array]) -> Array:
    """Return arrays of one axis as rows of a table, padded with 0."""
    table = np.zeros((len(values), max(map(len, values))), np.float32)
    for row, numbers in zip(table, values, strict=True):
        row[: len(numbers)] = numbers
    return table


def _limits(policy: LocalActorCriticPolicy, inputs: int) -> Array:
    """Return middle, half range and clip (3, D) of observations."""
    scaler = policy.scaler
    if scaler is None:
        # Middle 0, half range 1 and no clip leave inputs unchanged.
        return np.array([[0.0], [1.0], [np.inf]], np.float32).repeat(inputs, 1)
    clip = np.full(inputs, scaler.clip, np.float32)
    return np.stack([scaler.mean.numpy(), scaler.std.numpy(), clip])


def _places(policy: LocalActorCriticPolicy) -> tuple[Places, int]:
    """Return the index in ``theta`` of each parameter of the policy; and how many are hidden."""
    hidden, head, critic = policy.learned_parts()
    assert critic.in_features == head.in_features
    at, places = 0, []
    for linear in hidden:
        count = (linear.in_features + 1) * linear.out_features
        block = np.arange(at, at + count).reshape(-1, linear.out_features)
        places += [block[:-1].T.ravel(), block[-1]]
        at += count
    width = head.in_features + 1
    rows = np.arange(at, at + (1 + head.out_features) * width).reshape(-1, width)
    end = at + rows.size
    places += [rows[1:, :-1].ravel(), rows[1:, -1], rows[0, :-1], rows[0, -1:]]
    places.append(np.arange(end, end + policy.log_std.numel()))
    return np.concatenate(places), at


def _as_one_array(policy: LocalActorCriticPolicy) -> Array:
    """Make the policy's parameters views of one array, in the order of ``_places``; return it."""
    hidden, head, critic = policy.learned_parts()
    parts = [x for linear in (*hidden, head, critic) for x in (linear.weight, linear.bias)]
    parts.append(policy.log_std)
    flat = torch.cat([part.detach().reshape(-1) for part in parts])
    at = 0
    for part in parts:
        # NumPy and PyTorch share the memory, so that updates need no copy.
        part.data = flat[at : at + part.numel()].view_as(part)
        at += part.numel()
    array: Array = flat.numpy()
    return array
