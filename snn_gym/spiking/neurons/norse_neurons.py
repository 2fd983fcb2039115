"""Norse's integrate-and-fire neurons: its membrane integration and our spikes.

Norse does the integration: its step function is called with an infinite threshold, which leaves
the membrane potential before the reset. The spike ``v - v_threshold > 0`` and the reset
``(1 - z) v + z v_reset`` are then Norse's own formulas with a surrogate gradient whose slope works.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from norse.torch.functional.iaf import (
    IAFFeedForwardState,
    IAFParameters,
    iaf_feed_forward_step,
)
from norse.torch.functional.lif import (
    LIFFeedForwardState,
    LIFParameters,
    lif_feed_forward_step,
)
from norse.torch.functional.lif_box import (
    LIFBoxFeedForwardState,
    LIFBoxParameters,
    lif_box_feed_forward_step,
)
from torch import Tensor

from snn_gym.spiking.neurons.base import FusedNeuron, State, per_second
from snn_gym.spiking.neurons.forward_kernels import IAF, LIF, LIF_BOX
from snn_gym.spiking.neurons.parameters import NeuronParameters

# Norse's threshold at infinity never fires: what it returns is the bare integration.
_NEVER = torch.tensor(math.inf)


class NorseNeuron(FusedNeuron):
    """A neuron whose potential Norse integrates."""

    norse_step: Callable[..., Any]
    """Norse's step function."""
    norse_state: type[Any]
    """Norse's tuple of the state variables, named as in ``state_names``."""
    norse_parameters: type[Any]
    """Norse's tuple of the parameters."""

    def __init__(
        self, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._rates = {
            f"{name.removesuffix('_ms')}_inv": per_second(getattr(parameters, name))
            for name in self._gains
        }
        self._norse = self._make()

    def _make(self) -> Any:
        rates = dict(self._rates)
        for name in self.learned.keys() & self._gains.keys():
            rates[f"{name.removesuffix('_ms')}_inv"] = self.gain(name) / self.dt_s
        if hasattr(self.parameters, "v_leak"):
            rates["v_leak"] = torch.tensor(self.parameters.v_leak)
        return self.norse_parameters(v_th=_NEVER, v_reset=self._reset, method="heaviside", **rates)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        norse = self._make() if self.learned else self._norse
        _, new = type(self).norse_step(current, self.norse_state(*state), norse, self.dt_s)
        return tuple(new)


class LIFBoxNeuron(NorseNeuron):
    """Norse's LIFBox: leaky integrate-and-fire without synaptic current."""

    state_names = ("v",)
    kind = LIF_BOX
    norse_step = lif_box_feed_forward_step
    norse_state = LIFBoxFeedForwardState
    norse_parameters = LIFBoxParameters


class IAFNeuron(NorseNeuron):
    """Norse's IAF: integrate-and-fire without leak."""

    state_names = ("v",)
    kind = IAF
    norse_step = iaf_feed_forward_step
    norse_state = IAFFeedForwardState
    norse_parameters = IAFParameters


class LIFNeuron(NorseNeuron):
    """Norse's current-based LIF."""

    state_names = ("v", "i")
    kind = LIF
    norse_step = lif_feed_forward_step
    norse_state = LIFFeedForwardState
    norse_parameters = LIFParameters
