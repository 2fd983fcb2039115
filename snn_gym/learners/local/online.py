"""``OnlineActor``: a policy that goes on learning while it acts, step by step."""

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
"""The rule that ``LocalCore`` itself follows, in kernels of its own."""


def make_core(
    policy: LocalActorCriticPolicy,
    samples: int,
    rule: Rule,
    moments: Moments | None = None,
    regulator: LocalRegulator | None = None,
) -> LocalCore:
    """Return what learns by a rule; see ``LocalCore``.

    Args:
        policy: Policy whose weights are learned.
        samples: Number B of environments.
        rule: Constants; ``plasticity`` names the rule of hidden synapses.
        moments: Adam's, of this policy; None for none yet.
        regulator: What regulates this policy's hidden neurons; None for nothing.

    Raises:
        ValueError: The network has a part that can't be learned.
    """
    kind = LocalCore if rule.plasticity == DEFAULT_RULE else RuledCore
    return kind(policy, samples, rule, moments, regulator)


class RuledCore(LocalCore):
    """Synapses whose eligibility is what a rule of ``plasticity.RULES`` makes of what they see.

    The network runs as in ``LocalCore``; then the rule follows its time steps once more, in
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
        self._plasticity = RULES[rule.plasticity]
        self._watch = watcher(self._plasticity)
        self._states = [
            tuple(np.zeros((inputs + 1, neurons)) for _ in self._plasticity.state)
            for inputs, neurons in itertools.pairwise(sizes)
        ]
        widest, outputs = sizes.max(), self._back.shape[0]
        self._x = np.empty(sizes[0], np.float32)
        self._activity = activity_of(self._network)
        self._gains = [_gain(layer.neuron) for layer in policy.controller.layers]
        self._local = np.empty_like(self._theta)
        self._features = np.empty(sizes[-1] + 1, np.float32)
        self._scratch = tuple(np.empty(n, np.float32) for n in (outputs, outputs, widest))

    def _live(self, observations: NDArray[np.float32], noise: Array, outcome: Outcome) -> None:
        sizes, steps = self._network.sizes, self._network.coefficients.size
        self._gradient[:] = 0.0
        for b in range(len(observations)):
            scale(self._limits, observations[b], self._x)
            at = run_layers(
                self._network, self._theta, self._x, self._activity, self._local, self._features
            )
            self._see()
            watch(sizes, steps, self._activity.spikes, self._local, self._watched)
            decide(
                b, at, sizes, self._constants_of_rule, self._learned, self._lives, outcome,
                (noise, self._chosen, self._drawn), self._found,
                (self._features, self._local, *self._scratch),
            )  # fmt: skip

    def _see(self) -> None:
        """Let the rule follow what the layers did; fill what their synapses are eligible for."""
        sizes, coefficients = self._network.sizes, self._network.coefficients
        steps, start, at = coefficients.size, 0, 0
        inputs = np.repeat(np.append(self._x, 1.0)[np.newaxis], steps, 0)
        for layer, states in enumerate(self._states):
            shape = (sizes[layer] + 1, sizes[layer + 1])
            end, stop = start + shape[0] * shape[1], at + steps * shape[1]
            spikes, potentials, derivatives = (
                x[at:stop].reshape(steps, shape[1]).astype(np.float64) for x in self._activity
            )
            self._watch(
                self._gains[layer], coefficients.astype(np.float64),
                self._theta[start:end].reshape(shape).astype(np.float64),
                (inputs, spikes, potentials, derivatives), states,
                self._local[start:end].reshape(shape),
            )  # fmt: skip
            inputs = np.concatenate([spikes, np.ones((steps, 1))], 1)
            start, at = end, stop


def _gain(neuron: Any) -> float:
    """Return ``dt / tau_mem`` of a layer's neurons, 1 of those without a membrane time constant."""
    return float(neuron.numbers.get("mem_gain", 1.0))


@functools.cache
def watcher(rule: PlasticityRule) -> Any:
    """Return what runs a rule along the time steps of a layer, compiled if the rule says so.

    Args:
        rule: The rule.
    """
    watch, step = _watch, rule.step
    if rule.compiled:
        compiled = njit(cache=False, error_model="numpy")
        watch, step = compiled(_watch), compiled(rule.step)
    return functools.partial(watch, step, rule.constants or NoConstants())


