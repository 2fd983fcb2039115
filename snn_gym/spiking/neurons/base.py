"""``Neuron``, the base of all neurons: its step, and the stepped run of a layer.

``run_stepped`` calls a neuron's step once per time step. It is the reference (any device and
dtype, differentiable twice) that the fused kernels of the registered neurons are tested against.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.spiking.neurons.backward_kernels import SURROGATE_CODES
from snn_gym.spiking.neurons.forward_kernels import (
    ADAPT_GAIN,
    BETA,
    CONSTANTS,
    CURRENT_GAIN,
    GAIN,
    LEAK,
    RESET,
    THRESHOLD,
    Array,
)
from snn_gym.spiking.neurons.learned import LearnedConstant
from snn_gym.spiking.neurons.parameters import NeuronParameters
from snn_gym.spiking.neurons.surrogates import spike

_TAUS = (("tau_mem_ms", GAIN, 1), ("tau_syn_ms", CURRENT_GAIN, -1), ("tau_adapt_ms", ADAPT_GAIN, 1))
_POTENTIALS = (("v_threshold", THRESHOLD), ("v_reset", RESET), ("v_leak", LEAK), ("beta", BETA))

State = tuple[Tensor, ...]
"""State variables of a layer, each (B, N); the first is the membrane potential."""


@dataclass(frozen=True, eq=False)
class Breaks:
    """Where, in a sequence of L environment steps, the state is not carried on as it is."""

    starts: Tensor
    """(L, B) bool: the sample's state is reset to rest before that environment step."""
    cuts: tuple[bool, ...]
    """L times: whether no gradient passes into that environment step through the state."""
    recurrent_gradient: bool = True
    """Whether gradients pass back through recurrent spikes."""

    @cached_property
    def blocked(self) -> Tensor:
        """(L, B) bool: whether no gradient passes into that environment step."""
        if not any(self.cuts):
            return self.starts
        return self.starts | torch.tensor(self.cuts, device=self.starts.device).unsqueeze(1)

    @cached_property
    def _resets(self) -> list[bool]:
        """L times: whether any sample is reset there."""
        return cast(list[bool], self.starts.any(1).tolist())

    def enter(self, step: int, carried: State, rest: State) -> State:
        """Return the state in which an environment step begins.

        Args:
            step: The environment step, 0 to L - 1.
            carried: State variables, each (..., B, N), that the one before left.
            rest: State variables at rest, each of that shape.
        """
        if self.cuts[step]:
            carried = tuple(x.detach() for x in carried)
        if not self._resets[step]:
            return carried
        starts = self.starts[step].unsqueeze(-1)
        return tuple(torch.where(starts, r, x) for x, r in zip(carried, rest, strict=True))


@lru_cache(maxsize=64)
def no_breaks(batch: int) -> Breaks:
    """Return those of a single decision, which goes on from the state that it is given.

    Args:
        batch: Samples B.
    """
    return Breaks(torch.zeros((1, batch), dtype=torch.bool), (False,))


class Run(NamedTuple):
    """A layer's run over L environment steps of T time steps; a single decision has L = 1."""

    spikes: Tensor
    """(L * T, B, N)."""
    voltages: Tensor
    """(L * T, B, N), before the reset."""
    final: State
    """State variables at the end, each (B, N)."""
    entered: State
    """State variables in which each environment step began, each (L * B, N)."""


class Stepped(ABC):
    """One layer's neurons, one time step at a time."""

    v_threshold: float | None
    """Firing threshold, at rest where it adapts; None where there is none to tell."""

    has_potential: bool = True
    """Whether ``step`` tells a membrane potential."""

    @property
    @abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables."""

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the numbers of one sample in each state variable of ``size`` neurons."""
        return (size,) * len(self.state_names)

    @abstractmethod
    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""

    @abstractmethod
    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).

        Returns:
            Spikes (B, N), membrane potential before the reset (B, N), and the new state.
        """

    def run_stepped(
        self,
        currents: Tensor,
        state: State,
        time_steps: int,
        recurrent_weight: Tensor | None = None,
        breaks: Breaks | None = None,
    ) -> Run:
        """Run all time steps of L environment steps, one at a time.

        Args:
            currents: Inputs (L * T, B, N), or (L, B, N) for inputs held over the time steps of an
                environment step.
            state: State variables, each (B, N), left by the environment step before the first;
                with recurrent weights the spikes of the time step before come last.
            time_steps: T.
            recurrent_weight: (N, N), row i the synapses onto neuron i: the spikes of the step
                before add ``recurrent_weight @ z`` to the input. None for no recurrence.
            breaks: Where the state is reset and where its gradient is cut; None for one
                environment step (L = 1) that goes on from ``state``.
        """
        batch, size = currents.shape[1:]
        rest = self.initial_state(batch, size, currents)
        if recurrent_weight is not None:
            rest = (*rest, torch.zeros_like(currents[0]))
        spikes, voltages, entered = [], [], []
        for k, inputs in enumerate(currents.chunk(1 if breaks is None else len(breaks.cuts))):
            state = state if breaks is None else breaks.enter(k, state, rest)
            entered.append(state)
            for t in range(time_steps):
                current = inputs[min(t, len(inputs) - 1)]
                if breaks is not None and not breaks.recurrent_gradient:
                    state = (*state[:-1], state[-1].detach())
                z, voltage, state = self._recurrent_step(current, state, recurrent_weight)
                spikes.append(z)
                voltages.append(voltage)
        began = tuple(torch.cat(variable) for variable in zip(*entered, strict=True))
        return Run(torch.stack(spikes), torch.stack(voltages), state, began)

    def _recurrent_step(
        self, current: Tensor, state: State, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, State]:
        if weight is None:
            return self.step(current, state)
        *inner, z = state
        z, voltage, new = self.step(current + nn.functional.linear(z, weight), tuple(inner))
        return z, voltage, (*new, z)

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return what the potentials of a run were compared with.

        Args:
            spikes: Spikes (L * T, B, N) of the run.
            entered: State variables in which each environment step began, each (L * B, N).

        Returns:
            The threshold, or (L * T, B, N) where it adapts, or None where there is none to tell.
        """
        del spikes, entered
        return self.v_threshold


