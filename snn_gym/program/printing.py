"""Printing of expressions as lines of a language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from snn_gym.program.expressions import COMPARISONS, Expression, walk


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
    """Yield assignments that compute expressions, what they share once.

    Args:
        targets: Expressions by the name that each is assigned to, in order. One that is assigned
            may be used by those after it, by name.
        style: The language.
        spare: How the names of shared parts begin.
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
    """Return a name of a text as printed, which none of the printed code's own names is.

    Args:
        label: The name.
    """
    return f"{label}_"


def print_node(node: Expression, inputs: Sequence[str], style: Style) -> str:
    """Return a node as text.

    Args:
        node: The node.
        inputs: The texts of its inputs.
        style: The language.
    """
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
