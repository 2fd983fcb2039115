"""Registered neurons: Norse's membrane integration, our spikes, and their fused kernels.

A neuron runs all time steps of a layer in one of two ways that give equal spikes and voltages:
``run_stepped`` calls Norse's step function once per time step (the reference; any device and
dtype, differentiable twice), and the fused kernels of ``snn_gym.spiking.kernels`` do the same in
one compiled call.

Norse does the integration: its step function is called with an infinite threshold, which leaves
the membrane potential before the reset. The spike ``v - v_threshold > 0`` and the reset
``(1 - z) v + z v_reset`` are then Norse's own formulas with a surrogate gradient whose slope works.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from norse.torch.functional.iaf import IAFFeedForwardState, iaf_feed_forward_step
from norse.torch.functional.iaf import IAFParameters as NorseIAFParameters
from norse.torch.functional.lif import LIFFeedForwardState, lif_feed_forward_step
from norse.torch.functional.lif import LIFParameters as NorseLIFParameters
from norse.torch.functional.lif_box import LIFBoxFeedForwardState, lif_box_feed_forward_step
from norse.torch.functional.lif_box import LIFBoxParameters as NorseLIFBoxParameters
from torch import Tensor

from snn_gym.spiking import kernels
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.kernels import Array
from snn_gym.spiking.neuron_parameters import (
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
    NeuronParameters,
)
from snn_gym.spiking.surrogates import spike

State = tuple[Tensor, ...]
"""State variables of a layer, each (B, N); the first is the membrane potential."""

# Norse's threshold at infinity never fires: what it returns is the bare integration.
_NEVER = torch.tensor(math.inf)


def _per_second(tau_ms: float) -> Tensor:
    return torch.tensor(1000.0 / tau_ms)


class Neuron(ABC):
    """Dynamics of one layer's neurons.

    Args:
        parameters: Parameters of the neuron.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
    """

    state_names: tuple[str, ...]
    """Names of the state variables, the membrane potential ``v`` first."""
    parameters: NeuronParameters

    def __init__(
        self, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        self.parameters = parameters
        self.dt_s = dt_ms / 1000.0
        self.surrogate = surrogate
        self.slope = slope
        self.v_threshold: float = parameters.v_threshold
        self._threshold = torch.tensor(parameters.v_threshold)
        self._reset = torch.tensor(parameters.v_reset)
        self._threshold32 = np.float32(parameters.v_threshold)
        self._reset32 = np.float32(parameters.v_reset)
        self._code = kernels.SURROGATE_CODES[surrogate]
        self._slope32 = np.float32(slope)

    @property
    def v_rest(self) -> float:
        """Membrane potential at the start of an episode."""
        return getattr(self.parameters, "v_leak", 0.0)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""
        v = like.new_full((batch, size), self.v_rest)
        return (v, *(like.new_zeros(batch, size) for _ in self.state_names[1:]))

    @abstractmethod
    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).
        """

    @abstractmethod
    def kernel_forward(
        self, currents: Array, state: list[Array], voltages: Array, spikes: Array
    ) -> None:
        """Run the fused forward kernel; arrays as in ``snn_gym.spiking.kernels``."""

    @abstractmethod
    def kernel_backward(
        self,
        voltages: Array,
        grad_spikes: Array,
        grad_voltages: Array,
        grad_state: list[Array],
        grad_currents: Array,
    ) -> None:
        """Run the fused backward kernel; arrays as in ``snn_gym.spiking.kernels``."""

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).

        Returns:
            Spikes (B, N), membrane potential before the reset (B, N), and the new state.
        """
        voltage, *others = self.integrate(current, state)
        z = spike(voltage - self._threshold, self.surrogate, self.slope)
        v = (1 - z) * voltage + z * self._reset
        return z, voltage, (v, *others)

    def run_stepped(
        self, currents: Tensor, state: State, time_steps: int
    ) -> tuple[Tensor, Tensor, State]:
        """Run all time steps, one Norse step at a time.

        Args:
            currents: Inputs (T, B, N), or (1, B, N) for the same input at every time step.
            state: State variables, each (B, N).
            time_steps: T.

        Returns:
            Spikes (T, B, N), potentials before the reset (T, B, N), and the final state.
        """
        spikes, voltages = [], []
        for t in range(time_steps):
            z, voltage, state = self.step(currents[min(t, currents.shape[0] - 1)], state)
            spikes.append(z)
            voltages.append(voltage)
        return torch.stack(spikes), torch.stack(voltages), state


class _VoltageNeuron(Neuron):
    """A neuron whose whole state is its potential: a step takes ``v`` to ``keep v + gain x``."""

    state_names = ("v",)
    _gain = np.float32(1.0)
    _keep = np.float32(1.0)

    def kernel_backward(
        self,
        voltages: Array,
        grad_spikes: Array,
        grad_voltages: Array,
        grad_state: list[Array],
        grad_currents: Array,
    ) -> None:
        """Run the fused backward kernel."""
        kernels.box_backward(
            voltages, grad_spikes, grad_voltages, grad_state[0], self._gain, self._keep,
            self._threshold32, self._reset32, self._code, self._slope32, grad_currents,
        )  # fmt: skip


class LIFBoxNeuron(_VoltageNeuron):
    """Norse's LIFBox: leaky integrate-and-fire without synaptic current."""

    def __init__(
        self, parameters: LIFBoxParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._norse = NorseLIFBoxParameters(
            tau_mem_inv=_per_second(parameters.tau_mem_ms),
            v_leak=torch.tensor(parameters.v_leak),
            v_th=_NEVER,
            v_reset=self._reset,
            method="heaviside",
        )
        # The same expression as in Norse's step, so that the bits agree.
        self._gain = np.float32((self.dt_s * self._norse.tau_mem_inv).item())
        self._keep = np.float32(1.0) - self._gain
        self._leak = np.float32(parameters.v_leak)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        _, new = lif_box_feed_forward_step(
            current, LIFBoxFeedForwardState(v=state[0]), self._norse, self.dt_s
        )
        return (new.v,)

    def kernel_forward(
        self, currents: Array, state: list[Array], voltages: Array, spikes: Array
    ) -> None:
        """Run the fused forward kernel."""
        kernels.lif_box_forward(
            currents, state[0], self._gain, self._leak, self._threshold32, self._reset32,
            voltages, spikes,
        )  # fmt: skip


class IAFNeuron(_VoltageNeuron):
    """Norse's IAF: integrate-and-fire without leak."""

    def __init__(
        self, parameters: IAFParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._norse = NorseIAFParameters(v_th=_NEVER, v_reset=self._reset, method="heaviside")

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        _, new = iaf_feed_forward_step(
            current, IAFFeedForwardState(v=state[0]), self._norse, self.dt_s
        )
        return (new.v,)

    def kernel_forward(
        self, currents: Array, state: list[Array], voltages: Array, spikes: Array
    ) -> None:
        """Run the fused forward kernel."""
        kernels.iaf_forward(currents, state[0], self._threshold32, self._reset32, voltages, spikes)


class LIFNeuron(Neuron):
    """Norse's current-based LIF."""

    state_names = ("v", "i")

    def __init__(
        self, parameters: LIFParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._norse = NorseLIFParameters(
            tau_syn_inv=_per_second(parameters.tau_syn_ms),
            tau_mem_inv=_per_second(parameters.tau_mem_ms),
            v_leak=torch.tensor(parameters.v_leak),
            v_th=_NEVER,
            v_reset=self._reset,
            method="heaviside",
        )
        self._gain = np.float32((self.dt_s * self._norse.tau_mem_inv).item())
        self._current_gain = np.float32((-self.dt_s * self._norse.tau_syn_inv).item())
        self._leak = np.float32(parameters.v_leak)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        _, new = lif_feed_forward_step(
            current, LIFFeedForwardState(v=state[0], i=state[1]), self._norse, self.dt_s
        )
        return (new.v, new.i)

    def kernel_forward(
        self, currents: Array, state: list[Array], voltages: Array, spikes: Array
    ) -> None:
        """Run the fused forward kernel."""
        kernels.lif_forward(
            currents, state[0], state[1], self._gain, self._current_gain, self._leak,
            self._threshold32, self._reset32, voltages, spikes,
        )  # fmt: skip

    def kernel_backward(
        self,
        voltages: Array,
        grad_spikes: Array,
        grad_voltages: Array,
        grad_state: list[Array],
        grad_currents: Array,
    ) -> None:
        """Run the fused backward kernel."""
        kernels.lif_backward(
            voltages, grad_spikes, grad_voltages, grad_state[0], grad_state[1],
            self._gain, self._current_gain, self._threshold32, self._reset32,
            self._code, self._slope32, grad_currents,
        )  # fmt: skip


_NEURONS: dict[type[NeuronParameters], type[Neuron]] = {
    LIFBoxParameters: LIFBoxNeuron,
    LIFParameters: LIFNeuron,
    IAFParameters: IAFNeuron,
}


def make_neuron(config: NetworkConfig) -> Neuron:
    """Return the dynamics that a configuration names."""
    parameters = config.neuron_parameters
    assert parameters is not None  # filled in by NetworkConfig
    kind = _NEURONS[type(parameters)]
    return kind(parameters, config.dt_ms, config.surrogate, config.surrogate_slope)
