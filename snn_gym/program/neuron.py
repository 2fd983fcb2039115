"""``Neuron``, a neuron as one text, and what is derived from it: gradients, traces, checks.

A neuron is three functions: how its state moves with an input (``integrate``), how far it is above
its threshold then (``margin``), and what a spike leaves (``after``). Called with arrays or tensors
they are the neuron; called with names they give the `Equations` from which everything else comes.
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
"""Names of a neuron's input current and of its spike, 0 or 1."""
SLOPE, DISTANCE = "slope", "distance"
"""Names of a surrogate's slope and of the distance to the threshold."""
_TAU, _UNIT = "tau_", "_ms"
_RESERVED = {INPUT, SPIKE, SLOPE, DISTANCE, "source", "surrogate", "through"}
_RESERVED_PREFIXES = ("grad_", "moved_", "new_", "own_", "silent_", "spiked_", "trace_")


@dataclass(frozen=True)
class NeuronParameters(Config):
    """Base of every neuron's parameters.

    A neuron's own are a frozen dataclass of numbers with defaults; time constants are named
    ``tau_..._ms``.
    """

    learnable_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that ``NetworkConfig.learnable`` can name."""

    if TYPE_CHECKING:
        # Fields of the subclasses. Declared as fields here they would come first there.
        @property
        def v_threshold(self) -> float:
            """Potential above which the neuron fires."""
            raise NotImplementedError

        @property
        def v_reset(self) -> float:
            """Potential after a spike."""
            raise NotImplementedError


class Neuron:
    """A neuron, written once.

    A subclass names its state variables and gives ``integrate``; the rest has the defaults of an
    integrate-and-fire neuron. All functions are element-wise: operators and the functions of
    ``snn_gym.program.expressions``, no branches. ``p`` has the constants, ``s`` the state by name.
    """

    Parameters: ClassVar[type[NeuronParameters]]
    """Type of its parameters."""
    state: ClassVar[tuple[str, ...]]
    """Names of the state variables; the first is recorded as the membrane potential."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for function in ("constants", "rest", "integrate", "margin", "after"):
            own = vars(cls).get(function)
            if callable(own) and not isinstance(own, staticmethod | classmethod):
                setattr(cls, function, staticmethod(own))

    @staticmethod
    def constants(parameters: NeuronParameters, dt_ms: float) -> Mapping[str, float]:
        """Return the numbers that the equations use.

        By default the parameters by their names, and for each time constant ``tau_NAME_ms`` the
        share ``NAME_gain`` of the way that a time step goes, ``dt / tau``.

        Args:
            parameters: Parameters of the neuron.
            dt_ms: Length of a time step (ms).
        """
        found: dict[str, float] = {}
        for field in fields(parameters):
            value = getattr(parameters, field.name)
            found[field.name] = value
            if is_time_constant(field.name):
                found[constant_of(field.name)] = gain(dt_ms, value)
        return found

    @classmethod
    def rest(cls, p: Any) -> tuple[Value, ...]:
        """Return the state at the start of an episode; by default all variables are 0."""
        del p
        return (0.0,) * len(cls.state)

    @staticmethod
    def integrate(p: Any, s: Any, x: Value) -> tuple[Value, ...]:
        """Return the state variables after a time step with input ``x``, without a spike."""
        raise NotImplementedError

    @classmethod
    def margin(cls, p: Any, s: Any) -> Value:
        """Return how far the moved state is above the threshold: above 0 the neuron fires."""
        return getattr(s, cls.state[0]) - p.v_threshold

    @classmethod
    def after(cls, p: Any, s: Any, z: Value) -> tuple[Value, ...]:
        """Return what a spike ``z``, 0 or 1, leaves; by default the first variable is reset."""
        v, *others = (getattr(s, x) for x in cls.state)
        return ((1.0 - z) * v + z * p.v_reset, *others)


def is_time_constant(field: str) -> bool:
    """Tell whether a parameter is a time constant."""
    return field.startswith(_TAU) and field.endswith(_UNIT)


def constant_of(field: str) -> str:
    """Return the constant that a parameter gives by default."""
    if not is_time_constant(field):
        return field
    return f"{field.removeprefix(_TAU).removesuffix(_UNIT)}_gain"


def gain(dt_ms: float, tau_ms: float) -> float:
    """Return ``dt / tau``, rounded as Norse does it: the inverse in float32, times dt in seconds."""
    return float(np.float32(dt_ms / 1000.0) * np.float32(1000.0 / tau_ms))


