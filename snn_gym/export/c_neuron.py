"""A neuron's time step as C99, printed from its text, in float and in fixed point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from snn_gym.export.c_base import number
from snn_gym.program.expressions import Expression, walk
from snn_gym.program.neuron import DISTANCE, INPUT, Equations, Neuron, equations
from snn_gym.program.neurons import name_of
from snn_gym.program.printing import Style, own, print_lines

Unit = Literal["potential", "share"]
SPIKED, SILENT = "spiked_", "silent_"
"""Prefixes of a state variable after a time step with a spike, or without."""
GAIN_BITS = 14
"""Bits of a share, a number without a unit, in fixed point."""

_FLOAT = Style(
    constant=number,
    assignment="const float {name} = {value};",
    where="({0} ? {1} : {2})",
    functions={
        "abs": "fabsf", "exp": "expf", "exp_of_negative": "expf", "log": "logf", "sqrt": "sqrtf",
        "tanh": "tanhf", "maximum": "fmaxf", "minimum": "fminf",
    },
)  # fmt: skip
_FIXED = Style(
    constant=lambda number: "0" if number == 0 else str(round(number * 2**GAIN_BITS)),
    assignment="const int32_t {name} = saturated({value});",
    where="({0} ? {1} : {2})",
    functions={"*": "share", "maximum": "larger", "minimum": "smaller"},
)
_FIXED_OPERATORS = {
    "name",
    "constant",
    "+",
    "-",
    "-x",
    "*",
    "where",
    ">",
    ">=",
    "maximum",
    "minimum",
}
_SAME = {"+", "-", "-x", "maximum", "minimum", ">", ">=", "where"}
"""Operators whose inputs have one unit; so has what they give, but for comparisons."""


def float_neuron(neuron: type[Neuron], name: str, *, each: bool = False) -> str:
    """Return the C function that advances a layer by a time step, in float.

    Args:
        neuron: The neuron.
        name: Name of the function.
        each: Whether each neuron has constants of its own.
    """
    kinds = ("float", "float", "float")
    return _function(name, equations(neuron), _FLOAT, kinds, "currents[n]", each=each)


def fixed_neuron(neuron: type[Neuron], name: str) -> str:
    """Return the C function that advances a layer by a time step, in fixed point.

    Currents, state variables and what is computed once for several uses are saturated.

    Args:
        neuron: The neuron.
        name: Name of the function.

    Raises:
        ValueError: The text has operations that have no form in fixed point.
    """
    text, units = equations(neuron), units_of(neuron)
    kinds = ("int16_t", "int32_t", "int32_t")
    return _function(name, text, _FIXED, kinds, "saturated(currents[n])", units)


def _function(
    name: str,
    text: Equations,
    style: Style,
    kinds: tuple[str, str, str],
    current: str,
    units: Mapping[str, Unit] | None = None,
    *,
    each: bool = False,
) -> str:
    """Return the function; ``kinds`` are the types of state, of currents, and within."""
    stored, given, inner = kinds
    step = dict(zip(text.moved_names, text.moved, strict=True)) | {DISTANCE: text.margin}
    left: dict[str, Expression] = {}
    for x, spiked, silent in zip(text.state, text.decided(True), text.decided(False), strict=True):
        if spiked is not silent:
            left[SPIKED + x] = spiked
        left[SILENT + x] = silent
    if units is not None:
        step, left = _shares_first(step, units), _shares_first(left, units)
    body = [
        *(f"const {inner} {own(x)} = {_place(s)};" for s, x in enumerate(text.state)),
        f"const {inner} {own(INPUT)} = {current};",
        *print_lines(step, style),
        f"const int fired = {own(DISTANCE)} > 0;",
        *print_lines(left, style, "u"),
    ]
    for s, x in enumerate(text.state):
        value = own(SILENT + x)
        if SPIKED + x in left:
            value = f"fired ? {own(SPIKED + x)} : {value}"
        body.append(f"{_place(s)} = ({stored})({value});")
    body.append("spikes[n] = (unsigned char)fired;")
    place = "{0} * size + n" if each else "{0}"
    constants = [
        f"const {inner} {own(x)} = constants[{place.format(k)}];"
        for k, x in enumerate(text.constants)
    ]
    first, body = ([], constants + body) if each else (constants, body)
    lines = [*first, "for (int n = 0; n < size; n++) {", *(f"    {x}" for x in body), "}"]
    indent = " " * (len("static inline void ") + len(name) + 1)
    return (
        f"static inline void {name}(const {stored} *constants, const {given} *currents,\n"
        f"{indent}{stored} *state, int size, unsigned char *spikes) {{\n"
        + "".join(f"    {x}\n" for x in lines)
        + "}\n"
    )


def _place(variable: int) -> str:
    return "state[n]" if variable == 0 else f"state[{variable} * size + n]"


def _shares_first(
    targets: Mapping[str, Expression], units: Mapping[str, Unit]
) -> dict[str, Expression]:
    """Return expressions with the share as the first factor of every product."""
    made: dict[int, Expression] = {}
    for node in walk(*targets.values()):
        inputs = tuple(made[id(x)] for x in node.inputs)
        if node.operator == "*" and not _is_share(node.inputs[0], units):
            inputs = inputs[::-1]
        made[id(node)] = replace(node, inputs=inputs) if inputs else node
    return {label: made[id(root)] for label, root in targets.items()}


def _is_share(node: Expression, units: Mapping[str, Unit]) -> bool:
    if node.operator == "name":
        return units[node.label] == "share"
    return node.operator == "constant" or (
        node.operator == "-x" and _is_share(node.inputs[0], units)
    )


def units_of(neuron: type[Neuron]) -> dict[str, Unit]:
    """Return which names of a neuron's equations are potentials, and which are shares of them.

    State variables and inputs are potentials; what these are added to is one, too, and what they
    are multiplied by is a share.

    Args:
        neuron: The neuron.

    Raises:
        ValueError: A text adds a share to a potential, multiplies potentials, or has a function
            that fixed point has not; the message names it.
    """
    text = equations(neuron)
    roots = (*text.moved, text.margin, *text.decided(True), *text.decided(False))
    names: dict[str, Unit] = dict.fromkeys((*text.state, *text.moved_names, INPUT), "potential")
    units: dict[int, Unit] = {id(x): "potential" for x in roots}
    nodes = list(walk(*roots))
    for node in nodes:
        if node.operator not in _FIXED_OPERATORS:
            raise ValueError(
                f"neuron {name_of(neuron)!r} has no fixed point, for it has {node.operator!r}; "
                "export in float"
            )
    while True:
        before = len(units) + len(names)
        for node in nodes:
            _infer(neuron, node, units, names)
        if len(units) + len(names) == before:
            break
    unknown = [x for x in text.constants if x not in names]
    if unknown:
        raise ValueError(
            f"neuron {name_of(neuron)!r} has no fixed point, for it does not tell whether "
            f"{', '.join(unknown)} is a potential or a share of one; export in float"
        )
    return names


def _infer(
    neuron: type[Neuron], node: Expression, units: dict[int, Unit], names: dict[str, Unit]
) -> None:
    """Enter what an operator says of the units of its inputs and of itself."""
    known = names.get(node.label, units.get(id(node)))
    if node.operator == "name" and known is not None:
        _enter(neuron, node, known, units, names)
    inputs = node.inputs[1:] if node.operator == "where" else node.inputs
    if node.operator in _SAME:
        alike = inputs if node.operator in (">", ">=") else (*inputs, node)
        found = [units[id(x)] for x in alike if id(x) in units]
        for x in alike if found else ():
            _enter(neuron, x, found[0], units, names)
    elif node.operator == "*":
        a, b = inputs
        for one, other in ((a, b), (b, a)):
            if units.get(id(one)) == "potential":
                _enter(neuron, other, "share", units, names)
                _enter(neuron, node, "potential", units, names)
            elif units.get(id(one)) == "share" and units.get(id(node)) == "potential":
                _enter(neuron, other, "potential", units, names)
            elif one.operator == "constant" and id(node) in units:
                _enter(neuron, other, units[id(node)], units, names)


def _enter(
    neuron: type[Neuron],
    node: Expression,
    unit: Unit,
    units: dict[int, Unit],
    names: dict[str, Unit],
) -> None:
    """Enter the unit of a node, which must agree with what is known of it."""
    if node.operator == "constant" and node.number != 0.0 and unit == "potential":
        raise ValueError(
            f"neuron {name_of(neuron)!r} has no fixed point, for it adds {node.number:g} to a "
            "potential; make it a parameter"
        )
    literal = node.operator == "constant"
    known = unit if literal else units.setdefault(id(node), unit)
    if node.operator == "name":
        known = names.setdefault(node.label, unit)
    if known != unit:
        raise ValueError(
            f"neuron {name_of(neuron)!r} has no fixed point, for it adds a share to a potential "
            "or multiplies potentials; export in float"
        )
