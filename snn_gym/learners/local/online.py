"""Synapses that learn at every environment step, and policies that go on learning as they act."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.synapses.plasticity import RULES, NoConstants, PlasticityRule, Seen
from snn_gym.learners.local.kernels import (
    NO_FEEDBACK,
    ONLY_BROADCAST,
    RANDOM_FEEDBACK,
    SYMMETRIC_FEEDBACK,
    TINY,
    Array,
    KernelNetwork,
    Places,
    activity_of,
    decide,
    learn_and_act,
    run_layers,
    scale,
    values_of,
)
from snn_gym.learners.local.regulator import LocalRegulator, watch
from snn_gym.policies.controller import LocalActorCriticPolicy
from snn_gym.program.neuron_kernels import local_kernel
from snn_gym.spiking.layer_neurons import LayerNeurons

Doubles = NDArray[np.float64]

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


class RuleConstants(NamedTuple):
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
        rule: RuleConstants,
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


def _network_of(policy: LocalActorCriticPolicy) -> KernelNetwork:
    """Return the hidden layers and the decoder for the kernels."""
    hidden, _, _ = policy.learned_parts()
    # check_network has refused networks of cells, which have other neurons.
    neurons = [cast("LayerNeurons", layer.neuron) for layer in policy.controller.layers]
    kernels = [(local_kernel(x.text, x.surrogate).address, len(x.state_names)) for x in neurons]
    return KernelNetwork(
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


# ---- rules of plasticity -------------------------------------------------------------------------
DEFAULT_RULE = "three_factor"
"""RuleConstants of plasticity that the kernels of ``LocalCore`` compute."""


def make_core(
    policy: LocalActorCriticPolicy,
    samples: int,
    rule: RuleConstants,
    moments: Moments | None = None,
    regulator: LocalRegulator | None = None,
) -> LocalCore:
    """Return a policy's ``LocalCore``, or for all but ``DEFAULT_RULE`` its ``RuledCore``."""
    kind = LocalCore if rule.plasticity == DEFAULT_RULE else RuledCore
    return kind(policy, samples, rule, moments, regulator)


class RuledCore(LocalCore):
    """Synapses with the eligibility of a rule of ``plasticity.RULES``.

    The network runs as in ``LocalCore``; then the rule runs through its time steps once more, in
    float64, layer by layer.
    """

    def __init__(
        self,
        policy: LocalActorCriticPolicy,
        samples: int,
        rule: RuleConstants,
        moments: Moments | None = None,
        regulator: LocalRegulator | None = None,
    ) -> None:
        super().__init__(policy, samples, rule, moments, regulator)
        sizes = self._network.sizes
        plasticity = RULES[rule.plasticity]
        self._eligibilities = eligibility_function(plasticity)
        # Overwritten at every decision, which starts from rest.
        self._states = [
            tuple(np.zeros((inputs + 1, neurons)) for _ in plasticity.state)
            for inputs, neurons in itertools.pairwise(sizes)
        ]
        widest, outputs = sizes.max(), len(self._learned[1])
        self._x = np.empty(sizes[0], np.float32)
        self._activity = activity_of(self._network)
        neurons: list[Any] = [layer.neuron for layer in policy.controller.layers]
        # dt / tau_mem; 1 for neurons without a membrane time constant
        self._gains = [float(neuron.numbers.get("mem_gain", 1.0)) for neuron in neurons]
        self._local = np.empty_like(self._theta)
        self._features = np.empty(sizes[-1] + 1, np.float32)
        self._scratch = tuple(np.empty(n, np.float32) for n in (outputs, outputs, widest))

    def _learn_and_act(
        self, observations: NDArray[np.float32], noise: Doubles, outcome: Outcome
    ) -> None:
        sizes, steps = self._network.sizes, self._network.coefficients.size
        self._gradient[:] = 0.0
        for b in range(len(observations)):
            scale(self._limits, observations[b], self._x)
            at = run_layers(
                self._network, self._theta, self._x, self._activity, self._local, self._features
            )
            self._fill_local()
            watch(sizes, steps, self._activity.spikes, self._local, self._watched)
            decide(
                b, at, sizes, self._rule_numbers, self._learned, self._memory, outcome,
                (noise, self._chosen, self._drawn), self._results,
                (self._features, self._local, *self._scratch),
            )  # fmt: skip

    def _fill_local(self) -> None:
        """Fill ``_local`` with the rule's eligibilities of all hidden synapses in this decision."""
        sizes, coefficients = self._network.sizes, self._network.coefficients
        steps, start, at = coefficients.size, 0, 0
        inputs = np.repeat(np.append(self._x, 1.0)[np.newaxis], steps, 0)
        for layer, states in enumerate(self._states):
            shape = (sizes[layer] + 1, sizes[layer + 1])
            end, stop = start + shape[0] * shape[1], at + steps * shape[1]
            spikes, potentials, derivatives = (
                x[at:stop].reshape(steps, shape[1]).astype(np.float64) for x in self._activity
            )
            self._eligibilities(
                self._gains[layer], coefficients.astype(np.float64),
                self._theta[start:end].reshape(shape).astype(np.float64),
                (inputs, spikes, potentials, derivatives), states,
                self._local[start:end].reshape(shape),
            )  # fmt: skip
            # The spikes, and the bias, are the inputs of the next layer.
            inputs = np.concatenate([spikes, np.ones((steps, 1))], 1)
            start, at = end, stop


@functools.cache
def eligibility_function(rule: PlasticityRule) -> Any:
    """Return ``_eligibilities`` with a rule's step and constants, compiled if the rule is."""
    function, step = _eligibilities, rule.step
    if rule.compiled:
        # Numba cannot cache functions that a user may define anywhere.
        compiled = njit(cache=False, error_model="numpy")
        function, step = compiled(_eligibilities), compiled(rule.step)
    # Compiled rules take a tuple of constants, but no None.
    return functools.partial(function, step, rule.constants or NoConstants())


