"""Norse's integrate-and-fire neurons: its membrane integration and our spikes.

Norse does the integration: its step function is called with an infinite threshold, which leaves
the membrane potential before the reset. The spike ``v - v_threshold > 0`` and the reset
``(1 - z) v + z v_reset`` are then Norse's own formulas with a surrogate gradient whose slope works.

Importing Norse takes longer than loading an agent. It waits until a neuron is stepped; making a
network takes what Norse would do from here (``written_out``), bit for bit.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from functools import cache, cached_property
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snn_gym.spiking.neurons.base import FusedNeuron, Neuron, State, per_second
from snn_gym.spiking.neurons.forward_kernels import IAF, LIF, LIF_BOX
from snn_gym.spiking.neurons.norse_modules import norse_functional
from snn_gym.spiking.neurons.parameters import NeuronParameters
from snn_gym.spiking.tracing import is_traced

# Norse's threshold at infinity never fires: what it returns is the bare integration.
_NEVER = torch.tensor(math.inf)


class Norse(NamedTuple):
    """What Norse has of a neuron."""

    step: Callable[..., Any]
    """Its step function."""
    state: type[Any]
    """Its tuple of the state variables, named as in ``state_names``."""
    parameters: type[Any]
    """Its tuple of the parameters."""


@cache
def _norse(module: str, name: str) -> Norse:
    """Import what Norse has of a neuron."""
    functional = norse_functional(module)
    # Makes what neurons then hold picklable.
    import_module("snn_gym.spiking.neurons.pickling")
    return Norse(
        getattr(functional, f"{module}_feed_forward_step"),
        getattr(functional, f"{name}FeedForwardState"),
        getattr(functional, f"{name}Parameters"),
    )


class NorseNeuron(FusedNeuron):
    """A neuron whose potential Norse integrates."""

    norse_module: str
    """Norse's module of this neuron."""
    norse_name: str
    """How that module's names begin."""
    _alone = False

    def __init__(
        self, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
    ) -> None:
        super().__init__(parameters, dt_ms, surrogate, slope)
        self._rates = {
            f"{name.removesuffix('_ms')}_inv": per_second(getattr(parameters, name))
            for name in self._gains
        }
        self._leak = torch.tensor(getattr(parameters, "v_leak", 0.0))

    def _make(self) -> Any:
        rates = dict(self._rates)
        for name in self.learned.keys() & self._gains.keys():
            rates[f"{name.removesuffix('_ms')}_inv"] = self.gain(name) / self.dt_s
        if hasattr(self.parameters, "v_leak"):
            rates["v_leak"] = self._leak
        parameters = _norse(self.norse_module, self.norse_name).parameters
        return parameters(v_th=_NEVER, v_reset=self._reset, method="heaviside", **rates)

    @cached_property
    def _fixed(self) -> Any:
        return self._make()

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset."""
        if self._alone:
            return self._written(current, state)
        norse = _norse(self.norse_module, self.norse_name)
        # What a trace makes belongs to that trace.
        fresh = self.learned or is_traced()
        parameters = self._make() if fresh else self._fixed
        _, new = norse.step(current, norse.state(*state), parameters, self.dt_s)
        return tuple(new)

    @abstractmethod
    def _written(self, current: Tensor, state: State) -> State:
        """Return what Norse does, in its operations and their order."""

    def written_out(self) -> Neuron:
        """Return a neuron that does the same without Norse; as ``Neuron.written_out``."""
        twin = copy(self)
        twin.learned, twin._alone = {}, True
        return twin


class LIFBoxNeuron(NorseNeuron):
    """Norse's LIFBox: leaky integrate-and-fire without synaptic current."""

    state_names = ("v",)
    kind = LIF_BOX
    norse_module = "lif_box"
    norse_name = "LIFBox"

    def _written(self, current: Tensor, state: State) -> State:
        """As ``NorseNeuron._written``."""
        (v,) = state
        return (v + self._gains["tau_mem_ms"] * (current + self._leak - v),)


class IAFNeuron(NorseNeuron):
    """Norse's IAF: integrate-and-fire without leak."""

    state_names = ("v",)
    kind = IAF
    norse_module = "iaf"
    norse_name = "IAF"

    def _written(self, current: Tensor, state: State) -> State:
        """As ``NorseNeuron._written``."""
        (v,) = state
        return (v + current,)


class LIFNeuron(NorseNeuron):
    """Norse's current-based LIF."""

    state_names = ("v", "i")
    kind = LIF
    norse_module = "lif"
    norse_name = "LIF"

    def _written(self, current: Tensor, state: State) -> State:
        """As ``NorseNeuron._written``."""
        v, i = state
        jumped = i + current
        return (
            v + self._gains["tau_mem_ms"] * ((self._leak - v) + jumped),
            jumped - self._gains["tau_syn_ms"] * jumped,
        )
