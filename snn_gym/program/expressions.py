"""Expressions: what a text of arithmetic does, as a graph that is differentiated and printed.

A text is a Python function of a few operators (``+ - * /``, ``**`` with 2 or 3, comparisons) and
the functions below. Called with arrays or tensors it computes; called with `Expression` objects it
builds a graph of what it would compute. The graph is element-wise and float32, and its operations
stand in the order of the text: whatever prints it rounds as the text does.

Simplified is only what leaves the bits of finite numbers as they are: products with 0, 1 and -1,
sums with 0, and the place of a minus sign.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

# ---- expressions ---------------------------------------------------------------------------------
Value = Any
"""A number, an array, a tensor or an `Expression`."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A node of a graph: an operator and its inputs, a name, or a constant.

    Two nodes are equal only if they are one object, so that what a text uses twice is known as
    computed once.
    """

    operator: str
    """A key of `OPERATORS`, ``name`` or ``constant``."""
    inputs: tuple[Expression, ...] = ()
    """Inputs of the operator."""
    label: str = ""
    """The name of a ``name``."""
    number: float = 0.0
    """The number of a ``constant``."""

    def __add__(self, other: Value) -> Expression:
        return _add(self, lift(other))

    def __radd__(self, other: Value) -> Expression:
        return _add(lift(other), self)

    def __sub__(self, other: Value) -> Expression:
        return _subtract(self, lift(other))

    def __rsub__(self, other: Value) -> Expression:
        return _subtract(lift(other), self)

    def __mul__(self, other: Value) -> Expression:
        return _multiply(self, lift(other))

    def __rmul__(self, other: Value) -> Expression:
        return _multiply(lift(other), self)

    def __truediv__(self, other: Value) -> Expression:
        divisor = lift(other)
        return self if _is(divisor, 1.0) else Expression("/", (self, divisor))

    def __rtruediv__(self, other: Value) -> Expression:
        return Expression("/", (lift(other), self))

    def __neg__(self) -> Expression:
        return _negate(self)

    def __pow__(self, exponent: int) -> Expression:
        if exponent not in (2, 3):
            raise TypeError(
                f"** takes the exponents 2 and 3, got {exponent!r}; use products or exp"
            )
        square = self * self
        return square if exponent == 2 else square * self

    def __abs__(self) -> Expression:
        return Expression("abs", (self,))

    def __gt__(self, other: Value) -> Expression:
        return Expression(">", (self, lift(other)))

    def __lt__(self, other: Value) -> Expression:
        return Expression(">", (lift(other), self))

    def __ge__(self, other: Value) -> Expression:
        return Expression(">=", (self, lift(other)))

    def __le__(self, other: Value) -> Expression:
        return Expression(">=", (lift(other), self))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a text can't branch by `if`, `and` or `max`, for it stands for many neurons; use where"
        )

    def __float__(self) -> NoReturn:
        raise TypeError("a text can't take a number out of a state or a constant; use operators")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Expression:
        """Take operators of numpy's scalars, and refuse its other functions."""
        arithmetic = {
            "add": "__add__",
            "subtract": "__sub__",
            "multiply": "__mul__",
            "divide": "__truediv__",
        }
        if method != "__call__" or ufunc.__name__ not in arithmetic or len(inputs) != 2:
            raise TypeError(
                f"numpy.{ufunc.__name__} is no function of texts; those of snn_gym.program are "
                f"{', '.join(FUNCTIONS)}"
            )
        left, right = (lift(x) for x in inputs)
        result: Expression = getattr(left, arithmetic[ufunc.__name__])(right)
        return result


def name(label: str) -> Expression:
    """Return a name, which stands for a number of each neuron."""
    return Expression("name", label=label)


def constant(number: float) -> Expression:
    """Return a constant."""
    return Expression("constant", number=float(number))


