"""``RuledCore``: a ``LocalCore`` whose hidden synapses follow any ``PlasticityRule``."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.learners.local_core import LocalCore, Moments, Outcome, Rule
from snn_gym.learners.local_kernels import (
    GAIN,
    LEAK,
    RESET,
    SLOPE,
    THRESHOLD,
    decide,
    run_layers,
    scale,
)
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
        sizes, _, coefficients = self._network
        self._plasticity = RULES[rule.plasticity]
        self._watch = watcher(self._plasticity)
        self._states = [
            tuple(np.zeros((inputs + 1, neurons)) for _ in self._plasticity.state)
            for inputs, neurons in itertools.pairwise(sizes)
        ]
        widest, steps, outputs = sizes.max(), coefficients.size, self._back.shape[0]
        self._x = np.empty(sizes[0], np.float32)
        self._spikes = np.empty((sizes.size - 1) * steps * widest, np.float32)
        self._local = np.empty_like(self._theta)
        self._features = np.empty(sizes[-1] + 1, np.float32)
        self._scratch = tuple(np.empty(n, np.float32) for n in (outputs, outputs, widest))

    def _live(self, observations: NDArray[np.float32], noise: Array, outcome: Outcome) -> None:
        sizes, constants, coefficients = self._network
        self._gradient[:] = 0.0
        for b in range(len(observations)):
            scale(self._limits, observations[b], self._x)
            at = run_layers(
                sizes, constants, coefficients, self._theta, self._x, self._spikes, self._local,
                self._features,
            )  # fmt: skip
            self._see()
            watch(sizes, coefficients.size, self._spikes, self._local, self._watched)
            decide(
                b, at, sizes, self._constants_of_rule, self._learned, self._lives, outcome,
                (noise, self._chosen, self._drawn), self._found,
                (self._features, self._local, *self._scratch),
            )  # fmt: skip

    def _see(self) -> None:
        """Let the rule follow what the layers did; fill what their synapses are eligible for."""
        sizes, constants, coefficients = self._network
        steps, start, at = coefficients.size, 0, 0
        inputs = np.repeat(np.append(self._x, 1.0)[np.newaxis], steps, 0)
        for layer, states in enumerate(self._states):
            shape = (sizes[layer] + 1, sizes[layer + 1])
            end, stop = start + shape[0] * shape[1], at + steps * shape[1]
            spikes = self._spikes[at:stop].reshape(steps, shape[1]).astype(np.float64)
            self._watch(
                constants[layer].astype(np.float64), coefficients.astype(np.float64),
                self._theta[start:end].reshape(shape).astype(np.float64), inputs, spikes, states,
                self._local[start:end].reshape(shape),
            )  # fmt: skip
            inputs = np.concatenate([spikes, np.ones((steps, 1))], 1)
            start, at = end, stop


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
    step: Any, constants_of_rule: Any, constants: Array, coefficients: Array, weights: Array,
    inputs: Array, spikes: Array, states: Any, local: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill ``local`` (D + 1, N) with the sum of eligibilities, weighted as the decoder does it.

    Args:
        step: The rule's function.
        constants_of_rule: Its constants.
        constants: Of the layer's neurons, as ``local_kernels`` has them.
        coefficients: (T,), the decoder's weights.
        weights: (D + 1, N).
        inputs: (T, D + 1), the last of them 1.
        spikes: (T, N), what the neurons did.
        states: Of the rule, each (D + 1, N); overwritten.
        local: Written.
    """
    gain, leak, slope = constants[GAIN], constants[LEAK], constants[SLOPE]
    threshold, reset = constants[THRESHOLD], constants[RESET]
    neurons = weights.shape[1]
    v, total = np.full((1, neurons), leak), np.zeros(weights.shape)
    for s in range(len(states)):
        states[s][:] = 0.0
    for t in range(len(coefficients)):
        pre, post = inputs[t].reshape(-1, 1), spikes[t].reshape(1, neurons)
        current = (pre * weights).sum(0).reshape(1, neurons)
        v = v + gain * (current + leak - v)
        window = 1.0 / (1.0 + slope * np.abs(v - threshold)) ** 2
        seen = Seen(pre, post, v, window, weights, np.full((1, 1), gain))
        new, eligible = step(seen, states, constants_of_rule)
        total += coefficients[t] * eligible
        for s in range(len(states)):
            states[s][:] = new[s]
        v = (1.0 - post) * v + post * reset
    local[:] = total
