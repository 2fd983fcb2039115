"""A neuron's time step as C99, printed from its text, in float and in fixed point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from snn_gym.export.c_base import number
from snn_gym.program.expressions import Expression, walk
from snn_gym.program.neuron import DISTANCE, INPUT, Equations, Neuron, equations
from snn_gym.program.neurons import name_of
from snn_gym.program.printing import Style, own, print_lines, print_node

Unit = Literal["potential", "share"]
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


def float_neuron(neuron: type[Neuron], name: str) -> str:
    """Return the C function that advances a layer by a time step, in float.

    Args:
        neuron: The neuron.
        name: Name of the function.
    """
    text = equations(neuron)
    lines = [f"const float {own(x)} = constants[{k}];" for k, x in enumerate(text.constants)]
    body = [
        *(f"const float {own(x)} = {_place(s)};" for s, x in enumerate(text.state)),
        f"const float {own(INPUT)} = currents[n];",
        *print_lines(_moved(text), _FLOAT),
        f"const int fired = {own(DISTANCE)} > 0.0f;",
        *_choices(text, _FLOAT, "{place} = {value};"),
        "spikes[n] = (unsigned char)fired;",
    ]
    return _function(name, ("float", "float"), lines, body)


def _moved(text: Equations) -> dict[str, Expression]:
    return dict(zip(text.moved_names, text.moved, strict=True)) | {DISTANCE: text.margin}


def _place(variable: int) -> str:
    return "state[n]" if variable == 0 else f"state[{variable} * size + n]"


def _choices(text: Equations, style: Style, assignment: str) -> Iterator[str]:
    """Yield what a spike, or none, leaves of each state variable."""
    for s, (fires, rests) in enumerate(zip(text.decided(True), text.decided(False), strict=True)):
        yes, no = (
            list(print_lines({"value": x}, style))[-1].partition(" = ")[2].rstrip(";")
            for x in (fires, rests)
        )
        value = yes if yes == no else f"fired ? {yes} : {no}"
        yield assignment.format(place=_place(s), value=value)


def _function(name: str, kinds: tuple[str, str], lines: list[str], body: list[str]) -> str:
    constant, current = kinds
    indent = " " * (len("static inline void ") + len(name) + 1)
    head = (
        f"static inline void {name}(const {constant} *constants, const {current} *currents,\n"
        f"{indent}{constant} *state, int size, unsigned char *spikes) {{\n"
    )
    inner = [*lines, "for (int n = 0; n < size; n++) {", *(f"    {x}" for x in body), "}"]
    return head + "".join(f"    {x}\n" for x in inner) + "}\n"


# ---- fixed point --------------------------------------------------------------------------------
def fixed_neuron(neuron: type[Neuron], name: str) -> str:
    """Return the C function that advances a layer by a time step, in fixed point.

    Currents, state variables and what is computed once for several uses are saturated.

    Args:
        neuron: The neuron.
        name: Name of the function.

    Raises:
        ValueError: The text has operations that have no form in fixed point.
    """
    text = equations(neuron)
    units = units_of(neuron)
    printer = _FixedPrinter(units)
    lines = [f"const int32_t {own(x)} = constants[{k}];" for k, x in enumerate(text.constants)]
    body = [
        *(f"const int32_t {own(x)} = {_place(s)};" for s, x in enumerate(text.state)),
        f"const int32_t {own(INPUT)} = saturated(currents[n]);",
        *printer.lines(dict(zip(text.moved_names, text.moved, strict=True))),
        f"const int fired = {printer.value(text.margin)} > 0;",
    ]
    for s, (fires, rests) in enumerate(zip(text.decided(True), text.decided(False), strict=True)):
        yes, no = printer.value(fires), printer.value(rests)
        value = yes if yes == no else f"fired ? {yes} : {no}"
        body.append(f"{_place(s)} = (int16_t)saturated({value});")
    body.append("spikes[n] = (unsigned char)fired;")
    return _function(name, ("int16_t", "int32_t"), lines, body)


class _FixedPrinter:
    """Expressions in whole numbers, what is used several times saturated under a name."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units
        self._named: dict[int, str] = {}

    def lines(self, targets: Mapping[str, Expression]) -> Iterator[str]:
        """Yield assignments of saturated values."""
        uses: dict[int, int] = {}
        for node in walk(*targets.values()):
            for x in node.inputs:
                uses[id(x)] = uses.get(id(x), 0) + 1
        for label, root in targets.items():
            for node in walk(root):
                if node.inputs and uses.get(id(node), 0) > 1 and id(node) not in self._named:
                    name = f"t{len(self._named)}"
                    yield _FIXED.assignment.format(name=name, value=self.value(node))
                    self._named[id(node)] = name
            yield _FIXED.assignment.format(name=own(label), value=self.value(root))

    def value(self, node: Expression) -> str:
        """Return an expression as text."""
        if id(node) in self._named:
            return self._named[id(node)]
        inputs = [self.value(x) for x in node.inputs]
        if node.operator == "*" and not self._is_share(node.inputs[0]):
            inputs.reverse()
        return print_node(node, inputs, _FIXED)

    def _is_share(self, node: Expression) -> bool:
        if node.operator == "name":
            return self._units[node.label] == "share"
        return node.operator == "constant" or (
            node.operator == "-x" and self._is_share(node.inputs[0])
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
