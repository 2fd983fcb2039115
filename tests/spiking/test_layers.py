"""Fused kernels against Norse's own step functions and against automatic differentiation."""

from __future__ import annotations

import norse.torch as norse
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.program.neurons import (
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
    NeuronParameters,
)
from snn_gym.spiking.layer_neurons import LayerNeurons, make_neurons
from snn_gym.spiking.layers import run_fused
from tests.spiking.strategies import NAMES, SURROGATES, neuron_parameters, normal

DT_MS = 1.0
shapes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 40))  # T, B, N


def neuron_of(
    parameters: NeuronParameters, surrogate: str = "superspike", slope: float = 2.0
) -> LayerNeurons:
    return make_neurons(NAMES[type(parameters)], parameters, DT_MS, surrogate, slope)


def norse_constants(parameters: NeuronParameters) -> dict[str, torch.Tensor]:
    """The parameters of a neuron as Norse names them."""
    constants = {"v_th": parameters.v_threshold, "v_reset": parameters.v_reset}
    if not isinstance(parameters, IAFParameters):
        constants["v_leak"] = parameters.v_leak
        constants["tau_mem_inv"] = 1000.0 / parameters.tau_mem_ms
    if isinstance(parameters, LIFParameters | ALIFParameters):
        constants["tau_syn_inv"] = 1000.0 / parameters.tau_syn_ms
    if isinstance(parameters, ALIFParameters):
        constants["tau_adapt_inv"] = 1000.0 / parameters.tau_adapt_ms
        constants["beta"] = parameters.beta
    return {name: torch.tensor(value) for name, value in constants.items()}


def norse_cell(parameters: NeuronParameters, method: str = "super", alpha: float = 1.0):
    """Norse's own cell, with its own threshold and reset."""
    cell, kind = {
        IAFParameters: (norse.IAFCell, norse.IAFParameters),
        LIFBoxParameters: (norse.LIFBoxCell, norse.LIFBoxParameters),
        LIFParameters: (norse.LIFCell, norse.LIFParameters),
        ALIFParameters: (norse.LSNNCell, norse.LSNNParameters),
    }[type(parameters)]
    constants = norse_constants(parameters)
    return cell(kind(**constants, method=method, alpha=alpha), dt=DT_MS / 1000)


def norse_state(parameters: NeuronParameters, state):
    if isinstance(parameters, IAFParameters):
        return norse.IAFFeedForwardState(*state)
    if isinstance(parameters, LIFBoxParameters):
        return norse.LIFBoxFeedForwardState(*state)
    if isinstance(parameters, ALIFParameters):
        return norse.LSNNFeedForwardState(*state)
    return norse.LIFFeedForwardState(*state)


def random_state(
    neuron: LayerNeurons, batch: int, size: int, seed: int
) -> tuple[torch.Tensor, ...]:
    return tuple(
        normal(seed + 17 * k, batch, size, scale=0.3, shift=rest)
        for k, rest in enumerate(neuron.rest)
    )


@st.composite
def drives(draw: st.DrawFn, largest: float) -> tuple[int, torch.Tensor, int]:
    """Draw time steps T, currents (T, B, N) or constant ones (1, B, N), and their seed."""
    (time_steps, batch, size), seed = draw(shapes), draw(st.integers(0, 2**31))
    scale, steps = draw(st.floats(0.1, largest)), 1 if draw(st.booleans()) else time_steps
    return time_steps, normal(seed, steps, batch, size, scale=scale, shift=0.5), seed


@settings(max_examples=150, deadline=None)
@given(neuron_parameters(), drives(5.0))
def test_spikes_and_voltages_equal_norse_bit_for_bit(
    parameters: NeuronParameters, drive: tuple[int, torch.Tensor, int]
) -> None:
    time_steps, currents, seed = drive
    steps, batch, size = currents.shape
    neuron = neuron_of(parameters)
    start = random_state(neuron, batch, size, seed)
    spikes, voltages, final, _ = run_fused(neuron, currents, start, time_steps)

    cell, state = norse_cell(parameters), norse_state(parameters, start)
    for t in range(time_steps):
        z, state = cell(currents[t % steps], state)
        assert torch.equal(spikes[t], z)
        after_reset = torch.where(spikes[t] > 0, torch.tensor(parameters.v_reset), voltages[t])
        assert torch.equal(after_reset, state.v)
    for ours, theirs in zip(final, state, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "parameters",
    [
        LIFBoxParameters(),
        LIFParameters(),
        IAFParameters(),
        ALIFParameters(beta=0.5),
    ],
)
@pytest.mark.parametrize(("surrogate", "method", "slope"), [
    ("triangle", "triangle", 0.3),
    ("triangle", "triangle", 2.5),
    # Norse 1.1.0 ignores the slope of `super`: it is right at slope 1 alone.
    ("superspike", "super", 1.0),
])  # fmt: skip
def test_gradient_equals_norses_where_norse_is_right(
    parameters: NeuronParameters, surrogate: str, method: str, slope: float
) -> None:
    neuron = neuron_of(parameters, surrogate, slope)
    ours = normal(3, 6, 4, 5, shift=0.6).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    weights = normal(4, 6, 4, 5)
    spikes, _, _, _ = run_fused(neuron, ours, neuron.initial_state(4, 5, ours), 6)
    (spikes * weights).sum().backward()
    cell = norse_cell(parameters, method, slope)
    state = norse_state(parameters, neuron.initial_state(4, 5, theirs))
    total = torch.zeros(())
    for t in range(6):
        z, state = cell(theirs[t], state)
        total = total + (z * weights[t]).sum()
    total.backward()
    assert float(ours.grad.abs().max()) > 0.01
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_norse_ignores_the_slope_of_super_and_ours_does_not() -> None:
    x = normal(0, 1, 1, 50, shift=0.5)
    for slope, differs in ((1.0, False), (10.0, True)):
        neuron = neuron_of(LIFBoxParameters(), "superspike", slope)
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        run_fused(neuron, ours, neuron.initial_state(1, 50, ours), 1)[0].sum().backward()
        cell = norse_cell(LIFBoxParameters(), "super", slope)
        cell(theirs[0], norse.LIFBoxFeedForwardState(torch.zeros(1, 50)))[0].sum().backward()
        assert (not torch.allclose(ours.grad, theirs.grad, rtol=1e-3)) == differs


