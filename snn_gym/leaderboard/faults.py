"""Hardware faults of a trained agent: noise, few bits, dead neurons, lost spikes, jitter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.config import Config, Natural, NonNegative, Range, Share
from snn_gym.policies.acting import rows_of
from snn_gym.policies.frozen import FrozenPolicy, program_of
from snn_gym.policies.protocols import Acting
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.costs import costs_of
from snn_gym.program.interpreter import Decision, decide, enter
from snn_gym.program.network import Array, GatedLayer, Head, Layer, NeuronLayer, Program
from snn_gym.program.neuron import constant_of, equations
from snn_gym.spiking.recording import Recording

_GAIN = constant_of("tau_mem_ms")
"""Constant of neurons with a membrane time constant: ``dt / tau``."""
_MOST = 1.0 - 1e-6
"""Largest such gain: no time constant falls below a time step."""


class AbsentPartError(ValueError):
    """An agent lacks the part that a fault is of."""


@dataclass(frozen=True, kw_only=True)
class Faults(Config):
    """Faults of an agent."""

    observation_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise that is added to each value of an observation, anew in
    every decision, in units of what the policy's normaliser divides the value by: its standard
    deviation in training, or half of its range where a learner without gradients scales it by
    limits. It is added before the normaliser clips. One-hots and flags stay."""
    weights_bits: Annotated[int, Range(at_least=2, at_most=16)] | None = None
    """Bits of a weight, its sign among them; None for float. Each matrix has a scale of its own, by
    its largest weight; biases stay."""
    weight_noise: NonNegative = 0.0
    """Standard deviation of what each weight is off by, in units of itself."""
    dead_neurons: Share = 0.0
    """Share of the hidden neurons or units that nobody hears."""
    spike_loss: Share = 0.0
    """Probability that a hidden spike is lost on its way to the next layer or the readout, each for
    itself; those to the own layer, of a recurrent one, arrive."""
    tau_jitter: NonNegative = 0.0
    """Standard deviation of the logarithm of each neuron's membrane time constant; none falls below
    a time step."""
    seed: Natural = 0
    """Seed of what is drawn."""


def with_faults(model: BaseAlgorithm | Acting, faults: Faults) -> FaultyPolicy:
    """Return an agent with faults that only acts; the agent itself stays as it is.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        faults: What is done to it.

    Raises:
        AbsentPartError: It has no such parts: no values that a normaliser standardises, as where
            observations are spikes, no spiking layers, or no membrane time constants.
        ValueError: It has no program; the message names why.
    """
    policy: Any = raw_policy(model)
    program, generator = program_of(model), np.random.default_rng(faults.seed)
    program = damaged(program, faults, generator)
    spaces = policy.observation_space, policy.action_space
    return FaultyPolicy(program, *spaces, faults, generator)


def damaged(program: Program, faults: Faults, generator: np.random.Generator) -> Program:
    """Return a program with the faults that last.

    Args:
        program: The program.
        faults: What is done to it. Time constants change first, then neurons die, weights are off,
            and are rounded last.
        generator: What draws.

    Raises:
        AbsentPartError: No neuron has a membrane time constant.
    """
    if faults.tau_jitter:
        program = _jittered(program, faults.tau_jitter, generator)
    heard = [generator.random(size) >= faults.dead_neurons for size in program.sizes]
    layers: list[Layer] = []
    for layer, below, own in zip(program.layers, [None, *heard], heard, strict=False):
        changed: dict[str, Any] = {"weights": _off(_heard(layer.weights, below), faults, generator)}
        if isinstance(layer, NeuronLayer | GatedLayer) and layer.recurrent is not None:
            changed["recurrent"] = _off(_heard(layer.recurrent, own), faults, generator)
        layers.append(replace(layer, **changed))
    weights = _off(_heard(program.head.weights.T, heard[-1]), faults, generator).T
    head = Head(np.ascontiguousarray(weights), program.head.biases)
    return replace(program, layers=tuple(layers), head=head)


def _heard(weights: Array, senders: NDArray[np.bool_] | None) -> Array:
    """Return weights (D, N) of which none hears the senders (D,) that are dead."""
    return weights if senders is None else weights * senders[:, np.newaxis].astype(np.float32)


