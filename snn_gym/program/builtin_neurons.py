"""Built-in neurons, their parameters in milliseconds, and surrogate gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from snn_gym._base.config import NonNegative, Positive
from snn_gym._base.lazy import cached
from snn_gym._base.names import check_new_name, check_subclass
from snn_gym.program.expressions import (
    Expression,
    Value,
    exp_of_negative,
    maximum,
    name,
)
from snn_gym.program.neuron import DISTANCE, SLOPE, Neuron, NeuronParameters, equations

# ---- surrogates ----------------------------------------------------------------------------------
# Forward, a spike is the Heaviside step ``x > 0`` of the distance ``x`` to the threshold. Backward,
# a smooth function replaces its derivative. Norse 1.1.0's ``super`` ignores its slope, so these are
# our own; they differentiate twice. With the slope k:
#
#     superspike  1 / (1 + k|x|)^2             Zenke & Ganguli 2018, https://doi.org/10.1162/neco_a_01086
#     arctan      (k/2) / (1 + (pi/2 k x)^2)   Fang et al. 2021, https://arxiv.org/abs/2007.05785
#     triangle    k max(0, 1 - |x|)            Esser 2016; Bellec et al. 2020,
#                                              https://doi.org/10.1038/s41467-020-17236-y
#     sigmoid     k s(kx) (1 - s(kx))          derivative of the logistic function s
Surrogate = Callable[[Value, Value], Value]


def _superspike(x: Value, k: Value) -> Value:
    root = k * abs(x) + 1.0
    return 1.0 / (root * root)


def _arctan(x: Value, k: Value) -> Value:
    scaled = (math.pi / 2.0 * k) * x
    return (0.5 * k) / (1.0 + scaled * scaled)


def _triangle(x: Value, k: Value) -> Value:
    return k * maximum(0.0, 1.0 - abs(x))


def _sigmoid(x: Value, k: Value) -> Value:
    e = exp_of_negative(-(k * abs(x)))
    return k * e / ((1.0 + e) * (1.0 + e))


SURROGATES: dict[str, Surrogate] = {
    "superspike": _superspike,
    "arctan": _arctan,
    "triangle": _triangle,
    "sigmoid": _sigmoid,
}
"""Derivative of each surrogate, of (distance to threshold, slope)."""


@cached
def surrogate_expression(surrogate: str) -> Expression:
    """Return the expression of a key of ``SURROGATES``, in the names `DISTANCE` and `SLOPE`."""
    derivative: Expression = SURROGATES[surrogate](name(DISTANCE), name(SLOPE))
    return derivative


# ---- neurons -------------------------------------------------------------------------------------
# The first four repeat Norse 1.1.0 (https://github.com/norse/norse, ``norse.torch.functional``)
# operation by operation, so that spikes and potentials are Norse's bit for bit.
@dataclass(frozen=True)
class _BuiltInParameters(NeuronParameters):
    """Parameters whose ``v_reset`` and ``v_leak``, if any, must be below ``v_threshold``."""

    def _check(self) -> None:
        v_threshold, v_reset = self.v_threshold, self.v_reset
        v_leak = getattr(self, "v_leak", v_reset)
        if v_leak >= v_threshold:
            raise ValueError(
                f"v_leak must be below v_threshold, or the neuron fires without input; "
                f"got v_leak={v_leak}, v_threshold={v_threshold}"
            )
        if v_reset >= v_threshold:
            raise ValueError(
                f"v_reset must be below v_threshold, or the neuron never stops firing; "
                f"got v_reset={v_reset}, v_threshold={v_threshold}"
            )


@dataclass(frozen=True)
class LIFBoxParameters(_BuiltInParameters):
    """Leaky integrate-and-fire without synaptic current: ``tau_mem dv/dt = v_leak - v + x``."""

    learnable_fields = ("tau_mem_ms", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


class LIFBox(Neuron):
    """Leaky integrate-and-fire without synaptic current: Norse's LIFBox."""

    Parameters = LIFBoxParameters
    state = ("v",)

    @staticmethod
    def rest(p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode."""
        return (p.v_leak,)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        return (s.v + p.mem_gain * ((x + p.v_leak) - s.v),)


@dataclass(frozen=True)
class LIFParameters(_BuiltInParameters):
    """Current-based leaky integrate-and-fire.

    ``tau_mem dv/dt = v_leak - v + i`` and ``tau_syn di/dt = -i``; an input jumps the current.
    """

    learnable_fields = ("tau_mem_ms", "tau_syn_ms", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: Positive = 2.0
    """Time constant of the synaptic current (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


class LIF(Neuron):
    """Norse's current-based LIF, whose input acts in the time step in which it arrives."""

    Parameters = LIFParameters
    state = ("v", "i")

    @staticmethod
    def rest(p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode."""
        return p.v_leak, 0.0

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        jumped = s.i + x
        v = s.v + p.mem_gain * ((p.v_leak - s.v) + jumped)
        return v, jumped - p.syn_gain * jumped


@dataclass(frozen=True)
class IAFParameters(_BuiltInParameters):
    """Integrate-and-fire without leak: every time step adds its input to ``v``."""

    learnable_fields = ("v_threshold",)

    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""


class IAF(Neuron):
    """Integrate-and-fire without leak, which starts at 0: Norse's IAF."""

    Parameters = IAFParameters
    state = ("v",)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        del p
        return (s.v + x,)


@dataclass(frozen=True)
class ALIFParameters(_BuiltInParameters):
    """Adaptive leaky integrate-and-fire: Norse's LSNN, whose threshold ``b`` rises with each spike.

    ``tau_mem dv/dt = v_leak - v + i``, ``tau_syn di/dt = -i`` and ``tau_adapt db/dt = v_threshold -
    b``; the neuron fires where ``v > b``, and a spike raises ``b`` by ``beta``. As in Norse, an
    input jumps the current after the potential has moved, and so is felt one time step late.

    Bellec et al. 2018, https://arxiv.org/abs/1803.09574, have ``beta (1 - exp(-dt / tau_adapt))``
    where Norse and we have ``beta``: their 1.8 is 0.09 at the defaults below.
    """

    learnable_fields = ("tau_mem_ms", "tau_syn_ms", "tau_adapt_ms", "beta", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: Positive = 2.0
    """Time constant of the synaptic current (ms)."""
    tau_adapt_ms: Positive = 20.0
    """Time constant of the threshold's return to rest (ms)."""
    beta: NonNegative = 0.1
    """Rise of the threshold by one spike."""
    v_threshold: float = 1.0
    """Threshold at rest."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


class ALIF(Neuron):
    """Adaptive leaky integrate-and-fire: Norse's LSNN."""

    # Norse's docstring of ``lsnn_feed_forward_step`` says that it fires at ``v - v_th + b > 0`` and
    # that ``b`` decays to 0; its code fires at ``v - b > 0``, and ``b`` decays to ``v_th``.
    Parameters = ALIFParameters
    state = ("v", "i", "b")

    @staticmethod
    def rest(p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode."""
        return p.v_leak, 0.0, p.v_threshold

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        return (
            s.v + p.mem_gain * ((p.v_leak - s.v) + s.i),
            (s.i - p.syn_gain * s.i) + x,
            s.b + p.adapt_gain * (p.v_threshold - s.b),
        )

    @staticmethod
    def margin(p: Any, s: Any) -> Value:
        """Return the distance to the adaptive threshold."""
        del p
        return s.v - s.b

    @staticmethod
    def after(p: Any, s: Any, z: Value) -> tuple[Value, ...]:
        """Return the state after ``z``, 0 or 1; a spike resets ``v`` and raises the threshold."""
        return (1.0 - z) * s.v + z * p.v_reset, s.i, s.b + z * p.beta


@dataclass(frozen=True)
class SoftIAFParameters(NeuronParameters):
    """Integrate-and-fire whose spike takes the threshold off the potential, and keeps the rest."""

    v_threshold: Positive = 1.0
    """Potential above which the neuron fires, and the fall of the potential by a spike."""
    v_start: float = 0.5
    """Potential at the start."""

    @property
    def v_reset(self) -> float:
        """Potential after a spike at the threshold."""
        return 0.0


class SoftIAF(Neuron):
    """Integrate-and-fire with a soft reset, the neuron of converted ANNs: ``v = v + x - z v_th``.

    The potential above the threshold remains. Under a constant input, T steps have
    ``ceil(v_start / v_th + T x / v_th) - 1`` spikes, 0 to T: a ReLU that is quantised and clipped
    (Rueckauer et al. 2017, https://doi.org/10.3389/fnins.2017.00682).
    """

    Parameters = SoftIAFParameters
    state = ("v",)

    @staticmethod
    def rest(p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode."""
        return (p.v_start,)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        del p
        return (s.v + x,)

    @staticmethod
    def after(p: Any, s: Any, z: Value) -> tuple[Value, ...]:
        """Return the state after ``z``, 0 or 1; a spike subtracts the threshold."""
        return (s.v - z * p.v_threshold,)


@dataclass(frozen=True)
class SoftLIFParameters(NeuronParameters):
    """Leaky integrate-and-fire whose spike takes a fixed amount off the potential."""

    learnable_fields = ("tau_mem_ms", "v_fall")
    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    v_threshold: Positive = 1.0
    """Potential above which the neuron fires."""
    v_fall: Positive = 1.0
    """Fall of the potential by a spike."""


class SoftLIF(Neuron):
    """Leaky integrate-and-fire with a soft reset: ``tau_mem dv/dt = x - v``, and ``v - v_fall``.

    It is snnTorch's ``Leaky`` with ``reset_mechanism="subtract"``, whose decay ``beta`` is ``1 - dt
    / tau_mem``: with its delayed reset ``v_fall`` is ``v_threshold / beta``.
    """

    Parameters = SoftLIFParameters
    state = ("v",)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state after a time step with input ``x``, without a spike."""
        return (s.v + p.mem_gain * (x - s.v),)

    @staticmethod
    def after(p: Any, s: Any, z: Value) -> tuple[Value, ...]:
        """Return the state after ``z``, 0 or 1; a spike subtracts ``v_fall``."""
        return (s.v - z * p.v_fall,)


NEURONS: dict[str, type[Neuron]] = {
    "lif_box": LIFBox,
    "lif": LIF,
    "iaf": IAF,
    "alif": ALIF,
    "iaf_soft": SoftIAF,
    "lif_soft": SoftLIF,
}
"""Text of each registered neuron; ``register_neuron`` adds to it."""


def name_of(neuron: type[Neuron]) -> str:
    """Return the registered name of a neuron, or that of its class."""
    return next((name for name, text in NEURONS.items() if text is neuron), neuron.__name__)


# ---- registry ------------------------------------------------------------------------------------
def register_neuron(name: str, neuron: type[Neuron]) -> None:
    """Add a neuron that ``NetworkConfig.neuron`` can name.

    Its kernels, gradients, traces and exports are generated from its text. Configurations and files
    store the name and the parameters' numbers, never code: register the neuron before loading a
    model that uses it.

    Args:
        name: An unused identifier.
        neuron: The neuron. Its ``Parameters`` are a frozen dataclass derived from
            ``NeuronParameters``, all of whose fields are numbers with a default.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: The class is no neuron, its parameters are not of the kind above, or its text is
            not made of element-wise operations; the message names the problem.
    """
    check_new_name(name, "neuron", NEURONS)
    check_subclass("neuron", neuron, Neuron)
    for needed in ("Parameters", "state"):
        if not hasattr(neuron, needed):
            raise TypeError(f"{neuron.__name__} must have {needed}")
    if neuron.integrate is Neuron.integrate:
        raise TypeError(f"{neuron.__name__} must define integrate")
    _check_parameters_type(neuron.Parameters)
    equations(neuron)
    NEURONS[name] = neuron


def _check_parameters_type(parameters_type: type[NeuronParameters]) -> None:
    check_subclass("Parameters", parameters_type, NeuronParameters)
    name = parameters_type.__name__
    # is_dataclass would be true of an undecorated subclass, because the base is a dataclass
    if "__dataclass_fields__" not in vars(parameters_type):
        raise TypeError(f"{name} must be a dataclass: decorate it with @dataclass(frozen=True)")
    for field in fields(parameters_type):
        if type(field.default) not in (int, float):
            raise TypeError(
                f"{name}.{field.name} must be a number with a default, "
                f"got {'none' if field.default is MISSING else repr(field.default)}"
            )
