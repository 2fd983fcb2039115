"""Tests of fused kernels, against Norse's step functions and automatic differentiation."""

from __future__ import annotations

import norse.torch as norse
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.program.builtin_neurons import (
    NEURONS,
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
)
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.spiking_layer import run_fused
from tests.spiking.strategies import NAMES, neuron_parameters, normal

DT_MS = 1.0
shapes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 40))  # T, B, N


def neuron_of(parameters, surrogate="superspike", slope=2.0):
    return LayerNeurons(NEURONS[NAMES[type(parameters)]], parameters, DT_MS, surrogate, slope)


def norse_constants(parameters):
    """Return the parameters of a neuron by Norse's names."""
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


def norse_cell(parameters, method="super", alpha=1.0):
    """Return Norse's cell with its threshold and reset."""
    cell, kind = {
        IAFParameters: (norse.IAFCell, norse.IAFParameters),
        LIFBoxParameters: (norse.LIFBoxCell, norse.LIFBoxParameters),
        LIFParameters: (norse.LIFCell, norse.LIFParameters),
        ALIFParameters: (norse.LSNNCell, norse.LSNNParameters),
    }[type(parameters)]
    constants = norse_constants(parameters)
    return cell(kind(**constants, method=method, alpha=alpha), dt=DT_MS / 1000)


def norse_state(parameters, state):
    if isinstance(parameters, IAFParameters):
        return norse.IAFFeedForwardState(*state)
    if isinstance(parameters, LIFBoxParameters):
        return norse.LIFBoxFeedForwardState(*state)
    if isinstance(parameters, ALIFParameters):
        return norse.LSNNFeedForwardState(*state)
    return norse.LIFFeedForwardState(*state)


def random_state(neuron, batch, size, seed):
    return tuple(
        normal(seed + 17 * k, batch, size, scale=0.3, shift=rest)
        for k, rest in enumerate(neuron.rest)
    )


@st.composite
def drives(draw, largest):
    """Draw time steps T, currents (T, B, N) or constant ones (1, B, N), and their seed."""
    (time_steps, batch, size), seed = draw(shapes), draw(st.integers(0, 2**31))
    scale, steps = draw(st.floats(0.1, largest)), 1 if draw(st.booleans()) else time_steps
    return time_steps, normal(seed, steps, batch, size, scale=scale, shift=0.5), seed


@settings(max_examples=40, deadline=None)
@given(neuron_parameters(), drives(5.0))
def test_spikes_and_voltages_equal_norse_bit_for_bit(parameters, drive):
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
    "parameters", [LIFBoxParameters(), LIFParameters(), IAFParameters(), ALIFParameters(beta=0.5)]
)
@pytest.mark.parametrize(("surrogate", "method", "slope"), [
    ("triangle", "triangle", 0.3),
    ("triangle", "triangle", 2.5),
    # Norse 1.1.0 ignores the slope of `super`: it is right at slope 1 alone.
    ("superspike", "super", 1.0),
])  # fmt: skip
def test_gradient_equals_norses_where_norse_is_right(parameters, surrogate, method, slope):
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


@pytest.mark.parametrize(
    ("parameters", "currents", "voltages", "final"),
    [
        # tau_mem = 2 ms at dt = 1 ms halves the distance to the input at every step.
        (LIFBoxParameters(tau_mem_ms=2.0), [1.5] * 5, [0.75, 1.125, 0.75, 1.125, 0.75], [0.75]),
        # v moves half-way to i, which the input jumps before and which halves after: i = 2, 1, 0.5.
        (
            LIFParameters(tau_mem_ms=2.0, tau_syn_ms=2.0),
            [2.0, 0.0, 0.0],
            [1.0, 1.0, 0.75],
            [0.75, 0.25],
        ),
        # 0.5, 1.0 (not above the threshold), 1.25 fires, -0.5 + 1.5 = 1.0
        (
            IAFParameters(v_threshold=1.0, v_reset=-0.5),
            [0.5, 0.5, 0.25, 1.5],
            [0.5, 1.0, 1.25, 1.0],
            [1.0],
        ),
        # All gains are 1/2, and the potential feels the input a step later: i = 4, 6, 7; v = 0, 2
        # (fires, reset), 3 (fires) over thresholds b = 1, 1, 1 + 1/2.
        (
            ALIFParameters(tau_mem_ms=2.0, tau_syn_ms=2.0, tau_adapt_ms=2.0, beta=1.0),
            [4.0] * 3,
            [0.0, 2.0, 3.0],
            [0.0, 7.0, 2.5],
        ),
    ],
    ids=lambda value: NAMES.get(type(value), ""),
)
def test_literal_traces(parameters, currents, voltages, final):
    neuron, inputs = neuron_of(parameters), torch.tensor(currents).reshape(-1, 1, 1)
    start = neuron.initial_state(1, 1, inputs)
    run = run_fused(neuron, inputs, start, len(currents))
    assert run.voltages.flatten().tolist() == voltages
    thresholds = (
        [1.0, 1.0, 1.5] if isinstance(parameters, ALIFParameters) else [1.0] * len(voltages)
    )
    assert (
        torch.as_tensor(neuron.thresholds(run.spikes, start))
        .expand(len(voltages), 1, 1)
        .flatten()
        .tolist()
        == thresholds
    )
    fired = [float(v > threshold) for v, threshold in zip(voltages, thresholds, strict=True)]
    assert run.spikes.flatten().tolist() == fired
    assert [x.item() for x in run.final] == final
