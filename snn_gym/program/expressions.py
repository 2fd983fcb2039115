"""Expression graphs of arithmetic texts, which are differentiated and printed as code.

A text is a Python function of a few operators (``+ - * /``, ``**`` with 2 or 3, comparisons) and
the functions below. Called with arrays or tensors it computes; called with `Expression` objects it
builds a graph of the computation. The graph is element-wise and float32, and its operations keep
the order of the text, so that printed code rounds as the text does.

Simplifications leave the bits of finite numbers unchanged: products with 0, 1 and -1, sums with 0,
and the place of a minus sign.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

Value = Any
"""A number, an array, a tensor or an `Expression`."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A node of a graph: a key of `OPERATORS` and its inputs, a ``name``, or a ``constant``."""

    # Nodes are told apart by ``is``: a value that a text uses twice is computed once.
    operator: str
    inputs: tuple[Expression, ...] = ()
    label: str = ""
    number: float = 0.0

    def __post_init__(self) -> None:
        """Refuse inputs that are no numbers, but for the condition of a choice."""
        for x in self.inputs[1:] if self.operator == "where" else self.inputs:
            lift(x)

    def __add__(self, other: Value) -> Expression:
        b = lift(other)
        if _is(self, 0.0):
            return b
        if _is(b, 0.0):
            return self
        if self.operator == "-x":
            return Expression("-", (b, self.inputs[0]))
        if b.operator == "-x":
            return Expression("-", (self, b.inputs[0]))
        return Expression("+", (self, b))

    def __radd__(self, other: Value) -> Expression:
        return lift(other) + self

    def __sub__(self, other: Value) -> Expression:
        b = lift(other)
        if _is(b, 0.0):
            return self
        if _is(self, 0.0):
            return -b
        if b.operator == "-x":
            return Expression("+", (self, b.inputs[0]))
        return Expression("-", (self, b))

    def __rsub__(self, other: Value) -> Expression:
        return lift(other) - self

    def __mul__(self, other: Value) -> Expression:
        b = lift(other)
        for factor, rest in ((self, b), (b, self)):
            if _is(factor, 0.0):
                return constant(0.0)
            if _is(factor, 1.0):
                return rest
            if _is(factor, -1.0):
                return -rest
        if self.operator == "-x":
            return -(self.inputs[0] * b)
        if b.operator == "-x":
            return -(self * b.inputs[0])
        return Expression("*", (self, b))

    def __rmul__(self, other: Value) -> Expression:
        return lift(other) * self

    def __truediv__(self, other: Value) -> Expression:
        divisor = lift(other)
        return self if _is(divisor, 1.0) else Expression("/", (self, divisor))

    def __rtruediv__(self, other: Value) -> Expression:
        return Expression("/", (lift(other), self))

    def __neg__(self) -> Expression:
        if self.operator == "constant":
            return constant(-self.number)
        return self.inputs[0] if self.operator == "-x" else Expression("-x", (self,))

    def __pow__(self, exponent: Value) -> Expression:
        if isinstance(exponent, Expression) or exponent not in (2, 3):
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

    def __bool__(self, _other: object = None) -> NoReturn:
        raise TypeError(
            "a text can't branch by `if`, `and`, `==` or `max`, for it stands for many neurons; "
            "use where(s.v > 0, a, b)"
        )

    # Python's own would compare identities, and a text would silently take one branch.
    __eq__ = __hash__ = __bool__

    def __float__(self, _digits: object = None) -> NoReturn:
        raise TypeError("a text can't take a number out of a state or a constant; use operators")

    __int__ = __round__ = __trunc__ = __float__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Expression:
        """Take operators of numpy's scalars, and refuse its other functions."""
        symbol = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}.get(ufunc.__name__)
        if method != "__call__" or symbol is None or len(inputs) != 2:
            raise TypeError(
                f"numpy.{ufunc.__name__} is no function of texts; those of snn_gym.program are "
                f"{', '.join(FUNCTIONS)}"
            )
        result: Expression = OPERATORS[symbol].compute(*(lift(x) for x in inputs))
        return result


def name(label: str) -> Expression:
    """Return the expression of a name, which stands for one number for each neuron."""
    return Expression("name", label=label)


def constant(number: float) -> Expression:
    """Return the expression of a number, which printed code rounds to float32."""
    return Expression("constant", number=float(number))


