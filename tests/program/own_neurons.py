"""Neurons that the suite does not have, as a user writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snn_gym.program.expressions import exp, where
from snn_gym.spiking import Neuron, NeuronParameters, register_neuron
from tests.registries import restored


@dataclass(frozen=True)
class QuadraticParameters(NeuronParameters):
    learnable_fields = ("tau_mem_ms", "v_threshold")
    tau_mem_ms: float = 4.0
    tau_fast_ms: float = 2.0
    tau_slow_ms: float = 8.0
    v_threshold: float = 1.0
    v_reset: float = 0.0


class Quadratic(Neuron):
    """Quadratic integrate-and-fire with a fast and a slow current (Ermentrout & Kopell 1986)."""

    Parameters = QuadraticParameters
    state = ("v", "fast", "slow")

    @staticmethod
    def integrate(p: Any, s: Any, x: Any) -> tuple[Any, ...]:
        fast = s.fast - p.fast_gain * s.fast + x
        slow = s.slow - p.slow_gain * s.slow + 0.25 * x
        return s.v + p.mem_gain * (s.v * (s.v - 0.5) + fast + slow), fast, slow


@dataclass(frozen=True)
class IzhikevichParameters(NeuronParameters):
    a: float = 0.02
    b: float = 0.2
    d: float = 0.08
    v_threshold: float = 0.3
    v_reset: float = -0.65


class Izhikevich(Neuron):
    """Izhikevich 2003, equations 1 to 3, in units of 100 mV and 1 ms."""

    Parameters = IzhikevichParameters
    state = ("v", "u")

    @staticmethod
    def rest(p: Any) -> tuple[Any, ...]:
        return p.v_reset, p.b * p.v_reset

    @staticmethod
    def integrate(p: Any, s: Any, x: Any) -> tuple[Any, ...]:
        v = s.v + 4.0 * s.v**2 + 5.0 * s.v + 1.4 - s.u + x
        return where(v > 1.0, 1.0, v), s.u + p.a * (p.b * s.v - s.u)

    @staticmethod
    def after(p: Any, s: Any, z: Any) -> tuple[Any, ...]:
        return (1.0 - z) * s.v + z * p.v_reset, s.u + z * p.d


@dataclass(frozen=True)
class ResonatorParameters(NeuronParameters):
    decay: float = 0.9
    turn: float = 0.4
    v_threshold: float = 1.0
    v_reset: float = 0.0


class Resonator(Neuron):
    """Resonate-and-fire (Izhikevich 2001): a damped rotation that inputs push."""

    Parameters = ResonatorParameters
    state = ("v", "w")

    @staticmethod
    def integrate(p: Any, s: Any, x: Any) -> tuple[Any, ...]:
        return p.decay * (s.v + p.turn * s.w), p.decay * (s.w - p.turn * s.v) + x


@dataclass(frozen=True)
class ExponentialParameters(NeuronParameters):
    tau_mem_ms: float = 5.0
    sharpness: float = 0.2
    v_threshold: float = 1.5
    v_reset: float = 0.0


class Exponential(Neuron):
    """Exponential integrate-and-fire (Fourcaud-Trocmé et al. 2003), whose upstroke is clipped."""

    Parameters = ExponentialParameters
    state = ("v",)

    @staticmethod
    def integrate(p: Any, s: Any, x: Any) -> tuple[Any, ...]:
        upstroke = p.sharpness * exp((s.v - 1.0) / p.sharpness)
        v = s.v + p.mem_gain * (x - s.v + upstroke)
        return (where(v > 2.0, 2.0, v),)


OWN: dict[str, type[Neuron]] = {
    "quadratic": Quadratic,
    "izhikevich": Izhikevich,
    "resonator": Resonator,
    "exponential": Exponential,
}


@contextmanager
def registered() -> Iterator[None]:
    """Register them for a while."""
    with restored():
        for name, neuron in OWN.items():
            register_neuron(name, neuron)
        yield
