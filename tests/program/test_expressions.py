"""Expressions against the text that they are of, and derivatives against PyTorch's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.program import expressions as e
from snn_gym.program.expressions import (
    Expression,
    constant,
    differentiate,
    evaluate,
    name,
    names_in,
    replace_names,
)

TEXTS = {
    "sum": lambda a, b: a + b - 2.0 * a, "product": lambda a, b: a * b * (1.0 - a),
    "quotient": lambda a, b: (a + 1.0) / (b * b + 1.0), "powers": lambda a, b: a**2 - b**3,
    "minus": lambda a, b: -(a * -b) - (-a), "abs": lambda a, b: abs(a - b),
    "exp": lambda a, b: e.exp(0.5 * a) * b, "falling": lambda a, b: e.exp_of_negative(-abs(a)) + b,
    "log": lambda a, b: e.log(a * a + 1.0) - b, "sqrt": lambda a, b: e.sqrt(a * a + b * b + 0.1),
    "tanh": lambda a, b: e.tanh(a * b), "minimum": lambda a, b: e.minimum(a, b) * a,
    "maximum": lambda a, b: e.maximum(a, 0.3 * b), "clip": lambda a, b: e.clip(a, -0.5, 0.5) + b,
    "where": lambda a, b: e.where(a > b, a * a, b),
    "below": lambda a, b: e.where(a < 0.0, b, e.where(a <= b, a, a * b)),
    "from above": lambda a, b: e.where(a >= b, a, b),
}  # fmt: skip
numbers = st.floats(-3.0, 3.0, width=32)


def graph_of(text):
    found = TEXTS[text](name("a"), name("b"))
    assert isinstance(found, Expression)
    return found


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=20)
@given(numbers, numbers)
def test_an_expression_computes_its_text(text, a, b):
    x, y = np.float32(a), np.float32(b)
    (found,) = evaluate([graph_of(text)], {"a": x, "b": y})
    assert found == pytest.approx(TEXTS[text](x, y), rel=1e-6, abs=1e-6)
    assert names_in(graph_of(text)) in (("a", "b"), ("b", "a"))


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=20)
@given(numbers, numbers)
def test_derivatives_equal_those_of_pytorch(text, a, b):
    if text in ("abs", "minimum", "falling", "maximum", "clip") and abs(a - b) * abs(a) < 1e-3:
        a, b = a + 0.37, b - 0.21  # away from corners
    if text == "clip" and abs(abs(a) - 0.5) < 1e-3:
        a *= 1.1
    given = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (a, b)]
    value = TEXTS[text](*given)
    expected = torch.autograd.grad(value, given, allow_unused=True, materialize_grads=True)
    for label, wanted in zip("ab", expected, strict=True):
        derivative = differentiate(graph_of(text), label)
        (found,) = evaluate([derivative], {"a": np.float64(a), "b": np.float64(b)})
        assert float(found) == pytest.approx(float(wanted), rel=1e-5, abs=1e-5)


def test_simplifications_are_exact():
    a = name("a")
    assert all(x is a for x in (a * 1.0, 1.0 * a, a + 0.0, 0.0 + a, a - 0.0, a / 1.0))
    assert all(x.operator == "-x" for x in (0.0 - a, a * -1.0, -1.0 * a, (-a) * name("b")))
    assert (0.0 * a).number == 0.0
    assert (a + (-name("b"))).operator == "-"
    assert (a - (-name("b"))).operator == "+"
    assert differentiate(a * name("b"), "c").number == 0.0


def test_names_are_replaced_and_constants_folded():
    z, v = name("z"), name("v")
    left = (1.0 - z) * v + z * name("reset")
    assert replace_names(left, {"z": 0.0}) is v
    assert replace_names(left, {"z": 1.0}).label == "reset"
    assert replace_names(left, {"w": 1.0}) is left
    assert names_in(replace_names(left, {"v": name("u") + 1.0})) == ("z", "u", "reset")


def test_a_value_that_a_text_uses_twice_is_one_node():
    jumped = name("i") + name("x")
    both = jumped * jumped + jumped
    nodes = list(e.walk(both))
    assert sum(node is jumped for node in nodes) == 1
    assert len(nodes) == 5


@pytest.mark.parametrize(("text", "message"), [
    (lambda a: a if a > 0 else -a, "can't branch by `if`, `and`, `==` or `max`.*; use where"),
    (lambda a: a if a == 0 else -a, "can't branch .*; use where"),
    (lambda a: a if a in (0, 1) else -a, "can't branch"),
    (lambda a: {0: -a}.get(a, a), "can't branch"),
    (lambda a: e.where(a == 0, -a, a), "can't branch"),
    (lambda a: max(a, 0.0), "can't branch"),
    (lambda a: -a if np.float32(0.0) == a else a, "numpy.equal is no function of texts"),
    (float, "can't take a number out of"),
    (lambda a: a**a, r"\*\* takes the exponents 2 and 3"),
    (lambda a: (a > 0) + (a > 1), "a comparison is no number; use where"),
    (lambda a: 1.0 - (a > 0), "a comparison is no number"),
    (lambda a: e.where(a > 0, a > 1, 0.0), "a comparison is no number"),
    (lambda a: a**0.5, r"\*\* takes the exponents 2 and 3, got 0.5"),
    (lambda a: a + "1", "computes with numbers and states, got str"),
    (lambda a: a * True, "computes with numbers and states, got bool"),
    (np.sin, "numpy.sin is no function of texts; those of snn_gym.program are abs, clip"),
    (lambda a: e.where(a, 1.0, 0.0), "where takes a comparison"),
])  # fmt: skip
def test_mistakes_are_named(text, message):
    with pytest.raises(TypeError, match=message):
        text(name("a"))


def test_numbers_of_numpy_take_part():
    a = name("a")
    found = np.float32(2.0) * a + np.float64(1.0)
    assert evaluate([found], {"a": np.float32(3.0)}) == [7.0]
    assert constant(2.0).number == 2.0
