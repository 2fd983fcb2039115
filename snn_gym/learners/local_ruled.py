"""``RuledCore``: a ``LocalCore`` whose hidden synapses follow any ``PlasticityRule``."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.learners.local_core import LocalCore, Moments, Outcome, Rule
from snn_gym.learners.local_kernels import activity_of, decide, run_layers, scale
from snn_gym.learners.local_regulator import LocalRegulator, watch
from snn_gym.policies.local_actor_critic import LocalActorCriticPolicy
from snn_gym.synapses.plasticity import RULES, Nothing, PlasticityRule, Seen

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
    return functools.partial(watch, step, rule.constants or Nothing())


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