def _off(weights: Array, faults: Faults, generator: np.random.Generator) -> Array:
    """Return weights (D, N) with noise, and rounded."""
    drawn = generator.normal(0.0, 1.0, weights.T.shape).T.astype(np.float32)
    found = weights * (np.float32(1.0) + np.float32(faults.weight_noise) * drawn)
    if faults.weights_bits is not None:
        found = rounded(found, faults.weights_bits)
    return np.ascontiguousarray(found)


def rounded(weights: Array, bits: int) -> Array:
    """Return weights on a symmetric grid, ``scale`` times whole numbers below ``2**(bits - 1)``.

    Args:
        weights: Any shape.
        bits: Bits of a weight, the sign among them.
    """
    scale = np.abs(weights).max() / weights.dtype.type(2 ** (bits - 1) - 1)
    return weights if scale == 0 else np.rint(weights / scale) * scale


def _jittered(program: Program, jitter: float, generator: np.random.Generator) -> Program:
    """Return a program whose neurons have membrane time constants of their own."""
    layers = list(_with_own_gains(program, jitter, generator))
    if not layers:
        raise AbsentPartError(
            "tau_jitter is for neurons with a membrane time constant, and there are none"
        )
    return replace(program, layers=tuple(layers))


def _with_own_gains(
    program: Program, jitter: float, generator: np.random.Generator
) -> Iterator[NeuronLayer]:
    """Yield all layers of neurons, nothing if one has no membrane time constant."""
    names = [equations(x.neuron).constants for x in program.neurons]
    if not all(_GAIN in x for x in names):
        return
    for layer, own in zip(program.neurons, names, strict=True):
        constants = np.array(layer.constants, np.float32).reshape(len(own), -1)
        constants = np.repeat(constants, layer.size // constants.shape[1], axis=1)
        gains = constants[own.index(_GAIN)]
        gains /= np.exp(jitter * generator.normal(size=layer.size)).astype(np.float32)
        np.minimum(gains, np.float32(_MOST), out=gains)
        yield replace(layer, constants=constants)


class FaultyPolicy(FrozenPolicy):
    """A trained agent that only acts, with what is drawn anew in every decision.

    Args:
        program: Its numbers, with the faults that last.
        observation_space: What it sees.
        action_space: What it chooses from.
        faults: What is done to it.
        generator: What draws.

    Raises:
        AbsentPartError: It lacks the part that a fault is of.
    """

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
        made = self._decided(rows, states)
        if states is not None:
            states[:] = made.state
        return made.actions

    def _decided(self, rows: Array, states: Array | None) -> Decision:
        """Decide by the interpreter, with what is drawn anew."""
        shape = (len(rows), -1, self.program.inputs)
        given = rows.reshape(shape) if self.program.spike_input else rows
        noise = self._noise(len(rows))
        return decide(
            self.program, given, states, noise, disturbed=self._disturbed, passed=self._passed
        )

    def entered(self, observations: NDArray[Any]) -> Array:
        """Return what the first layer gets (B, channels) of values, with noise drawn anew.

        Args:
            observations: (B, D).
        """
        signal, _ = enter(self.program, observations, disturbed=self._disturbed)
        entered: Array = signal[0]
        return entered

    def _disturbed(self, values: Array, deviations: Array) -> Array:
        """Return values (K, B, D) with noise, in units of deviations (D,)."""
        if not self._faults.observation_noise:
            return values
        drawn = self._generator.standard_normal(values.shape, np.float32)
        return values + np.float32(self._faults.observation_noise) * deviations * drawn

    def _passed(self, spikes: Array) -> Array:
        """Return the spikes (T, B, N) that arrive."""
        if not self._faults.spike_loss:
            return spikes
        kept = self._generator.random(spikes.shape, np.float32) >= self._faults.spike_loss
        return spikes * kept.astype(np.float32)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Return what decisions on observations cost; activity is not recorded.

        Args:
            obs: One observation or a batch of B, as the environment gives them.
            state: State (B, F) carried from the decision before, or what ``predict`` returned; None
                starts from rest.
        """
        rows = rows_of(np.asarray(obs), self.observation_space)
        assert rows is not None  # of an environment that it acted in
        carried = state[0] if isinstance(state, tuple) else state
        before = None if carried is None else np.asarray(carried, np.float32)
        made = self._decided(rows, before)
        costs = costs_of(self.program, made.entered, made.layers, made.decoded, before)
        return Recording((), torch.from_numpy(made.outputs), 0.0, costs)
