"""Tests of surrogate gradients, against closed forms and numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from snn_gym.program.builtin_neurons import SURROGATES as DERIVATIVES
from snn_gym.program.neuron_kernels import surrogate_kernel
from snn_gym.spiking.layer_kernels import surrogate_derivative
from snn_gym.spiking.layer_neurons import spike
from tests.spiking.strategies import SURROGATES


def gradient_at(x, surrogate, slope):
    tensor = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    spike(tensor, surrogate, slope).sum().backward()
    return float(tensor.grad)


@pytest.mark.parametrize(
    ("surrogate", "at_threshold", "at_a_quarter"),
    [
        ("superspike", 1.0, 1.0 / (1.0 + 4.0 * 0.25) ** 2),
        ("arctan", 2.0, 2.0 / (1.0 + (math.pi / 2.0) ** 2)),
        ("triangle", 4.0, 3.0),
        ("sigmoid", 1.0, 4.0 * math.e / (1.0 + math.e) ** 2),
    ],
)
def test_derivative_by_hand_at_slope_four(surrogate, at_threshold, at_a_quarter):
    assert gradient_at(0.0, surrogate, 4.0) == pytest.approx(at_threshold)
    assert gradient_at(0.25, surrogate, 4.0) == pytest.approx(at_a_quarter)
    assert gradient_at(-0.25, surrogate, 4.0) == pytest.approx(at_a_quarter)


@pytest.mark.parametrize("surrogate", ["arctan", "sigmoid"])
def test_derivatives_of_sigmoidal_surrogates_integrate_to_1(surrogate):
    area, _ = quad(lambda x: gradient_at(x, surrogate, 3.0), -200.0, 200.0, points=[0.0], limit=200)
    assert area == pytest.approx(1.0, abs=2e-3)


def compiled_at(distances, surrogate, slope):
    found = torch.empty_like(distances)
    kernel = surrogate_kernel(surrogate).address
    surrogate_derivative(kernel, np.float32(slope), distances.numpy(), found.numpy())
    return found


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("slope", [0.5, 2.0, 25.0])
def test_compiled_derivative_equals_torch(surrogate, slope):
    distances = torch.linspace(-21.0, 21.0, 4001)
    exact = DERIVATIVES[surrogate](distances.double(), slope)
    compiled = compiled_at(distances, surrogate, slope)
    torch.testing.assert_close(compiled.double(), exact, rtol=2e-5, atol=1e-7)


def test_the_compiled_exponential_is_as_exact_as_its_polynomial():
    # Far out the sigmoid's derivative is exp(-|x|), to 1e-15. Of exp(-|x| / 64) the terms up to
    # the 7th power are summed; what is left out alternates and falls, so that it is smaller than
    # its first term. The 64th power makes 64 times as much of it, and of the rounding.
    x = torch.linspace(36.0, 40.0, 2001)
    compiled = compiled_at(x, "sigmoid", 1.0)
    away = x.double()
    r = away / 64.0
    left_out = 64.0 * r**8 / math.factorial(8) * torch.exp(r)
    rounding = 2.0 * 64.0 * 2.0**-24
    assert ((compiled.double() * torch.exp(away) - 1.0).abs() < left_out + rounding).all()


def test_second_derivative_equals_autograd():
    x = torch.tensor([0.3, -0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda y: DERIVATIVES["sigmoid"](y, 3.0), (x,))
    (first,) = torch.autograd.grad(spike(x, "sigmoid", 3.0).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    y = x.detach().clone().requires_grad_()
    (expected,) = torch.autograd.grad(DERIVATIVES["sigmoid"](y, 3.0).sum(), y)
    assert torch.equal(second, expected)


def test_unknown_surrogate_is_named():
    with pytest.raises(ValueError, match=r"'relu' is unknown; known: superspike, arctan"):
        spike(torch.zeros(1), "relu", 1.0)
