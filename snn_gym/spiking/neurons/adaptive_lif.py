"""The adaptive LIF: Norse's LSNN with our spikes."""

from __future__ import annotations

import torch
from torch import Tensor

from snn_gym.spiking.neurons.base import FusedNeuron, State
from snn_gym.spiking.neurons.forward_kernels import ADAPT_GAIN, ALIF, BETA, CURRENT_GAIN, GAIN, LEAK
from snn_gym.spiking.neurons.norse_neurons import per_second
from snn_gym.spiking.neurons.parameters import ALIFParameters
from snn_gym.spiking.neurons.surrogates import spike


class ALIFNeuron(FusedNeuron):
    """Norse's LSNN: a current-based LIF whose threshold ``b`` rises with each spike.

    The formulas are those of Norse 1.1.0's ``lsnn_feed_forward_step``, written out because its
    threshold is state and can't be put out of reach, as the other neurons' is. Its docstring gives
    the spike as ``v - v_th + b > 0`` and has ``b`` decay to 0; its code has ``v - b > 0`` and ``b``
    decay to ``v_th``, and so have we.
    """

    state_names = ("v", "i", "b")
    kind = ALIF

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
        self.constants[GAIN] = self._gain.item()
        self.constants[CURRENT_GAIN] = self._current_gain.item()
        self.constants[LEAK] = parameters.v_leak
        self.constants[ADAPT_GAIN] = self._adapt_gain.item()
        self.constants[BETA] = parameters.beta

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

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor:
        """Return the threshold (L * T, B, N) at every time step; as ``Stepped.thresholds``."""
        b, compared = entered[2].view(-1, *spikes.shape[1:]), []
        # (L * T, B, N) -> (L, T, B, N): all environment steps at once, time step by time step
        for z in spikes.view(len(b), -1, *spikes.shape[1:]).unbind(1):
            threshold = b + self._adapt_gain * (self._threshold - b)
            compared.append(threshold)
            b = threshold + z * self._beta
        return torch.stack(compared, dim=1).flatten(0, 1)

    def rheobase(self, time_steps: int) -> float:
        """Return the least current that fires; as ``Neuron.rheobase``.

        An input is felt one step late, so that two steps are the least that it is sought for.
        """
        return super().rheobase(max(time_steps, 2))