def lift(value: Value) -> Expression:
    """Return a number as a constant, and an expression as it is."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise TypeError(f"a text computes with numbers and states, got {type(value).__name__}")
    return constant(float(value))


def _is(x: Expression, number: float) -> bool:
    return x.operator == "constant" and x.number == number


def _negate(x: Expression) -> Expression:
    if x.operator == "constant":
        return constant(-x.number)
    return x.inputs[0] if x.operator == "-x" else Expression("-x", (x,))


def _add(a: Expression, b: Expression) -> Expression:
    if _is(a, 0.0):
        return b
    if _is(b, 0.0):
        return a
    if a.operator == "-x":
        return Expression("-", (b, a.inputs[0]))
    return Expression("-", (a, b.inputs[0])) if b.operator == "-x" else Expression("+", (a, b))


def _subtract(a: Expression, b: Expression) -> Expression:
    if _is(b, 0.0):
        return a
    if _is(a, 0.0):
        return _negate(b)
    return Expression("+", (a, b.inputs[0])) if b.operator == "-x" else Expression("-", (a, b))


def _multiply(a: Expression, b: Expression) -> Expression:
    for one, other in ((a, b), (b, a)):
        if _is(one, 0.0):
            return constant(0.0)
        if _is(one, 1.0):
            return other
        if _is(one, -1.0):
            return _negate(other)
    if a.operator == "-x":
        return _negate(_multiply(a.inputs[0], b))
    if b.operator == "-x":
        return _negate(_multiply(a, b.inputs[0]))
    return Expression("*", (a, b))


# ---- functions of texts -------------------------------------------------------------------------
def _torch_of(values: Iterable[Value]) -> Any:
    """Return PyTorch if one of the values is a tensor, which loads nothing; else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and any(isinstance(x, torch.Tensor) for x in values) else None


def _apply(operator: str, function: str, *values: Value) -> Value:
    """Build a node of an operator, or call numpy's or PyTorch's function of that name."""
    if any(isinstance(x, Expression) for x in values):
        return Expression(operator, tuple(lift(x) for x in values))
    torch = _torch_of(values)
    if torch is None:
        return getattr(np, function)(*values)
    like = next(x for x in values if isinstance(x, torch.Tensor))
    given = (
        x if isinstance(x, torch.Tensor) else torch.as_tensor(x, dtype=like.dtype) for x in values
    )
    return getattr(torch, function)(*given)


def exp(x: Value) -> Value:
    """Return e to the power of ``x``."""
    return _apply("exp", "exp", x)


def exp_of_negative(x: Value) -> Value:
    """Return e to the power of ``x``, at most 0, which compiled code computes faster than ``exp``."""
    return _apply("exp_of_negative", "exp", x)


def log(x: Value) -> Value:
    """Return the natural logarithm of ``x``, above 0."""
    return _apply("log", "log", x)


def sqrt(x: Value) -> Value:
    """Return the square root of ``x``, above 0."""
    return _apply("sqrt", "sqrt", x)


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent of ``x``."""
    return _apply("tanh", "tanh", x)


def minimum(a: Value, b: Value) -> Value:
    """Return the lesser of two values."""
    return _apply("minimum", "minimum", a, b)


def maximum(a: Value, b: Value) -> Value:
    """Return the greater of two values."""
    return _apply("maximum", "maximum", a, b)


def clip(x: Value, low: Value, high: Value) -> Value:
    """Return ``x`` within limits."""
    return minimum(maximum(x, low), high)


def where(condition: Value, a: Value, b: Value) -> Value:
    """Return ``a`` where a comparison holds, else ``b``.

    Args:
        condition: A comparison of two values.
        a: A value of a text.
        b: Another one.

    Raises:
        TypeError: The condition of an expression is no comparison.
    """
    if isinstance(condition, Expression):
        if condition.operator not in COMPARISONS:
            raise TypeError("where takes a comparison, such as s.v > 0, as its condition")
        yes, no = lift(a), lift(b)
        return yes if yes is no else Expression("where", (condition, yes, no))
    torch = _torch_of((condition, a, b))
    return np.where(condition, a, b) if torch is None else torch.where(condition, a, b)


FUNCTIONS = ("abs", "clip", "exp", "log", "maximum", "minimum", "sqrt", "tanh", "where")
"""Functions that a text may call, besides the operators."""
COMPARISONS = (">", ">=")


# ---- operators ----------------------------------------------------------------------------------
_ONE, _ZERO = constant(1.0), constant(0.0)
Partials = Callable[[Expression], tuple[Expression, ...]]


@dataclass(frozen=True)
class Operator:
    """Properties of an operator."""

    partials: Partials
    """Returns the derivative of a node by each of its inputs."""
    compute: Callable[..., Value]
    """Its function on arrays or tensors."""


def _no_derivative(node: Expression) -> tuple[Expression, ...]:
    return tuple(_ZERO for _ in node.inputs)


def _chosen(node: Expression, first: int) -> tuple[Expression, ...]:
    """Return the derivatives of minimum and maximum, of which one is the node's value."""
    a, b = node.inputs
    takes = a > b if first else b > a
    return where(takes, _ONE, _ZERO), where(takes, _ZERO, _ONE)


