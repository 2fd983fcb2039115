"""``Neuron``, a neuron as one text, with the gradients, traces and checks derived from it.

A neuron is three functions: the step of its state with an input (``integrate``), its distance above
the threshold (``margin``), and the state after a spike (``after``). Called with arrays or tensors
they compute the neuron; called with names they give its `Equations`.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from snn_gym._base.config import Config
from snn_gym._base.lazy import cached
from snn_gym.program.expressions import (
    Expression,
    Value,
    constant,
    differentiate,
    evaluate,
    lift,
    name,
    names_in,
    replace_names,
    tangent,
)

MOVED = "moved_"
"""Prefix of a state variable's name between ``integrate`` and ``after``."""
INPUT, SPIKE = "x", "z"
"""Names of a neuron's input current and its spike, 0 or 1."""
SLOPE, DISTANCE = "slope", "distance"
"""Names of a surrogate's slope and the distance to the threshold."""
_TAU, _UNIT = "tau_", "_ms"
_RESERVED = {INPUT, SPIKE, SLOPE, DISTANCE, "source", "surrogate", "through"}
_FUNCTIONS = ("constants", "rest", "integrate", "margin", "after")
_RESERVED_PREFIXES = ("grad_", "moved_", "new_", "own_", "silent_", "spiked_", "trace_")