def lift(value: Value) -> Expression:
    """Return a number as a constant, an expression as it is; TypeError for others, bool too."""
    if isinstance(value, Expression):
        # The sum of two comparisons is 2 in C, and 1 of arrays.
        if value.operator in COMPARISONS:
            raise TypeError("a comparison is no number; use where(s.v > 0, 1.0, 0.0)")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise TypeError(f"a text computes with numbers and states, got {type(value).__name__}")
    return constant(float(value))


def _is(x: Expression, number: float) -> bool:
    return x.operator == "constant" and x.number == number


# ---- functions of texts --------------------------------------------------------------------------
def _torch_of(values: Iterable[Value]) -> Any:
    """Return PyTorch, which is loaded already, if a value is a tensor; else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and any(isinstance(x, torch.Tensor) for x in values) else None


def _apply(operator: str, function: str, *values: Value) -> Value:
    """Build a node if a value is an expression; else call a function of PyTorch or numpy."""
    if any(isinstance(x, Expression) for x in values):
        return Expression(operator, tuple(lift(x) for x in values))
    torch = _torch_of(values)
    if torch is None:
        return getattr(np, function)(*values)
    like = next(x for x in values if isinstance(x, torch.Tensor))
    tensors = (
        x if isinstance(x, torch.Tensor) else torch.as_tensor(x, dtype=like.dtype) for x in values
    )
    return getattr(torch, function)(*tensors)


def exp(x: Value) -> Value:
    """Return e to the power of ``x``."""
    return _apply("exp", "exp", x)


def exp_of_negative(x: Value) -> Value:
    """Return e to the power of ``x``, which is at most 0; compiled faster than ``exp``."""
    return _apply("exp_of_negative", "exp", x)


def log(x: Value) -> Value:
    """Return the natural logarithm of ``x``, which is above 0."""
    return _apply("log", "log", x)


def sqrt(x: Value) -> Value:
    """Return the square root of ``x``, which is above 0 (for its derivative)."""
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
    """Return ``x`` limited to the range from ``low`` to ``high``."""
    return minimum(maximum(x, low), high)


def where(condition: Value, a: Value, b: Value) -> Value:
    """Return ``a`` where a comparison holds, else ``b``.

    Args:
        condition: A comparison of two values.
        a: A value of a text.
        b: A value of a text.

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
COMPARISONS = (">", ">=")


# ---- operators -----------------------------------------------------------------------------------
_ONE, _ZERO = constant(1.0), constant(0.0)
Partials = Callable[[Expression], tuple[Expression, ...]]


@dataclass(frozen=True)
class Operator:
    """Derivatives of a node by each of its inputs, and the function on arrays or tensors."""

    partials: Partials
    compute: Callable[..., Value]


def _no_derivative(node: Expression) -> tuple[Expression, ...]:
    return tuple(_ZERO for _ in node.inputs)


def _choice_partials(is_first: Expression) -> tuple[Expression, ...]:
    """Return 1 for the input that a comparison chooses, first if it holds, and 0 for the other."""
    return where(is_first, _ONE, _ZERO), where(is_first, _ZERO, _ONE)


def _sign_partials(node: Expression) -> tuple[Expression, ...]:
    (x,) = node.inputs
    return (where(x > 0.0, _ONE, where(x < 0.0, constant(-1.0), _ZERO)),)


OPERATORS: dict[str, Operator] = {
    "+": Operator(lambda _: (_ONE, _ONE), lambda a, b: a + b),
    "-": Operator(lambda _: (_ONE, constant(-1.0)), lambda a, b: a - b),
    "*": Operator(lambda node: node.inputs[::-1], lambda a, b: a * b),
    "/": Operator(
        lambda node: (_ONE / node.inputs[1], -(node / node.inputs[1])), lambda a, b: a / b
    ),
    "-x": Operator(lambda _: (constant(-1.0),), lambda a: -a),
    "abs": Operator(_sign_partials, abs),
    "exp": Operator(lambda node: (node,), exp),
    "exp_of_negative": Operator(lambda node: (node,), exp_of_negative),
    "log": Operator(lambda node: (_ONE / node.inputs[0],), log),
    "sqrt": Operator(lambda node: (0.5 / node,), sqrt),
    "tanh": Operator(lambda node: (1.0 - node * node,), tanh),
    "minimum": Operator(lambda node: _choice_partials(node.inputs[1] > node.inputs[0]), minimum),
    "maximum": Operator(lambda node: _choice_partials(node.inputs[0] > node.inputs[1]), maximum),
    ">": Operator(_no_derivative, lambda a, b: a > b),
    ">=": Operator(_no_derivative, lambda a, b: a >= b),
    "where": Operator(lambda node: (_ZERO, *_choice_partials(node.inputs[0])), where),
}


