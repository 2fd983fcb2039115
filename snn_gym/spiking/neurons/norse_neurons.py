"""Norse's integrate-and-fire neurons: its membrane integration and our spikes.

Norse does the integration: its step function is called with an infinite threshold, which leaves
the membrane potential before the reset. The spike ``v - v_threshold > 0`` and the reset
``(1 - z) v + z v_reset`` are then Norse's own formulas with a surrogate gradient whose slope works.
"""

from __future__ import annotations

import math

import torch
from norse.torch.functional.iaf import IAFFeedForwardState, iaf_feed_forward_step
from norse.torch.functional.iaf import IAFParameters as NorseIAFParameters
from norse.torch.functional.lif import LIFFeedForwardState, lif_feed_forward_step
from norse.torch.functional.lif import LIFParameters as NorseLIFParameters
from norse.torch.functional.lif_box import LIFBoxFeedForwardState, lif_box_feed_forward_step
from norse.torch.functional.lif_box import LIFBoxParameters as NorseLIFBoxParameters
from torch import Tensor

from snn_gym.spiking.neurons.base import FusedNeuron, State
from snn_gym.spiking.neurons.forward_kernels import CURRENT_GAIN, GAIN, IAF, LEAK, LIF, LIF_BOX
from snn_gym.spiking.neurons.parameters import IAFParameters, LIFBoxParameters, LIFParameters

# Norse's threshold at infinity never fires: what it returns is the bare integration.
_NEVER = torch.tensor(math.inf)


def per_second(tau_ms: float) -> Tensor:
    """Return the inverse of a time constant, as Norse takes it (1/s)."""
    return torch.tensor(1000.0 / tau_ms)


class LIFBoxNeuron(FusedNeuron):
    """Norse's LIFBox: leaky integrate-and-fire without synaptic current."""

    state_names = ("v",)
    kind = LIF_BOX

    def __init__(
        self, parameters: LIFBoxParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._norse = NorseLIFBoxParameters(
            tau_mem_inv=per_second(parameters.tau_mem_ms),
            v_leak=torch.tensor(parameters.v_leak),
            v_th=_NEVER,
            v_reset=self._reset,
            method="heaviside",
        )
        # The same expression as in Norse's step, so that the bits agree.
        self.constants[GAIN] = (self.dt_s * self._norse.tau_mem_inv).item()
        self.constants[LEAK] = parameters.v_leak

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        _, new = lif_box_feed_forward_step(
            current, LIFBoxFeedForwardState(v=state[0]), self._norse, self.dt_s
        )
        return (new.v,)


class IAFNeuron(FusedNeuron):
    """Norse's IAF: integrate-and-fire without leak."""

    state_names = ("v",)
    kind = IAF

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


class LIFNeuron(FusedNeuron):
    """Norse's current-based LIF."""

    state_names = ("v", "i")
    kind = LIF

    def __init__(
        self, parameters: LIFParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._norse = NorseLIFParameters(
            tau_syn_inv=per_second(parameters.tau_syn_ms),
            tau_mem_inv=per_second(parameters.tau_mem_ms),
            v_leak=torch.tensor(parameters.v_leak),
            v_th=_NEVER,
            v_reset=self._reset,
            method="heaviside",
        )
        self.constants[GAIN] = (self.dt_s * self._norse.tau_mem_inv).item()
        self.constants[CURRENT_GAIN] = (-self.dt_s * self._norse.tau_syn_inv).item()
        self.constants[LEAK] = parameters.v_leak

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        _, new = lif_feed_forward_step(
            current, LIFFeedForwardState(v=state[0], i=state[1]), self._norse, self.dt_s
        )
        return (new.v, new.i)
