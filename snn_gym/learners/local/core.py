"""``LocalCore``: a policy's synapses, alive: their traces, and what changes them at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    Array,
    Network,
    Places,
    live,
    values_of,
)
from snn_gym.learners.local.regulator import LocalRegulator
from snn_gym.policies.controller import LocalActorCriticPolicy
from snn_gym.program.kernels import local_kernel
from snn_gym.spiking.layer_neurons import LayerNeurons

# ---- climbing ------------------------------------------------------------------------------------
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's usual constants."""
TINY = np.float32(1e-30)
"""Moments below it are 0, for subnormal numbers cost ten times the time of others."""


@njit(cache=True, error_model="numpy")
def climb(
    steps: tuple[float, float], hidden: int, samples: int, update: int, gradient: Array,
    first: Array, second: Array, theta: Array, order: NDArray[np.int64], shown: Array,
) -> None:  # fmt: skip
    """Climb the mean gradient of the samples, by Adam; by its ``update`` 0 without moments.

    ``steps`` are the step sizes of the first ``hidden`` weights (P,) and of the others; ``shown``
    gets the weights in the policy's order. Adam: Kingma & Ba 2015, https://arxiv.org/abs/1412.6980.
    """
    zero, one, share = np.float32(0.0), np.float32(1.0), np.float32(1.0 / samples)
    beta1, beta2, epsilon = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON)
    for part in range(2):
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
"""Kinds of feedback by name."""
_LINEAR_DECODERS = ("mean_rate", "last_voltage")


@dataclass
class Moments:
    """State of Adam."""

    first: Array
    """(P,) float32, mean of the gradient."""
    second: Array
    """(P,) float32, mean of its square."""
    updates: int = 0
    """Updates so far."""

    @classmethod
    def none(cls, count: int) -> Moments:
        """Return those of ``count`` weights before the first update."""
        return cls(np.zeros(count, np.float32), np.zeros(count, np.float32))


class Rule(NamedTuple):
    """Constants of the learning rule."""

    feedback: str
    """Key of ``FEEDBACK``."""
    gamma: float
    """Discount of a reward one environment step later."""
    trace_decay: float
    """Lambda: what of a trace is left one environment step later, beside the discount."""
    optimiser: str
    """``adam`` or ``sgd``."""
    reward_scale: float
    """Factor of rewards."""
    plasticity: str = "three_factor"
    """Key of ``plasticity.RULES``."""


class Outcome(NamedTuple):
    """Outcomes of B actions."""

    rewards: Array
    """(B,) float32."""
    ended: NDArray[np.bool_]
    """(B,), whether the episode ended, so that the present inputs begin another."""
    values_after: Array
    """(B,) float32, the value of what came after the end: 0 but where a limit cut the episode."""


class LocalCore:
    """The synapses of a ``LocalActorCriticPolicy`` in B environments, with their traces.

    The policy's parameters become views of one array, which every update writes: whoever acts with
    the policy acts with what was learned last.

    Args:
        policy: Policy whose weights are learned.
        samples: Number B of environments.
        rule: Constants of the rule.
        moments: Adam's, of this policy; None for none yet.
        regulator: What regulates this policy's hidden neurons; None for nothing.

    Raises:
        ValueError: The network has a part that the rule can't learn.
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
        self._constants_of_rule = (
            FEEDBACK[rule.feedback], rule.gamma, rule.gamma * rule.trace_decay, rule.reward_scale,
        )  # fmt: skip
        hidden, _, _ = policy.learned_parts()
        self._network = _network_of(policy)
        self._limits = _limits(policy, hidden[0].in_features)
        self._order, self._hidden = _places(policy)
        self._shown = _as_one_array(policy)
        self._theta = np.empty_like(self._shown)
        self.read_policy()
        count = self._theta.size
        self.moments = moments or Moments.none(count)
        continuous = isinstance(policy.action_space, spaces.Box)
        outputs = policy.head.out_features
        self.noise_shape = (samples, outputs if continuous else 1)
        """Shape of the noise that a step takes: uniform for Discrete actions, else normal."""
        self._back: Array = policy.feedback.numpy()
        self._traces = np.zeros((samples, count), np.float32)
        self._values, self._errors = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
        self._started = np.zeros(samples, np.bool_)
        self._chosen = np.zeros(samples, np.int64)
        self._drawn = np.zeros((samples, outputs if continuous else 0), np.float32)
        self._gradient = np.zeros(count, np.float32)
        # What the kernel takes together, made once.
        self._learned = (self._theta, self._back)
        self._lives = (self._traces, self._values, self._started)
        self._found = (self._gradient, self._errors)
        self._regulator, nothing = regulator, np.zeros(0, np.float32)
        self._watched = (nothing, nothing) if regulator is None else regulator.watched
        self.forget()

    @property
    def traces(self) -> Array:
        """Traces (B, P) float32, in the order that ``kernels`` tells."""
        return self._traces

    @property
    def errors(self) -> Array:
        """TD errors (B,) of the last step, float32; 0 where a decision was the first."""
        return self._errors

    @property
    def is_continuous(self) -> bool:
        """Whether actions are those of a Box."""
        return self._drawn.shape[1] > 0

    def read_policy(self) -> None:
        """Take over the policy's weights, which something else may have changed."""
        self._theta[self._order] = self._shown

    def forget(self) -> None:
        """Begin anew everywhere: no trace of what was decided before."""
        self._started[:] = False
        if self._regulator is not None:
            self._regulator.begin(self._started.size)

    def values(self, observations: Array) -> Array:
        """Return the values (n,) of observations (n, D), float32."""
        found = np.empty(len(observations), np.float32)
        values_of(self._network, self._limits, self._theta, observations, found)
        return found

    def step(
        self,
        observations: Array,
        noise: NDArray[np.float64],
        outcome: Outcome,
        step_sizes: tuple[float, float],
    ) -> NDArray[Any]:
        """Learn from what the last actions led to, and choose the next.

        The decision is made with the weights that were there before this update: a network runs
        once for each environment step, and its value closes the TD error of the step before.

        Args:
            observations: (B, D) float32, what there is to see now, not scaled yet.
            noise: As ``noise_shape`` says, float64.
            outcome: Of the last actions; not looked at where there were none since ``forget``.
            step_sizes: Of hidden synapses and of readouts; both 0 to learn nothing.

        Returns:
            Actions (B,) int64, or (B, A) float32 before ``tanh``; overwritten by the next step.
        """
        if self._regulator is not None:
            self._regulator.look()
        self._live(observations, noise, outcome)
        if step_sizes != (0.0, 0.0):
            moments = self.moments
            moments.updates += 1
            if self._regulator is not None:
                self._regulator.step(self._theta, outcome.rewards, outcome.ended, step_sizes[0])
            update = moments.updates if self._rule.optimiser == "adam" else 0
            climb(
                step_sizes, self._hidden, len(self._values), update, self._gradient, moments.first,
                moments.second, self._theta, self._order, self._shown,
            )  # fmt: skip
        return self._drawn if self.is_continuous else self._chosen

    def _live(self, observations: Array, noise: NDArray[np.float64], outcome: Outcome) -> None:
        """Choose actions; fill the TD errors and the gradient, and let the traces follow."""
        live(
            self._network, self._constants_of_rule, self._limits, self._learned, self._lives,
            observations, outcome, (noise, self._chosen, self._drawn), self._found, self._watched,
        )  # fmt: skip