# ---- graphs --------------------------------------------------------------------------------------
def walk(*roots: Expression) -> Iterator[Expression]:
    """Yield every node of expressions once, inputs first."""
    seen: set[int] = set()
    # A stack instead of recursion, whose depth Python limits.
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
    """Return the names in expressions, in order of first use."""
    return tuple(dict.fromkeys(node.label for node in walk(*roots) if node.operator == "name"))


def replace_names(expression: Expression, values: Mapping[str, Value]) -> Expression:
    """Return an expression with ``values`` in place of names; names without one remain."""
    results: dict[int, Expression] = {}
    for node in walk(expression):
        if node.operator == "name":
            results[id(node)] = lift(values.get(node.label, node))
        else:
            results[id(node)] = _rebuilt(node, tuple(results[id(x)] for x in node.inputs))
    return results[id(expression)]


def _rebuilt(node: Expression, inputs: tuple[Expression, ...]) -> Expression:
    """Return a node with other inputs: itself if they are the same, else simplified."""
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    if all(x.operator == "constant" for x in inputs) and node.operator in ("+", "-", "*"):
        return constant(OPERATORS[node.operator].compute(*(x.number for x in inputs)))
    if node.operator in ("+", "-", "*", "/", "-x"):  # whose methods simplify
        simplified: Expression = OPERATORS[node.operator].compute(*inputs)
        return simplified
    return Expression(node.operator, inputs)


def differentiate(expression: Expression, label: str) -> Expression:
    """Return the derivative of an expression by a name.

    Where it has none (a comparison, a corner) it is that of one side, as in PyTorch.
    """
    return tangent(expression, {label: _ONE})


def tangent(expression: Expression, directions: Mapping[str, Expression]) -> Expression:
    """Return the derivative of an expression if names change by ``directions``, others not."""
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
    """Compute expressions for ``values`` of all their names; compute shared nodes once."""
    roots, results = tuple(expressions), dict[int, Value]()
    for node in walk(*roots):
        if node.operator == "name":
            results[id(node)] = values[node.label]
        elif node.operator == "constant":
            results[id(node)] = float(np.float32(node.number))
        else:
            inputs = (results[id(x)] for x in node.inputs)
            results[id(node)] = OPERATORS[node.operator].compute(*inputs)
    return [results[id(root)] for root in roots]


# ---- printing ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Style:
    """Syntax of a language: templates of numbers, assignments, choices and functions."""

    constant: Callable[[float], str]
    assignment: str
    """Line that assigns ``{value}`` to ``{name}``."""
    where: str
    """Choice by ``{0}`` between ``{1}`` and ``{2}``."""
    functions: Mapping[str, str]
    """Name of the function of an operator."""
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lines of an operator that is no call: they compute ``{e}`` of ``{x}``; ``{r}`` is scratch."""


def print_lines(targets: Mapping[str, Expression], style: Style, spare: str = "t") -> Iterator[str]:
    """Yield lines of code that assign each expression to its name as ``own`` prints it.

    Nodes that are used more than once get lines of their own, with names ``spare`` and a number.
    """
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
            number, shared = len(texts), f"{spare}{len(texts)}"
            if node.operator in style.lines:
                for line in style.lines[node.operator]:
                    yield line.format(x=inputs[0], r=f"{spare}r{number}", e=shared)
                texts[id(node)] = shared
                continue
            texts[id(node)] = print_node(node, inputs, style)
            # A comparison is a choice's condition, not a number that a variable could hold.
            if node.inputs and uses.get(id(node), 0) > 1 and node.operator not in COMPARISONS:
                yield style.assignment.format(name=shared, value=texts[id(node)])
                texts[id(node)] = shared
        yield style.assignment.format(name=own(label), value=texts[id(root)])


def own(label: str) -> str:
    """Return a name with ``_`` behind, in which it differs from others in printed code."""
    return f"{label}_"


def print_node(node: Expression, inputs: Sequence[str], style: Style) -> str:
    """Return a node as code, from the code of its inputs."""
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
