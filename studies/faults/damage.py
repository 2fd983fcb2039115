"""Simulated hardware faults: noise, few bits, dead neurons, lost spikes, jitter of constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.config import Config, Natural, NonNegative, Range, Share
from snn_gym.envs.registry import ReferenceScores
from snn_gym.policies.acting import rows_of
from snn_gym.policies.frozen import FrozenPolicy, program_of
from snn_gym.policies.raw_observations import Acting, raw_policy
from snn_gym.program.costs import costs_of
from snn_gym.program.interpreter import Decision, decide, enter
from snn_gym.program.layers import Array, GatedLayer, Layer, NeuronLayer
from snn_gym.program.neuron import constant_of, equations
from snn_gym.program.program import Head, Program
from snn_gym.spiking.recording import Recording

_GAIN = constant_of("tau_mem_ms")  # dt / tau
_LARGEST_GAIN = 1.0 - 1e-6  # no time constant falls below a time step


class AbsentPartError(ValueError):
    """The agent lacks the faulty part."""


@dataclass(frozen=True, kw_only=True)
class Faults(Config):
    """Simulated faults of an agent."""

    observation_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise on observed values in each decision, before clipping.

    Its unit is the divisor of the policy's normaliser: the standard deviation in training, or half
    of the range of a learner without gradients. One-hots and flags have no noise.
    """
    weights_bits: Annotated[int, Range(at_least=2, at_most=16)] | None = None
    """Bits of a weight with its sign, scaled by each matrix's largest weight; None for float."""
    weight_noise: NonNegative = 0.0
    """Relative standard deviation of weights."""
    dead_neurons: Share = 0.0
    """Share of hidden neurons or units without effect."""
    spike_loss: Share = 0.0
    """Probability that a hidden spike does not reach the next layer; recurrent spikes arrive."""
    tau_jitter: NonNegative = 0.0
    """Standard deviation of the logarithm of membrane time constants, which stay above a step."""
    seed: Natural = 0


def with_faults(model: BaseAlgorithm | Acting, faults: Faults) -> FaultyPolicy:
    """Return a copy of an agent that acts with faults; AbsentPartError without the faulty part."""
    policy: Any = raw_policy(model)
    generator = np.random.default_rng(faults.seed)
    program = damaged(program_of(model), faults, generator)
    return FaultyPolicy(program, policy.observation_space, policy.action_space, faults, generator)


def damaged(program: Program, faults: Faults, generator: np.random.Generator) -> Program:
    """Return a copy with the permanent faults: jittered time constants, dead neurons, weights."""
    if faults.tau_jitter:
        program = _jittered(program, faults.tau_jitter, generator)
    alive = [generator.random(size) >= faults.dead_neurons for size in program.sizes]
    layers: list[Layer] = []
    for layer, below, own in zip(program.layers, [None, *alive], alive, strict=False):
        weights = _damaged_weights(layer.weights, below, faults, generator)
        changes: dict[str, Any] = {"weights": weights, "operator": "linear"}
        if isinstance(layer, NeuronLayer | GatedLayer) and layer.recurrent is not None:
            changes["recurrent"] = _damaged_weights(layer.recurrent, own, faults, generator)
        layers.append(replace(layer, **changes))
    last = alive[-1] if alive else None
    weights = _damaged_weights(program.head.weights.T, last, faults, generator).T
    head = Head(np.ascontiguousarray(weights), program.head.biases)
    return replace(program, layers=tuple(layers), head=head)


def _damaged_weights(
    weights: Array,
    alive: NDArray[np.bool_] | None,
    faults: Faults,
    generator: np.random.Generator,
) -> Array:
    """Return weights (D, N) without those of dead senders (D,), with noise, and rounded."""
    if alive is not None:
        weights = weights * alive[:, np.newaxis].astype(np.float32)
    noise = generator.normal(0.0, 1.0, weights.T.shape).T.astype(np.float32)
    weights = weights * (np.float32(1.0) + np.float32(faults.weight_noise) * noise)
    if faults.weights_bits is not None:
        weights = rounded(weights, faults.weights_bits)
    return np.ascontiguousarray(weights)


def rounded(weights: Array, bits: int) -> Array:
    """Round weights to multiples of ``largest / (2**(bits - 1) - 1)``; all zeros stay zeros."""
    scale = np.abs(weights).max() / weights.dtype.type(2 ** (bits - 1) - 1)
    return weights if scale == 0 else np.rint(weights / scale) * scale