@dataclass(frozen=True)
class Equations:
    """A neuron's text as expressions.

    Names are those of constants and state variables, `INPUT`, `SPIKE`, and `MOVED` before a state
    variable for its value between ``integrate`` and ``after``.
    """

    constants: tuple[str, ...]
    """Constants that a time step uses, in a fixed order; a state at rest may use others."""
    state: tuple[str, ...]
    """State variables."""
    moved: tuple[Expression, ...]
    """State variables after ``integrate``."""
    margin: Expression
    """Distance to the threshold."""
    after: tuple[Expression, ...]
    """State variables after a time step."""
    rest: tuple[Expression, ...]
    """State variables at the start of an episode."""

    @cached_property
    def moved_names(self) -> tuple[str, ...]:
        """Names of the state variables between ``integrate`` and ``after``."""
        return tuple(MOVED + x for x in self.state)

    def decided(self, fires: bool) -> tuple[Expression, ...]:
        """Return what is left of the moved state where the neuron fires, or where it does not."""
        return tuple(replace_names(x, {SPIKE: float(fires)}) for x in self.after)


def threshold(text: Equations) -> Expression | None:
    """Return what the recorded variable is compared with, None if the margin is no difference."""
    margin = text.margin
    if margin.operator == "-" and names_in(margin.inputs[0]) == text.moved_names[:1]:
        first, other = margin.inputs
        return other if first.operator == "name" else None
    return None


def autonomous(text: Equations) -> tuple[str, ...]:
    """Return the state variables that only constants, each other and spikes move."""
    kept = set(text.state)
    while True:
        outer = {INPUT, *(set(text.state) - kept)}
        outer |= {MOVED + x for x in outer}
        left = {
            x
            for x, moved, after in zip(text.state, text.moved, text.after, strict=True)
            if x in kept and not outer.intersection(names_in(moved, after))
        }
        if left == kept:
            return tuple(x for x in text.state if x in kept)
        kept = left


def feels_at_once(text: Equations) -> bool:
    """Tell whether an input can make a neuron fire in the time step in which it arrives."""
    met = names_in(text.margin)
    pairs = zip(text.moved_names, text.moved, strict=True)
    return any(x in met and INPUT in names_in(moved) for x, moved in pairs)


def is_affine(text: Equations) -> bool:
    """Tell whether a neuron that does not fire is affine in its state and its input."""
    changing = {*text.state, *text.moved_names, INPUT}
    names = [*text.state, *text.moved_names, INPUT]
    slopes = [
        differentiate(value, label)
        for value in (*text.moved, text.margin, *text.decided(fires=False))
        for label in names
    ]
    return not changing.intersection(names_in(*slopes))


class _Names:
    """Names that a text may use, of which it asks as attributes."""

    def __init__(self, what: str, labels: Sequence[str], prefix: str = "") -> None:
        self._what, self._labels = what, {x: name(prefix + x) for x in labels}

    def __getattr__(self, label: str) -> Expression:
        labels: dict[str, Expression] = self.__dict__["_labels"]
        if label not in labels:
            raise AttributeError(
                f"there is no {self.__dict__['_what']} {label!r}; there are {', '.join(labels)}"
            )
        return labels[label]


@cached
def equations(neuron: type[Neuron]) -> Equations:
    """Return the expressions of a neuron."""
    defaults = neuron.Parameters()
    numbers = neuron.constants(defaults, 1.0)
    _check_names(neuron, numbers)
    p = _Names("constant", tuple(numbers))
    s, moved = _Names("state variable", neuron.state), _Names("state variable", neuron.state, MOVED)
    size = len(neuron.state)
    rest = _called(neuron, "rest", size, p)
    after_integrate = _called(neuron, "integrate", size, p, s, name(INPUT))
    (margin,) = _called(neuron, "margin", None, p, moved)
    after = _called(neuron, "after", size, p, moved, name(SPIKE))
    met = names_in(*after_integrate, margin, *after)
    used = tuple(x for x in numbers if x in met)
    return Equations(used, neuron.state, after_integrate, margin, after, rest)


def _called(neuron: type[Neuron], function: str, size: int | None, *given: Any) -> tuple[Any, ...]:
    """Return what a function of a neuron's text makes of names, ``size`` expressions."""
    where = f"{neuron.__name__}.{function}"
    try:
        found = getattr(neuron, function)(*given)
        results = (found,) if size is None else tuple(found)
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
    """Tell whether more input, now or before, never takes a neuron further from its threshold.

    Said of a neuron that has not fired; where derivatives depend on the state, it is not known.
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


def matched(text: Equations, pattern: Equations) -> dict[str, str] | None:
    """Return which constant of a neuron stands for each of another's with the same equations."""
    if len(text.state) != len(pattern.state):
        return None
    given = (*text.moved, text.margin, *text.after, *text.rest)
    wanted = (*pattern.moved, pattern.margin, *pattern.after, *pattern.rest)
    bound = dict(zip(pattern.state, text.state, strict=True))
    bound |= {MOVED + x: MOVED + y for x, y in bound.items()} | {INPUT: INPUT, SPIKE: SPIKE}
    fixed = set(bound)
    for a, b in zip(given, wanted, strict=True):
        if not _matches(a, b, bound):
            return None
    found = {x: y for x, y in bound.items() if x not in fixed}
    return found if len(set(found.values())) == len(found) else None