def _eligibilities(
    step: Any, constants: Any, gain: float, coefficients: Doubles, weights: Doubles,
    seen: tuple[Doubles, Doubles, Doubles, Doubles], states: Any, local: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill ``local`` (D + 1, N) with eligibilities, summed over time by ``coefficients`` (T,).

    ``seen`` are inputs (T, D + 1), the last of them 1; spikes, potentials before the reset and
    derivatives of the surrogate, each (T, N). The rule's states (D + 1, N) are overwritten.
    """
    inputs, spikes, potentials, derivatives = seen
    neurons, total = weights.shape[1], np.zeros(weights.shape)
    for s in range(len(states)):
        states[s][:] = 0.0
    for t in range(len(coefficients)):
        pre, post = inputs[t].reshape(-1, 1), spikes[t].reshape(1, neurons)
        v, window = potentials[t].reshape(1, neurons), derivatives[t].reshape(1, neurons)
        now = Seen(pre, post, v, window, weights, np.full((1, 1), gain))
        new, eligible = step(now, states, constants)
        total += coefficients[t] * eligible
        for s in range(len(states)):
            states[s][:] = new[s]
    local[:] = total


# ---- actor ---------------------------------------------------------------------------------------
class OnlineActor:
    """``LocalActorCriticPolicy`` that acts in B environments and learns from every step at once.

    It stores nothing but traces: the outcome of an action changes the weights, and is forgotten.
    ``LocalActorCritic`` trains with it, and ``LocalActorCritic.online`` makes one for deployment.

    Args:
        policy: Policy that acts and learns.
        samples: Number B of environments.
        rule: Constants of the learning rule.
        rng: Random generator of the actions.
        moments: State of Adam for this policy; None to start.
        regulator: Regulator of this policy's hidden neurons, or None.
        hidden_rate: Step size of hidden synapses, as a share of the readouts' step size.
        step_size: Step size of the readouts, an attribute that can be set; 0 to learn nothing.

    Raises:
        ValueError: The rule can't learn a part of the network.
    """

    def __init__(
        self,
        policy: LocalActorCriticPolicy,
        samples: int,
        rule: RuleConstants,
        rng: np.random.Generator,
        moments: Moments | None = None,
        regulator: LocalRegulator | None = None,
        *,
        hidden_rate: float,
        step_size: float = 0.0,
    ) -> None:
        self._policy, self.rng = policy, rng
        self._hidden_rate, self.step_size = hidden_rate, step_size
        self.core = make_core(policy, samples, rule, moments, regulator)
        self._values_after = np.zeros(samples, np.float32)
        self._no_outcome = Outcome(
            np.zeros(samples, np.float32), np.zeros(samples, np.bool_), self._values_after
        )

    def reset(self, observation: Any) -> Any:
        """Begin an episode of a single environment, without learning; return the first action."""
        return self.begin(np.asarray(observation)[np.newaxis])[0]

    def step(self, observation: Any, reward: float, terminated: bool, truncated: bool) -> Any:
        """Learn from the last action in a single environment; return the next action.

        The arguments are those that ``env.step`` returned. After the end of an episode, ignore the
        action and call ``reset``.
        """
        observations = np.asarray(observation)[np.newaxis]
        cut = truncated and not terminated
        info = {"terminal_observation": observations[0], "TimeLimit.truncated": cut}
        rewards, dones = np.array([reward], np.float32), np.array([terminated or truncated])
        return self.go_on(observations, rewards, dones, [info])[0]

    def begin(self, observations: Any) -> NDArray[Any]:
        """Begin episodes in all environments, without learning; return the actions (B, ...)."""
        self.core.forget()
        return self._step(observations, self._no_outcome, 0.0)

    def go_on(
        self,
        observations: Any,
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: Sequence[Mapping[str, Any]],
    ) -> NDArray[Any]:
        """Learn from the last actions in all environments; return the next actions (B, ...).

        Args:
            observations: Batch of B observations; the first of the next episode after an end.
            rewards: (B,).
            dones: (B,), whether an episode ended.
            infos: B infos; at an end with ``terminal_observation`` and ``TimeLimit.truncated``, as
                in Stable-Baselines3.
        """
        if np.count_nonzero(dones):
            self._values_after[:] = 0.0
            cut = [
                k
                for k in np.flatnonzero(dones).tolist()
                if infos[k].get("TimeLimit.truncated", False)
            ]
            if cut:
                # A cut episode would have gone on, so its last observation has a value.
                last = np.stack([infos[k]["terminal_observation"] for k in cut])
                self._values_after[cut] = self.core.values(self._policy.seen(last))
        outcome = Outcome(rewards.astype(np.float32, copy=False), dones, self._values_after)
        return self._step(observations, outcome, self.step_size)

    def _step(self, observations: Any, outcome: Outcome, step_size: float) -> NDArray[Any]:
        core = self.core
        draw = self.rng.standard_normal if core.is_continuous else self.rng.random
        noise = draw(core.noise_shape)
        sizes = (step_size * self._hidden_rate, step_size)
        chosen = core.step(self._policy.seen(observations), noise, outcome, sizes)
        if not core.is_continuous:
            # The next step overwrites it.
            return chosen.copy()
        space = self._policy.action_space
        # Gaussian actions are squashed into the bounds of the action space.
        squashed = np.tanh(chosen).reshape(-1, *(space.shape or ()))
        actions: NDArray[Any] = self._policy.unscale_action(squashed)
        return actions