@settings(max_examples=30, deadline=None)
@given(neuron_parameters(), st.integers(0, 2**31), st.sampled_from(SURROGATES), st.booleans())
def test_second_derivatives_equal_the_stepped_path(
    parameters: NeuronParameters, seed: int, surrogate: str, constant: bool
) -> None:
    neuron = neuron_of(parameters, surrogate, 2.0)
    results = []
    for run in (run_fused, LayerNeurons.run_stepped):
        weight = normal(seed, 3, 6).requires_grad_()
        x = normal(seed + 1, 1 if constant else 5, 4, 3, shift=0.5)
        start = neuron.initial_state(4, 6, x)
        spikes, voltages, _, _ = run(neuron, x @ weight, start, 5)
        loss = (spikes.mean(0) + 0.1 * voltages.mean(0)).square().sum()
        (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
        direction = normal(seed + 2, 3, 6)
        (product,) = torch.autograd.grad((gradient * direction).sum(), weight)
        results.append((gradient.detach(), product))
    for fused, stepped in zip(*results, strict=True):
        torch.testing.assert_close(fused, stepped, rtol=1e-4, atol=1e-5)


def test_a_literal_voltage_trace() -> None:
    # tau_mem = 2 ms at dt = 1 ms halves the distance to the input at every step:
    # 0 -> 0.75 -> 1.125, over the threshold, reset -> 0.75 -> 1.125, reset -> 0.75
    neuron = neuron_of(LIFBoxParameters(tau_mem_ms=2.0))
    spikes, voltages, (final,), _ = run_fused(
        neuron, torch.full((1, 1, 1), 1.5), (torch.zeros(1, 1),), 5
    )
    assert voltages.flatten().tolist() == [0.75, 1.125, 0.75, 1.125, 0.75]
    assert spikes.flatten().tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert final.item() == 0.75


def test_a_literal_trace_of_the_current_based_lif() -> None:
    # tau_mem = tau_syn = 2 ms, input 2 in the first step only. v moves half-way to i, which the
    # input jumps before and which halves after: i = 2, 1, 0.5; v = 1 (not above 1), 1, 0.75.
    neuron = neuron_of(LIFParameters(tau_mem_ms=2.0, tau_syn_ms=2.0))
    currents = torch.tensor([2.0, 0.0, 0.0]).reshape(3, 1, 1)
    spikes, voltages, (v, i), _ = run_fused(
        neuron, currents, (torch.zeros(1, 1), torch.zeros(1, 1)), 3
    )
    assert voltages.flatten().tolist() == [1.0, 1.0, 0.75]
    assert spikes.flatten().tolist() == [0.0, 0.0, 0.0]
    assert (v.item(), i.item()) == (0.75, 0.25)


def test_a_literal_trace_of_the_integrator_with_negative_reset() -> None:
    neuron = neuron_of(IAFParameters(v_threshold=1.0, v_reset=-0.5))
    currents = torch.tensor([0.5, 0.5, 0.25, 1.5]).reshape(4, 1, 1)
    spikes, voltages, (v,), _ = run_fused(neuron, currents, (torch.zeros(1, 1),), 4)
    # 0.5, 1.0 (not above the threshold), 1.25 fires, -0.5 + 1.5 = 1.0
    assert voltages.flatten().tolist() == [0.5, 1.0, 1.25, 1.0]
    assert spikes.flatten().tolist() == [0.0, 0.0, 1.0, 0.0]
    assert v.item() == 1.0


def test_a_literal_trace_of_the_adaptive_lif() -> None:
    # All gains are 1/2 and the input is 4 at every step, which the potential feels a step later:
    # i = 4, 6, 7; v = 0, 2 (fires, reset), 3 (fires) over thresholds b = 1, 1, 1 + 1/2.
    neuron = neuron_of(ALIFParameters(tau_mem_ms=2.0, tau_syn_ms=2.0, tau_adapt_ms=2.0, beta=1.0))
    start = neuron.initial_state(1, 1, torch.zeros(()))
    spikes, voltages, (v, i, b), _ = run_fused(neuron, torch.full((1, 1, 1), 4.0), start, 3)
    assert voltages.flatten().tolist() == [0.0, 2.0, 3.0]
    assert spikes.flatten().tolist() == [0.0, 1.0, 1.0]
    thresholds = neuron.thresholds(spikes, start)
    assert isinstance(thresholds, torch.Tensor)
    assert thresholds.flatten().tolist() == [1.0, 1.0, 1.5]
    assert (v.item(), i.item(), b.item()) == (0.0, 7.0, 2.5)


def test_thresholds_are_what_the_potentials_were_compared_with() -> None:
    neuron = neuron_of(ALIFParameters(beta=0.5))
    start = random_state(neuron, 4, 5, 0)
    spikes, voltages, _, _ = run_fused(neuron, normal(1, 7, 4, 5, scale=2.0, shift=1.0), start, 7)
    assert 0.1 < float(spikes.mean()) < 0.9
    assert torch.equal((voltages > neuron.thresholds(spikes, start)).float(), spikes)
    assert neuron_of(LIFParameters(v_threshold=0.75)).thresholds(spikes, start) == 0.75
