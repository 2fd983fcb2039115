"""The adaptive LIF: Norse's LSNN with our spikes, and its fused kernels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking import adaptive_kernels
from snn_gym.spiking.kernels import Array
from snn_gym.spiking.neuron_base import FusedNeuron, State
from snn_gym.spiking.neuron_parameters import ALIFParameters
from snn_gym.spiking.norse_neurons import per_second
from snn_gym.spiking.surrogates import spike


class ALIFNeuron(FusedNeuron):
    """Norse's LSNN: a current-based LIF whose threshold ``b`` rises with each spike.

    The formulas are those of Norse 1.1.0's ``lsnn_feed_forward_step``, written out because its
    threshold is state and can't be put out of reach, as the other neurons' is. Its docstring gives
    the spike as ``v - v_th + b > 0`` and has ``b`` decay to 0; its code has ``v - b > 0`` and ``b``
    decay to ``v_th``, and so have we.
    """

    state_names = ("v", "i", "b")

    def __init__(
        self, parameters: ALIFParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        # The same expressions as in Norse's step, so that the bits agree.
        self._gain = self.dt_s * per_second(parameters.tau_mem_ms)
        self._current_gain = -self.dt_s * per_second(parameters.tau_syn_ms)
        self._adapt_gain = self.dt_s * per_second(parameters.tau_adapt_ms)
        self._leak = torch.tensor(parameters.v_leak)
        self._beta = torch.tensor(parameters.beta)
        self.constants: Array = torch.stack(
            [
                self._gain, self._current_gain, self._adapt_gain, self._leak, self._threshold,
                self._reset, self._beta,
            ]
        ).numpy()  # fmt: skip

    @property
    def rest(self) -> tuple[float, ...]:
        """Value of each state variable at the start of an episode; ``b`` is the threshold."""
        v_leak, i, _ = super().rest
        return (v_leak, i, self.v_threshold)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike, reset or jump of the threshold."""
        v, i, b = state
        return (
            v + self._gain * ((self._leak - v) + i),
            (i + self._current_gain * i) + current,
            b + self._adapt_gain * (self._threshold - b),
        )

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; as ``Neuron.step``, with the threshold ``b``."""
        voltage, i, threshold = self.integrate(current, state)
        z = spike(voltage - threshold, self.surrogate, self.slope)
        v = (1 - z) * voltage + z * self._reset
        return z, voltage, (v, i, threshold + z * self._beta)

    def thresholds(self, spikes: Tensor, state: State) -> Tensor:
        """Return the threshold (T, B, N) at every time step; as ``Stepped.thresholds``."""
        b, compared = state[2], []
        for z in spikes:
            threshold = b + self._adapt_gain * (self._threshold - b)
            compared.append(threshold)
            b = threshold + z * self._beta
        return torch.stack(compared)

    def rheobase(self, time_steps: int) -> float:
        """Return the least current that fires; as ``Neuron.rheobase``.

        An input is felt one step late, so that two steps are the least that it is sought for.
        """
        return super().rheobase(max(time_steps, 2))

    def kernel_forward(
        self, currents: Array, state: list[Array], voltages: Array, spikes: Array
    ) -> None:
        """Run the fused forward kernel."""
        adaptive_kernels.alif_forward(
            currents, state[0], state[1], state[2], self.constants, voltages, spikes
        )

    def kernel_backward(
        self,
        voltages: Array,
        state: list[Array],
        grad_spikes: Array,
        grad_voltages: Array,
        grad_state: list[Array],
        grad_currents: Array,
    ) -> None:
        """Run the fused backward kernel."""
        thresholds = np.empty_like(voltages)
        adaptive_kernels.alif_thresholds(voltages, state[2], self.constants, thresholds)
        adaptive_kernels.alif_backward(
            voltages, thresholds, grad_spikes, grad_voltages,
            (grad_state[0], grad_state[1], grad_state[2]), self.constants,
            self._code, self._slope32, grad_currents,
        )  # fmt: skip