@dataclass(frozen=True)
class NeuronParameters(Config):
    """Base of neurons' parameters: frozen dataclasses of numbers with defaults.

    Time constants are named ``tau_..._ms``.
    """

    learnable_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that ``NetworkConfig.learnable`` can name."""

    if TYPE_CHECKING:
        # Fields of the subclasses, in which fields of this class would come first.
        @property
        def v_threshold(self) -> float:
            """Potential above which the neuron fires."""
            raise NotImplementedError

        @property
        def v_reset(self) -> float:
            """Potential after a spike."""
            raise NotImplementedError


class Neuron:
    """Base of neurons, each written once as functions of its state.

    A subclass names its state variables and defines ``integrate``; other functions default to an
    integrate-and-fire neuron. All functions are element-wise: operators and the functions of
    ``snn_gym.program.expressions``, no branches. ``p`` has the constants, ``s`` the state by name.
    """

    Parameters: ClassVar[type[NeuronParameters]]
    state: ClassVar[tuple[str, ...]]
    """Names of the state variables; the first is recorded as the membrane potential."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Functions of a text have no self, so that a user may leave out ``@staticmethod``.
        for function in _FUNCTIONS:
            own = vars(cls).get(function)
            if callable(own) and not isinstance(own, staticmethod | classmethod):
                setattr(cls, function, staticmethod(own))

    @staticmethod
    def constants(parameters: NeuronParameters, dt_ms: float) -> Mapping[str, float]:
        """Return the numbers of the equations.

        By default these are the parameters by name, and ``NAME_gain = dt / tau`` for each time
        constant ``tau_NAME_ms``.

        Args:
            parameters: Instance of ``Parameters``.
            dt_ms: Length of a time step (ms).
        """
        numbers: dict[str, float] = {}
        for field in fields(parameters):
            value = getattr(parameters, field.name)
            numbers[field.name] = value
            if is_time_constant(field.name):
                numbers[constant_of(field.name)] = gain(dt_ms, value)
        return numbers

    @classmethod
    def rest(cls, p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode; by default all variables are 0."""
        del p
        return (0.0,) * len(cls.state)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state variables one time step later, with input ``x``, before any spike."""
        raise NotImplementedError

    @classmethod
    def margin(cls, p: Any, s: Any) -> Value:
        """Return the distance to the threshold after ``integrate``; above 0 the neuron fires."""
        return getattr(s, cls.state[0]) - p.v_threshold

    @classmethod
    def after(cls, p: Any, s: Any, z: Value) -> tuple[Value, ...]:
        """Return the state variables after a spike (``z`` is 1) or after none (``z`` is 0).

        ``s`` is the state that ``integrate`` returned. By default a spike sets the first variable
        to ``p.v_reset`` and leaves the others as they are.
        """
        v, *others = (getattr(s, x) for x in cls.state)
        return ((1.0 - z) * v + z * p.v_reset, *others)


def is_time_constant(field: str) -> bool:
    """Return whether a parameter's name is that of a time constant, ``tau_..._ms``."""
    return field.startswith(_TAU) and field.endswith(_UNIT)


def constant_of(field: str) -> str:
    """Return ``NAME_gain`` for a time constant ``tau_NAME_ms``, other names unchanged."""
    if not is_time_constant(field):
        return field
    return f"{field.removeprefix(_TAU).removesuffix(_UNIT)}_gain"


def gain(dt_ms: float, tau_ms: float) -> float:
    """Return ``dt / tau`` in Norse's rounding: the inverse in float32, times dt in seconds."""
    return float(np.float32(dt_ms / 1000.0) * np.float32(1000.0 / tau_ms))


@dataclass(frozen=True)
class Equations:
    """The functions of a ``Neuron`` class as expressions, as ``equations`` returns them.

    These are the state after ``integrate``, the margin to the threshold, above 0 where the neuron
    fires, the state after ``after`` and the state at rest. Names are those of constants and state
    variables, `INPUT`, `SPIKE`, and `MOVED` before a state variable for its value between
    ``integrate`` and ``after``.
    """

    constants: tuple[str, ...]
    """Constants of a time step, in a fixed order; ``rest`` may use others."""
    state: tuple[str, ...]
    moved: tuple[Expression, ...]
    margin: Expression
    after: tuple[Expression, ...]
    rest: tuple[Expression, ...]

    @cached_property
    def moved_names(self) -> tuple[str, ...]:
        """Names of the state variables between ``integrate`` and ``after``."""
        return tuple(MOVED + x for x in self.state)

    def decided(self, fires: bool) -> tuple[Expression, ...]:
        """Return ``after`` for a spike, or for none: functions of the moved state and constants."""
        return tuple(replace_names(x, {SPIKE: float(fires)}) for x in self.after)


def threshold(text: Equations) -> Expression | None:
    """Return the threshold, if the margin is the first state variable minus it; else None."""
    if text.margin.operator != "-":
        return None
    recorded, limit = text.margin.inputs
    is_recorded = recorded.operator == "name" and recorded.label == text.moved_names[0]
    return limit if is_recorded else None


def autonomous(text: Equations) -> tuple[str, ...]:
    """Return the state variables that depend on inputs only by spikes, or not at all."""
    driven = {INPUT}
    while True:  # until no further variable depends on a driven one
        outer = {*driven, *(MOVED + x for x in driven)}
        steps = zip(text.state, text.moved, text.after, strict=True)
        reached = {x for x, moved, after in steps if outer.intersection(names_in(moved, after))}
        if reached <= driven:
            return tuple(x for x in text.state if x not in driven)
        driven |= reached


def feels_at_once(text: Equations) -> bool:
    """Return whether an input can make a neuron fire in the time step in which it arrives."""
    compared = names_in(text.margin)
    pairs = zip(text.moved_names, text.moved, strict=True)
    return any(x in compared and INPUT in names_in(moved) for x, moved in pairs)


def is_affine(text: Equations) -> bool:
    """Return whether step and margin are affine in state and input, while it doesn't fire."""
    variables = [*text.state, *text.moved_names, INPUT]
    slopes = [
        differentiate(value, label)
        for value in (*text.moved, text.margin, *text.decided(fires=False))
        for label in variables
    ]
    return not set(variables).intersection(names_in(*slopes))


class _Names:
    """Names of a text as attributes; ``kind`` is for errors."""

    def __init__(self, kind: str, labels: Sequence[str], prefix: str = "") -> None:
        self._kind, self._labels = kind, tuple(labels)
        vars(self).update({x: name(prefix + x) for x in labels})

    def __getattr__(self, label: str) -> Expression:
        raise AttributeError(
            f"there is no {self._kind} {label!r}; there are {', '.join(self._labels)}"
        )


@cached
def equations(neuron: type[Neuron]) -> Equations:
    """Return the expressions of a neuron; TypeError if a function or a name is not allowed."""
    # Only the names of constants are used, which depend on neither parameters nor time step.
    numbers = neuron.constants(neuron.Parameters(), 1.0)
    _check_names(neuron, numbers)
    p = _Names("constant", tuple(numbers))
    s, moved = _Names("state variable", neuron.state), _Names("state variable", neuron.state, MOVED)
    size = len(neuron.state)
    rest = _called(neuron, "rest", size, p)
    after_integrate = _called(neuron, "integrate", size, p, s, name(INPUT))
    (margin,) = _called(neuron, "margin", None, p, moved)
    after = _called(neuron, "after", size, p, moved, name(SPIKE))
    labels = names_in(*after_integrate, margin, *after)
    used = tuple(x for x in numbers if x in labels)
    return Equations(used, neuron.state, after_integrate, margin, after, rest)


def _called(neuron: type[Neuron], function: str, size: int | None, *given: Any) -> tuple[Any, ...]:
    """Return the ``size`` expressions of a function of a neuron's text; None for a single one."""
    where = f"{neuron.__name__}.{function}"
    try:
        result = getattr(neuron, function)(*given)
        results = (result,) if size is None else tuple(result)
        expressions = tuple(lift(x) for x in results)
    except (TypeError, AttributeError) as error:
        raise TypeError(f"{where}: {error}") from error
    if size is not None and len(expressions) != size:
        raise TypeError(
            f"{where} must return a value for each of {', '.join(neuron.state)}, "
            f"got {len(expressions)}"
        )
    return expressions


def _check_names(neuron: type[Neuron], numbers: Mapping[str, float]) -> None:
    """Raise TypeError for names that are repeated, reserved or no identifiers."""
    labels = [*numbers, *neuron.state]
    for label in labels:
        if not label.isidentifier() or keyword.iskeyword(label):
            raise TypeError(f"{neuron.__name__}: {label!r} is no name for a constant or a state")
        if label in _RESERVED or label.startswith(_RESERVED_PREFIXES):
            raise TypeError(
                f"{neuron.__name__}: {label!r} names what is derived from a neuron; call a "
                "constant or state variable otherwise"
            )
    twice = sorted({x for x in labels if labels.count(x) > 1})
    if twice:
        raise TypeError(
            f"{neuron.__name__}: {', '.join(twice)} names more than one constant or state variable"
        )


def is_monotone(neuron: type[Neuron], numbers: Mapping[str, float]) -> bool:
    """Return whether more input, now or earlier, never moves a silent neuron from its threshold.

    False, too, if ``is_affine`` is. ``numbers`` has the constants by name.
    """
    text = equations(neuron)
    if not is_affine(text):
        return False
    silent = text.decided(fires=False)
    driven = [x for x in text.state if x not in autonomous(text)]
    pairs = [
        *((text.moved[text.state.index(x)], y) for x in driven for y in (*driven, INPUT)),
        *((silent[text.state.index(x)], MOVED + y) for x in driven for y in driven),
        *((text.margin, MOVED + y) for y in driven),
    ]
    slopes = evaluate([differentiate(value, label) for value, label in pairs], numbers)
    return all(float(x) >= 0.0 for x in slopes)


# ---- gradients and traces ------------------------------------------------------------------------
GRADIENT = "grad_"
"""Prefix of the gradient of a state variable after ``integrate`` or the time step."""
GRAD_SPIKE, GRAD_RECORDED, SURROGATE = "grad_spike", "grad_recorded", "surrogate"
"""Names of the gradients of the spike and the recorded variable, and of the surrogate's derivative
at the margin."""
THROUGH = "through"
"""Name of the gradient of the margin."""


@dataclass(frozen=True)
class Backward:
    """Gradients of a time step by its margin, moved state, first state, input and constants."""

    through: Expression
    before: tuple[Expression, ...]
    state: tuple[Expression, ...]
    input: Expression
    constants: tuple[Expression, ...]


def backward(text: Equations) -> Backward:
    """Return the gradients of a time step from those of spike, recorded variable and next state.

    The surrogate's derivative is that of the spike by the margin.
    """
    given = [name(GRADIENT + x) for x in text.state]
    through_spike = name(GRAD_SPIKE)
    for gradient, value in zip(given, text.after, strict=True):
        through_spike = through_spike + gradient * differentiate(value, SPIKE)
    through = name(THROUGH)
    before = []
    for place, label in enumerate(text.moved_names):
        total = _sum_of(text.after, label, given)
        total = total + differentiate(text.margin, label) * through
        before.append(total + name(GRAD_RECORDED) if place == 0 else total)
    moved = [name(GRADIENT + x) for x in text.moved_names]
    return Backward(
        through_spike * name(SURROGATE),
        tuple(before),
        tuple(_sum_of(text.moved, label, moved) for label in text.state),
        _sum_of(text.moved, INPUT, moved),
        tuple(
            _sum_of(text.moved, label, moved)
            + differentiate(text.margin, label) * through
            + _sum_of(text.after, label, given)
            for label in text.constants
        ),
    )


def _sum_of(
    values: Sequence[Expression], label: str, gradients: Sequence[Expression]
) -> Expression:
    """Return the gradient of a name, from the gradients of the values that contain it."""
    total = constant(0.0)
    for value, gradient in zip(values, gradients, strict=True):
        total = total + differentiate(value, label) * gradient
    return total


TRACE, SOURCE = "trace_", "source"
"""Prefix of the trace of a state variable, and name of a synapse's input."""
TRACE_MARGIN = TRACE + "margin"
"""Name of the trace of the margin."""


@dataclass(frozen=True)
class Trace:
    """Derivatives of the moved state, margin and next state by a synapse's weight (traces)."""

    moved: tuple[Expression, ...]
    margin: Expression
    after: tuple[Expression, ...]


def local_trace(text: Equations) -> Trace:
    """Return the trace of a synapse's weight for local rules: spikes count as constants."""
    # It is the rest of the synapse's input in the potential, which a spike takes away.
    before: dict[str, Expression] = {x: name(TRACE + x) for x in text.state}
    moved = tuple(tangent(x, {**before, INPUT: name(SOURCE)}) for x in text.moved)
    after = {x: name(TRACE + x) for x in text.moved_names}
    margin = tangent(text.margin, after)
    return Trace(moved, margin, tuple(tangent(x, after) for x in text.after))
