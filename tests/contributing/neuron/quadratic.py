"""A neuron from outside: the quadratic integrate-and-fire neuron."""

from dataclasses import dataclass

from snn_gym.spiking import Neuron, NeuronParameters, register_neuron


@dataclass(frozen=True)
class QIFParameters(NeuronParameters):
    """Voltages are in units of the threshold's distance from rest."""

    v_threshold: float = 1.0
    v_reset: float = 0.0
    gain: float = 0.5
    """Factor of the quadratic drift v (v - 1/2)."""


class QIF(Neuron):
    """``v`` grows by gain v (v - 1/2) + x / 2 in a time step (Ermentrout and Kopell 1986)."""

    Parameters = QIFParameters
    state = ("v",)

    @staticmethod
    def integrate(p, s, x):
        return (s.v + p.gain * s.v * (s.v - 0.5) + 0.5 * x,)


register_neuron("qif", QIF)