def _product_partials(node: Expression) -> tuple[Expression, ...]:
    return node.inputs[1], node.inputs[0]


def _quotient_partials(node: Expression) -> tuple[Expression, ...]:
    divisor = node.inputs[1]
    return _ONE / divisor, -(node / divisor)


def _sign_partials(node: Expression) -> tuple[Expression, ...]:
    (x,) = node.inputs
    return (where(x > 0.0, _ONE, where(x < 0.0, constant(-1.0), _ZERO)),)


def _where_partials(node: Expression) -> tuple[Expression, ...]:
    condition = node.inputs[0]
    return _ZERO, where(condition, _ONE, _ZERO), where(condition, _ZERO, _ONE)


OPERATORS: dict[str, Operator] = {
    "+": Operator(lambda _: (_ONE, _ONE), lambda a, b: a + b),
    "-": Operator(lambda _: (_ONE, constant(-1.0)), lambda a, b: a - b),
    "*": Operator(_product_partials, lambda a, b: a * b),
    "/": Operator(_quotient_partials, lambda a, b: a / b),
    "-x": Operator(lambda _: (constant(-1.0),), lambda a: -a),
    "abs": Operator(_sign_partials, abs),
    "exp": Operator(lambda node: (node,), exp),
    "exp_of_negative": Operator(lambda node: (node,), exp_of_negative),
    "log": Operator(lambda node: (_ONE / node.inputs[0],), log),
    "sqrt": Operator(lambda node: (0.5 / node,), sqrt),
    "tanh": Operator(lambda node: (1.0 - node * node,), tanh),
    "minimum": Operator(lambda node: _chosen(node, 0), minimum),
    "maximum": Operator(lambda node: _chosen(node, 1), maximum),
    ">": Operator(_no_derivative, lambda a, b: a > b),
    ">=": Operator(_no_derivative, lambda a, b: a >= b),
    "where": Operator(_where_partials, where),
}
"""All operators, those of the functions above among them."""


# ---- graphs -------------------------------------------------------------------------------------
def walk(*roots: Expression) -> Iterator[Expression]:
    """Yield every node that expressions are made of once, inputs first."""
    seen: set[int] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, done = stack.pop()
            if id(node) in seen:
                continue
            if done or not node.inputs:
                seen.add(id(node))
                yield node
            else:
                stack.append((node, True))
                stack.extend((x, False) for x in reversed(node.inputs))


def names_in(*roots: Expression) -> tuple[str, ...]:
    """Return the names that expressions use, in the order in which these meet them."""
    return tuple(dict.fromkeys(node.label for node in walk(*roots) if node.operator == "name"))


def replace_names(expression: Expression, values: Mapping[str, Value]) -> Expression:
    """Return an expression with other expressions or numbers in the place of names."""
    made: dict[int, Expression] = {}
    for node in walk(expression):
        if node.operator == "name" and node.label in values:
            made[id(node)] = lift(values[node.label])
        elif node.inputs:
            made[id(node)] = _rebuilt(node, tuple(made[id(x)] for x in node.inputs))
        else:
            made[id(node)] = node
    return made[id(expression)]