def _watch(
    step: Any, constants_of_rule: Any, gain: float, coefficients: Array, weights: Array,
    seen: tuple[Array, Array, Array, Array], states: Any, local: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill ``local`` (D + 1, N) with the sum of eligibilities, weighted as the decoder does it.

    Args:
        step: The rule's function.
        constants_of_rule: Its constants.
        gain: ``dt / tau_mem`` of the neurons.
        coefficients: (T,), the decoder's weights.
        weights: (D + 1, N).
        seen: Inputs (T, D + 1), the last of them 1; spikes, potentials before the reset and
            derivatives of the surrogate, each (T, N).
        states: Of the rule, each (D + 1, N); overwritten.
        local: Written.
    """
    inputs, spikes, potentials, derivatives = seen
    neurons, total = weights.shape[1], np.zeros(weights.shape)
    for s in range(len(states)):
        states[s][:] = 0.0
    for t in range(len(coefficients)):
        pre, post = inputs[t].reshape(-1, 1), spikes[t].reshape(1, neurons)
        v, window = potentials[t].reshape(1, neurons), derivatives[t].reshape(1, neurons)
        now = Seen(pre, post, v, window, weights, np.full((1, 1), gain))
        new, eligible = step(now, states, constants_of_rule)
        total += coefficients[t] * eligible
        for s in range(len(states)):
            states[s][:] = new[s]
    local[:] = total


# ---- actor ---------------------------------------------------------------------------------------
class OnlineActor:
    """A ``LocalActorCriticPolicy`` that acts in B environments and learns from every step at once.

    Nothing is stored but the traces: what an action led to changes the weights, and is forgotten.
    The learning of ``LocalActorCritic`` is made of it, and so may be the life of an agent that is
    deployed: ``LocalActorCritic.online`` makes one.

    Args:
        policy: Acts, and is changed.
        samples: Number B of environments.
        rule: Constants of the rule.
        rng: Draws the actions.
        moments: Adam's, of this policy; None for none yet.
        regulator: What regulates this policy's hidden neurons; None for nothing.
        hidden_rate: Step size of hidden synapses, as a share of the readouts'.
        step_size: Of the readouts; also an attribute, to be set at any time. 0 to learn nothing.

    Raises:
        ValueError: The network has a part that the rule can't learn.
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
        self._none = Outcome(
            np.zeros(samples, np.float32), np.zeros(samples, np.bool_), self._values_after
        )

    def reset(self, observation: Any) -> Any:
        """Begin an episode in the one environment; see ``begin``.

        Args:
            observation: Its first observation.

        Returns:
            The action.
        """
        return self.begin(np.asarray(observation)[np.newaxis])[0]

    def step(self, observation: Any, reward: float, terminated: bool, truncated: bool) -> Any:
        """Learn from what the last action led to in the one environment, and act.

        Args:
            observation: What the environment showed after the action.
            reward: What the action earned.
            terminated: Whether the episode came to its end.
            truncated: Whether a limit cut it.

        Returns:
            The next action; of no use where the episode is over and ``reset`` comes next.
        """
        observations = np.asarray(observation)[np.newaxis]
        cut = truncated and not terminated
        info = {"terminal_observation": observations[0], "TimeLimit.truncated": cut}
        rewards, dones = np.array([reward], np.float32), np.array([terminated or truncated])
        return self.go_on(observations, rewards, dones, [info])[0]

    def begin(self, observations: Any) -> NDArray[Any]:
        """Begin episodes in all environments, and forget what was decided before.

        Args:
            observations: Batch of B observations.

        Returns:
            Actions (B, ...).
        """
        self.core.forget()
        return self._step(observations, self._none, 0.0)

    def go_on(
        self,
        observations: Any,
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: Sequence[Mapping[str, Any]],
    ) -> NDArray[Any]:
        """Learn from what the last actions led to, and act.

        Args:
            observations: Batch of B observations; those that begin an episode where one ended.
            rewards: (B,), as the environments gave them.
            dones: (B,), whether an episode ended.
            infos: Of each environment; where an episode ended with ``terminal_observation`` and
                ``TimeLimit.truncated``, as Stable-Baselines3 has them.

        Returns:
            Actions (B, ...).
        """
        if np.count_nonzero(dones):
            self._values_after[:] = 0.0
            self._value_cut_episodes(dones, infos)
        outcome = Outcome(rewards.astype(np.float32, copy=False), dones, self._values_after)
        return self._step(observations, outcome, self.step_size)

    def _value_cut_episodes(
        self, dones: NDArray[np.bool_], infos: Sequence[Mapping[str, Any]]
    ) -> None:
        """Value the last observation of episodes that a limit cut."""
        cut = [
            k for k in np.flatnonzero(dones).tolist() if infos[k].get("TimeLimit.truncated", False)
        ]
        if cut:
            last = np.stack([infos[k]["terminal_observation"] for k in cut])
            self._values_after[cut] = self.core.values(self._policy.seen(last))

    def _step(self, observations: Any, outcome: Outcome, step_size: float) -> NDArray[Any]:
        core = self.core
        noise = self._draw(core.noise_shape)
        sizes = (step_size * self._hidden_rate, step_size)
        chosen = core.step(self._policy.seen(observations), noise, outcome, sizes)
        if not core.is_continuous:
            return chosen.copy()
        space = self._policy.action_space
        squashed = np.tanh(chosen).reshape(-1, *(space.shape or ()))
        actions: NDArray[Any] = self._policy.unscale_action(squashed)
        return actions

    def _draw(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        if self.core.is_continuous:
            return self.rng.standard_normal(shape)
        return self.rng.random(shape)
