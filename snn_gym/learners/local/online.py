"""Policies that go on learning while they act, step by step."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.synapses.plasticity import RULES, NoConstants, PlasticityRule, Seen
from snn_gym.learners.local.core import LocalCore, Moments, Outcome, Rule
from snn_gym.learners.local.kernels import activity_of, decide, run_layers, scale
from snn_gym.learners.local.regulator import LocalRegulator, watch
from snn_gym.policies.controller import LocalActorCriticPolicy

# ---- rules of plasticity -------------------------------------------------------------------------
Array = NDArray[np.float64]
DEFAULT_RULE = "three_factor"
"""Rule of plasticity that the kernels of ``LocalCore`` compute."""


def make_core(
    policy: LocalActorCriticPolicy,
    samples: int,
    rule: Rule,
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
        rule: Rule,
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
        self, observations: NDArray[np.float32], noise: Array, outcome: Outcome
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
    step: Any, constants: Any, gain: float, coefficients: Array, weights: Array,
    seen: tuple[Array, Array, Array, Array], states: Any, local: NDArray[np.float32],
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
        rule: Rule,
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
