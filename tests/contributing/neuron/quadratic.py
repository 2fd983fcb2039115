"""A neuron from outside: the quadratic integrate-and-fire neuron."""

from dataclasses import dataclass

from torch import Tensor

from snn_gym.spiking import Neuron, NeuronParameters, register_neuron


@dataclass(frozen=True)
class QIFParameters(NeuronParameters):
    """Voltages are in units of the threshold's distance from rest."""

    v_threshold: float = 1.0
    v_reset: float = 0.0
    gain: float = 0.5
    """Factor of the quadratic drift v (v - 1/2)."""


class QIFNeuron(Neuron):
    """``v`` grows by gain v (v - 1/2) + x / 2 in a time step (Ermentrout and Kopell 1986)."""

    state_names = ("v",)

    def integrate(self, current: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (v,) = state
        return (v + self.parameters.gain * v * (v - 0.5) + 0.5 * current,)


register_neuron("qif", QIFParameters, QIFNeuron)