def _matches(given: Expression, wanted: Expression, bound: dict[str, str]) -> bool:
    if given.operator != wanted.operator or given.number != wanted.number:
        return False
    if wanted.operator == "name":
        return bound.setdefault(wanted.label, given.label) == given.label
    pairs = zip(given.inputs, wanted.inputs, strict=True)
    return all(_matches(a, b, bound) for a, b in pairs)


# ---- what is derived ----------------------------------------------------------------------------
GRADIENT = "grad_"
"""Prefix of the gradient of a state variable after the time step, of a constant, or of these."""
GRAD_SPIKE, GRAD_RECORDED, SURROGATE = "grad_spike", "grad_recorded", "surrogate"
"""Names of the gradients of the spike and of the recorded first variable, and of the surrogate's
derivative at the margin."""


@dataclass(frozen=True)
class Backward:
    """The gradients of a time step, from those of what it gave."""

    through: Expression
    """Gradient of the margin; named ``through`` in the others."""
    before: tuple[Expression, ...]
    """Gradient of each moved state variable; named by `GRADIENT` and its name in the others."""
    state: tuple[Expression, ...]
    """Gradient of each state variable before the time step."""
    input: Expression
    """Gradient of the input."""
    constants: tuple[Expression, ...]
    """Gradient of each constant."""


THROUGH = "through"
"""Name of the gradient of the margin."""


def backward(text: Equations) -> Backward:
    """Return the gradients of a time step, in which the surrogate stands for the spike's own."""
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
    """Return the gradient of a name, from those of values that it is in."""
    total = constant(0.0)
    for value, gradient in zip(values, gradients, strict=True):
        total = total + differentiate(value, label) * gradient
    return total


TRACE, SOURCE = "trace_", "source"
"""Prefix of the trace of a state variable, and name of what a synapse brings."""


@dataclass(frozen=True)
class Trace:
    """The effect of a synapse's weight on its neuron's state, forward in time.

    What the synapse brings is named `SOURCE`; traces of the moved state are named by
    `TRACE` and its name in the others.
    """

    moved: tuple[Expression, ...]
    """Trace of each state variable after ``integrate``."""
    margin: Expression
    """Trace of the margin; named ``trace_margin`` in ``after``."""
    after: tuple[Expression, ...]
    """Trace of each state variable after the time step."""


def local_trace(text: Equations) -> Trace:
    """Return the trace of a synapse's weight that a local rule follows.

    It is what the synapse has left in the potential, which a spike takes away: no derivative passes
    the spike itself. `SPIKE` names it in ``after``, where `trace` has the surrogate.
    """
    before: dict[str, Expression] = {x: name(TRACE + x) for x in text.state}
    moved = tuple(tangent(x, {**before, INPUT: name(SOURCE)}) for x in text.moved)
    after = {x: name(TRACE + x) for x in text.moved_names}
    margin = tangent(text.margin, after)
    return Trace(moved, margin, tuple(tangent(x, after) for x in text.after))


TRACE_MARGIN = TRACE + "margin"
"""Name of the trace of the margin."""


def trace(text: Equations) -> Trace:
    """Return the eligibility trace of a synapse's weight, by the same derivatives as ``backward``."""
    before = [name(TRACE + x) for x in text.state]
    moved = []
    for value in text.moved:
        total = constant(0.0)
        for label, kept in zip(text.state, before, strict=True):
            total = total + differentiate(value, label) * kept
        moved.append(total + differentiate(value, INPUT) * name(SOURCE))
    steps = [name(TRACE + x) for x in text.moved_names]
    margin, after = constant(0.0), []
    for label, step in zip(text.moved_names, steps, strict=True):
        margin = margin + differentiate(text.margin, label) * step
    for value in text.after:
        total = constant(0.0)
        for label, step in zip(text.moved_names, steps, strict=True):
            total = total + differentiate(value, label) * step
        through = differentiate(value, SPIKE) * name(SURROGATE)
        after.append(total + through * name(TRACE_MARGIN))
    return Trace(tuple(moved), margin, tuple(after))