def check_network(policy: LocalActorCriticPolicy) -> None:
    """Refuse a network that the rule can't learn.

    Args:
        policy: Policy with the network.

    Raises:
        ValueError: A part of it is another than the rule knows; the message says which one to use.
    """
    config = policy.network
    for name, allowed in (
        ("encoder", ("constant",)),
        ("recurrent", (False,)),
        ("decoder", _LINEAR_DECODERS),
        ("learnable", ((),)),
        ("regulation", (None,)),
    ):
        if getattr(config, name) not in allowed:
            raise ValueError(
                f"LocalActorCritic can't learn {name}={getattr(config, name)!r}; use "
                f"{name}={' or '.join(map(repr, allowed))}"
            )


def _network_of(policy: LocalActorCriticPolicy) -> Network:
    """Return the hidden layers as the kernels read them."""
    hidden, _, _ = policy.learned_parts()
    neurons = [_neurons_of(layer.neuron) for layer in policy.controller.layers]
    kernels = [(local_kernel(x.text, x.surrogate).address, len(x.state_names)) for x in neurons]
    return Network(
        np.array([hidden[0].in_features, *(x.out_features for x in hidden)], np.int64),
        np.array(kernels, np.int64),
        _as_rows([x.constants[:, 0] for x in neurons]),
        _as_rows([x.rest32[:, 0] for x in neurons]),
        policy.controller.decoder.coefficients[0].numpy().copy(),
        np.float32(policy.network.surrogate_slope),
    )


def _neurons_of(neuron: Any) -> LayerNeurons:
    assert isinstance(neuron, LayerNeurons)  # of a network that is not of cells
    return neuron


def _as_rows(values: Sequence[Array]) -> Array:
    """Return arrays of one axis as rows of a table, filled up with 0."""
    table = np.zeros((len(values), max(map(len, values))), np.float32)
    for row, own in zip(table, values, strict=True):
        row[: len(own)] = own
    return table


def _limits(policy: LocalActorCriticPolicy, inputs: int) -> Array:
    """Return middle, half range and clip (3, D) of what the kernels see."""
    scaler = policy.scaler
    if scaler is None:
        return np.array([[0.0], [1.0], [np.inf]], np.float32).repeat(inputs, 1)
    clip = np.full(inputs, scaler.clip, np.float32)
    return np.stack([scaler.mean.numpy(), scaler.std.numpy(), clip])


def _places(policy: LocalActorCriticPolicy) -> tuple[Places, int]:
    """Return where the kernels keep each of the policy's parameters, and how many are hidden."""
    hidden, head, critic = policy.learned_parts()
    at, found = 0, []
    for linear in hidden:
        count = (linear.in_features + 1) * linear.out_features
        block = np.arange(at, at + count).reshape(-1, linear.out_features)
        found += [block[:-1].T.ravel(), block[-1]]
        at += count
    width = head.in_features + 1
    rows = np.arange(at, at + (1 + head.out_features) * width).reshape(-1, width)
    found += [rows[1:, :-1].ravel(), rows[1:, -1], rows[0, :-1], rows[0, -1:]]
    end = at + rows.size
    found.append(np.arange(end, end + policy.log_std.numel()))
    assert critic.in_features == head.in_features
    return np.concatenate(found), at


def _as_one_array(policy: LocalActorCriticPolicy) -> Array:
    """Make the policy's parameters views of one array, in the order of ``_places``; return it."""
    hidden, head, critic = policy.learned_parts()
    parts = [x for linear in (*hidden, head, critic) for x in (linear.weight, linear.bias)]
    parts.append(policy.log_std)
    flat = torch.cat([part.detach().reshape(-1) for part in parts])
    at = 0
    for part in parts:
        part.data = flat[at : at + part.numel()].view_as(part)
        at += part.numel()
    array: Array = flat.numpy()
    return array