def _jittered(program: Program, jitter: float, generator: np.random.Generator) -> Program:
    """Return a program with jittered membrane time constants; AbsentPartError without any."""
    names = [equations(x.neuron).constants for x in program.neurons]
    if not names or not all(_GAIN in x for x in names):
        raise AbsentPartError(
            "tau_jitter is for neurons with a membrane time constant, and there are none"
        )
    layers: list[Layer] = []
    for layer, own in zip(program.neurons, names, strict=True):
        constants = np.array(layer.constants, np.float32).reshape(len(own), -1)
        constants = np.repeat(constants, layer.size // constants.shape[1], axis=1)
        gains = constants[own.index(_GAIN)]
        gains /= np.exp(jitter * generator.normal(size=layer.size)).astype(np.float32)
        np.minimum(gains, np.float32(_LARGEST_GAIN), out=gains)
        layers.append(replace(layer, constants=constants))
    return replace(program, layers=tuple(layers))


class FaultyPolicy(FrozenPolicy):
    """Policy of a program that draws observation noise and spike loss in every decision."""

    def __init__(
        self,
        program: Program,
        observation_space: Any,
        action_space: Any,
        faults: Faults,
        generator: np.random.Generator,
    ) -> None:
        super().__init__(program, observation_space, action_space)
        if faults.observation_noise and not program.normalisers:
            raise AbsentPartError(
                "observation_noise is for values that a normaliser standardises, and there are none"
            )
        if faults.spike_loss and not program.spiking:
            raise AbsentPartError(
                "spike_loss is for networks of spiking layers, and there are none"
            )
        self._faults, self._generator = faults, generator

    def _actions(self, rows: Array, states: Array | None) -> NDArray[Any]:
        if not (self._faults.observation_noise or self._faults.spike_loss):
            return super()._actions(rows, states)
        decision = self._decide(rows, states)
        if states is not None:
            states[:] = decision.state
        return decision.actions

    def _decide(self, rows: Array, states: Array | None) -> Decision:
        # The interpreter, because compiled programs cannot draw faults.
        shape = (len(rows), -1, self.program.inputs)
        observed = rows.reshape(shape) if self.program.spike_input else rows
        noise = self._noise(len(rows))
        return decide(
            self.program, observed, states, noise, disturbed=self._disturbed, passed=self._passed
        )

    def entered(self, observations: NDArray[Any]) -> Array:
        """Return the first layer's input (B, channels) for observations (B, D), with new noise."""
        signal, _ = enter(self.program, observations, disturbed=self._disturbed)
        entered: Array = signal[0]
        return entered

    def _disturbed(self, values: Array, deviations: Array) -> Array:
        """Return values (K, B, D) with the fault's noise, in units of deviations (D,)."""
        if not self._faults.observation_noise:
            return values
        noise = self._generator.standard_normal(values.shape, np.float32)
        return values + np.float32(self._faults.observation_noise) * deviations * noise

    def _passed(self, spikes: Array) -> Array:
        """Return the spikes (T, B, N) that arrive."""
        if not self._faults.spike_loss:
            return spikes
        arrived = self._generator.random(spikes.shape, np.float32) >= self._faults.spike_loss
        return spikes * arrived.astype(np.float32)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Return outputs and costs of decisions on a batch, with new faults and without layers."""
        rows = rows_of(np.asarray(obs), self.observation_space)
        assert rows is not None  # observations of its own environment
        carried = state[0] if isinstance(state, tuple) else state
        before = None if carried is None else np.asarray(carried, np.float32)
        decision = self._decide(rows, before)
        costs = costs_of(self.program, decision.entered, decision.layers, before)
        return Recording((), torch.from_numpy(decision.outputs), 0.0, costs)


LEAST_WAY = 0.1
"""Share of the way from random play to `solved` below which fault retention is undefined."""


def kept(reference: ReferenceScores, score: float, whole: float) -> float | None:
    """Return fault retention: ``score`` on the scale from random play (0) to ``whole`` (1).

    ``whole`` is the score without the fault; below `LEAST_WAY` of the way to `solved`, return None.
    """
    if whole < reference.random + reference.loss(LEAST_WAY):
        return None
    return (score - reference.random) / (whole - reference.random)