def per_second(tau_ms: float) -> Tensor:
    """Return the inverse of a time constant, as Norse takes it (1/s)."""
    return torch.tensor(1000.0 / tau_ms)


class Neuron(Stepped):
    """A neuron that fires at a threshold, with our surrogate gradients.

    A subclass gives ``state_names`` and ``integrate``, and is added by ``register_neuron``.

    Args:
        parameters: Parameters of the neuron.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
    """

    state_names: tuple[str, ...]
    """Names of the state variables, the membrane potential ``v`` first."""
    v_threshold: float

    def __init__(
        self, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        self.parameters = parameters
        self.dt_ms = dt_ms
        self.dt_s = dt_ms / 1000.0
        self.surrogate = surrogate
        self.slope = slope
        self.v_threshold = parameters.v_threshold
        self.learned: dict[str, LearnedConstant] = {}
        """Constants that are learned, by the parameters' field."""
        self._threshold = torch.tensor(parameters.v_threshold)
        self._reset = torch.tensor(parameters.v_reset)
        self._gains = {
            field.name: self.dt_s * per_second(getattr(parameters, field.name))
            for field in fields(parameters)
            if field.name.startswith("tau_")
        }

    def learn(self, names: Iterable[str], size: int) -> None:
        """Let constants be learned, with a value for each neuron, from the configured one.

        Args:
            names: Fields of the parameters; those that the neuron can't learn are left out.
            size: Neurons of the layer.
        """
        for name in names:
            if name in self.parameters.learnable_fields:
                self.learned[name] = LearnedConstant(name, self.parameters, self.dt_ms, size)

    def gain(self, tau: str) -> Tensor:
        """Return ``dt / tau`` of a time constant, (N,) where it is learned.

        Args:
            tau: Field of the parameters.
        """
        return self.learned[tau].value if tau in self.learned else self._gains[tau]

    @property
    def firing_threshold(self) -> Tensor:
        """The threshold at rest, (N,) where it is learned."""
        learned = self.learned.get("v_threshold")
        return self._threshold if learned is None else learned.value

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return what the potentials of a run were compared with; as ``Stepped.thresholds``."""
        if "v_threshold" not in self.learned:
            return super().thresholds(spikes, entered)
        return self.firing_threshold.detach().expand_as(spikes)

    @property
    def rest(self) -> tuple[float, ...]:
        """Value of each state variable at the start of an episode."""
        return (getattr(self.parameters, "v_leak", 0.0), *(0.0 for _ in self.state_names[1:]))

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""
        return tuple(like.new_full((batch, size), value) for value in self.rest)

    @abstractmethod
    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).
        """

    def written_out(self) -> Neuron:
        """Return a neuron that does the same bit for bit and waits for no library's import.

        For making a network; its constants are the configured ones.
        """
        return self

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step, fire above the threshold and reset; as ``Stepped.step``."""
        voltage, *others = self.integrate(current, state)
        z = spike(voltage - self.firing_threshold, self.surrogate, self.slope)
        v = (1 - z) * voltage + z * self._reset
        return z, voltage, (v, *others)

    def rheobase(self, time_steps: int) -> float:
        """Return the least constant current that fires a resting neuron within ``time_steps``.

        The initial weights are scaled by it. The potential below threshold is taken as linear in
        the current, so two integrations suffice; a neuron of which that is not true overrides this.

        Args:
            time_steps: T.
        """
        if self.learned:  # for the configured constants
            fixed = type(self)(self.parameters, self.dt_ms, self.surrogate, self.slope)
            return fixed.rheobase(time_steps)
        currents = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
        state = self.initial_state(1, 2, currents)
        least = math.inf
        for _ in range(time_steps):
            state = self.integrate(currents, state)
            at_rest, driven = state[0][0].tolist()
            if driven > at_rest:
                least = min(least, (self.v_threshold - at_rest) / (driven - at_rest))
        return least


class FusedNeuron(Neuron):
    """A neuron that compiled kernels know, which run all time steps of a layer in one call.

    Their spikes and voltages equal those of ``run_stepped`` bit for bit, their gradients agree to
    float32 accuracy. The kernels know no constants that are learned: such neurons are stepped.
    """

    kind: int
    """What the kernels know the neuron as."""

    def __init__(
        self, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self.constants: Array = np.zeros(len(CONSTANTS), dtype=np.float32)
        self.constants[GAIN] = 1.0
        for field, place, sign in _TAUS:
            if field in self._gains:
                self.constants[place] = sign * self._gains[field].item()
        for field, place in _POTENTIALS:
            self.constants[place] = getattr(parameters, field, 0.0)
        # (S, 1), for acting, where every microsecond counts
        self.rest32: Array = np.array(self.rest, dtype=np.float32)[:, np.newaxis]

    @property
    def surrogate_code(self) -> tuple[int, np.float32]:
        """What the kernels know the surrogate gradient as, and its slope."""
        return SURROGATE_CODES[self.surrogate], np.float32(self.slope)
