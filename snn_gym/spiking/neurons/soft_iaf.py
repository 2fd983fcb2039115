"""Integrate-and-fire with a soft reset: the neuron of converted ANNs."""

from __future__ import annotations

from torch import Tensor

from snn_gym.spiking.neurons.base import Neuron, State
from snn_gym.spiking.neurons.surrogates import spike


class SoftIAFNeuron(Neuron):
    """Integrate-and-fire whose spike takes the threshold off the potential: ``v = v + x - z v_th``.

    What is above the threshold is kept, so that under a constant input the number of spikes in T
    steps is ``floor(v_start / v_th + T x / v_th)`` at most one a step: a ReLU that is quantised and
    clipped (Rueckauer et al. 2017, https://doi.org/10.3389/fnins.2017.00682).
    """

    state_names = ("v",)

    @property
    def rest(self) -> tuple[float, ...]:
        """Value of each state variable at the start of an episode."""
        return (float(self.parameters.v_start),)  # type: ignore[attr-defined]

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        (v,) = state
        return (v + current,)

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step and take the threshold off where it fires; as ``Stepped.step``."""
        (voltage,) = self.integrate(current, state)
        threshold = self.firing_threshold
        z = spike(voltage - threshold, self.surrogate, self.slope)
        return z, voltage, (voltage - z * threshold,)