def _rebuilt(node: Expression, inputs: tuple[Expression, ...]) -> Expression:
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    if all(x.operator == "constant" for x in inputs) and node.operator in ("+", "-", "*"):
        return constant(OPERATORS[node.operator].compute(*(x.number for x in inputs)))
    if node.operator in ("+", "-", "*", "/", "-x"):
        made: Expression = OPERATORS[node.operator].compute(*inputs)
        return made
    return Expression(node.operator, inputs)


def differentiate(expression: Expression, label: str) -> Expression:
    """Return the derivative of an expression by a name.

    Where it has none (a comparison, a corner) it is that of one side, as in PyTorch.
    """
    return tangent(expression, {label: _ONE})


def tangent(expression: Expression, directions: Mapping[str, Expression]) -> Expression:
    """Return how fast an expression changes where names change, operation by operation."""
    derivatives: dict[int, Expression] = {}
    for node in walk(expression):
        moves = node.operator == "name" and node.label in directions
        total = directions[node.label] if moves else _ZERO
        inner = [derivatives[id(x)] for x in node.inputs]
        if any(not _is(x, 0.0) for x in inner):
            for outer, own in zip(OPERATORS[node.operator].partials(node), inner, strict=True):
                total = total + outer * own
        derivatives[id(node)] = total
    return derivatives[id(expression)]


def evaluate(expressions: Iterable[Expression], values: Mapping[str, Value]) -> list[Value]:
    """Compute expressions, what they share once."""
    roots, found = tuple(expressions), dict[int, Value]()
    for node in walk(*roots):
        if node.operator == "name":
            found[id(node)] = values[node.label]
        elif node.operator == "constant":
            found[id(node)] = float(np.float32(node.number))
        else:
            inputs = (found[id(x)] for x in node.inputs)
            found[id(node)] = OPERATORS[node.operator].compute(*inputs)
    return [found[id(root)] for root in roots]


# ---- printing ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Style:
    """How a language writes what expressions are made of."""

    constant: Callable[[float], str]
    """Writes a number."""
    assignment: str
    """Line that gives ``{value}`` to ``{name}``."""
    where: str
    """A choice by ``{0}`` between ``{1}`` and ``{2}``."""
    functions: Mapping[str, str]
    """Functions by operator, called with their inputs in brackets."""
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of operators that take more than a call: lines that compute ``{e}`` of ``{x}`` with ``{r}``
    as scratch."""


def print_lines(targets: Mapping[str, Expression], style: Style, spare: str = "t") -> Iterator[str]:
    """Yield assignments that compute expressions, what they share once."""
    uses: dict[int, int] = {}
    for node in walk(*targets.values()):
        for x in node.inputs:
            uses[id(x)] = uses.get(id(x), 0) + 1
    texts: dict[int, str] = {}
    for label, root in targets.items():
        for node in walk(root):
            if id(node) in texts:
                continue
            inputs = [texts[id(x)] for x in node.inputs]
            number = len(texts)
            if node.operator in style.lines:
                r, e = f"{spare}r{number}", f"{spare}{number}"
                for line in style.lines[node.operator]:
                    yield line.format(x=inputs[0], r=r, e=e)
                texts[id(node)] = e
                continue
            texts[id(node)] = print_node(node, inputs, style)
            if node.inputs and uses.get(id(node), 0) > 1 and node.operator not in COMPARISONS:
                shared = f"{spare}{number}"
                yield style.assignment.format(name=shared, value=texts[id(node)])
                texts[id(node)] = shared
        yield style.assignment.format(name=own(label), value=texts[id(root)])


def own(label: str) -> str:
    """Return a name of a text as printed, which none of the printed code's own names is."""
    return f"{label}_"


def print_node(node: Expression, inputs: Sequence[str], style: Style) -> str:
    """Return a node as text."""
    if node.operator == "name":
        return own(node.label)
    if node.operator == "constant":
        return style.constant(node.number)
    if node.operator == "-x":
        return f"(-{inputs[0]})"
    if node.operator == "where":
        return style.where.format(*inputs)
    if node.operator in style.functions:
        return f"{style.functions[node.operator]}({', '.join(inputs)})"
    return f"({inputs[0]} {node.operator} {inputs[1]})"
