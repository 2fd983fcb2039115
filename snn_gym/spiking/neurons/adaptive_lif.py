"""The adaptive LIF: Norse's LSNN with our spikes."""

from __future__ import annotations

import torch
from torch import Tensor

from snn_gym.spiking.neurons.base import FusedNeuron, State
from snn_gym.spiking.neurons.forward_kernels import ALIF
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
        self._leak = torch.tensor(parameters.v_leak)
        self._beta = torch.tensor(parameters.beta)

    @property
    def beta(self) -> Tensor:
        """Rise of the threshold by one spike, (N,) where it is learned."""
        return self.learned["beta"].value if "beta" in self.learned else self._beta

    @property
    def rest(self) -> tuple[float, ...]:
        """Value of each state variable at the start of an episode; ``b`` is the threshold."""
        v_leak, i, _ = super().rest
        return (v_leak, i, self.v_threshold)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""
        v, i, b = super().initial_state(batch, size, like)
        if "v_threshold" in self.learned:
            b = self.firing_threshold.detach().to(like).expand_as(b)
        return v, i, b

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike, reset or jump of the threshold."""
        v, i, b = state
        return (
            v + self.gain("tau_mem_ms") * ((self._leak - v) + i),
            (i - self.gain("tau_syn_ms") * i) + current,
            b + self.gain("tau_adapt_ms") * (self.firing_threshold - b),
        )

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; as ``Neuron.step``, with the threshold ``b``."""
        voltage, i, threshold = self.integrate(current, state)
        z = spike(voltage - threshold, self.surrogate, self.slope)
        v = (1 - z) * voltage + z * self._reset
        return z, voltage, (v, i, threshold + z * self.beta)

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor:
        """Return the threshold (L * T, B, N) at every time step; as ``Stepped.thresholds``."""
        b, compared = entered[2].view(-1, *spikes.shape[1:]), []
        # (L * T, B, N) -> (L, T, B, N): all environment steps at once, time step by time step
        for z in spikes.view(len(b), -1, *spikes.shape[1:]).unbind(1):
            threshold = b + self.gain("tau_adapt_ms") * (self.firing_threshold - b)
            compared.append(threshold)
            b = threshold + z * self.beta
        return torch.stack(compared, dim=1).flatten(0, 1)

    def rheobase(self, time_steps: int) -> float:
        """Return the least current that fires; as ``Neuron.rheobase``.

        An input is felt one step late, so that two steps are the least that it is sought for.
        """
        return super().rheobase(max(time_steps, 2))
