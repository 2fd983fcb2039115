"""Tests of gradients without the path through recurrent spikes: autograd, and e-prop by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snn_gym.spiking import ALIFParameters
from snn_gym.spiking.layer_neurons import Breaks, LayerNeurons
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import run_fused
from tests.spiking.strategies import NAMES, SURROGATE_OF, neuron_parameters, normal
from tests.spiking.test_layers import neuron_of
from tests.spiking.test_recurrent import start_of, weight_of
from tests.spiking.test_sequence import BUILT_IN, build, carried, inputs_of, shapes, starts_of


def detached_run(neuron, currents, state, time_steps, weight, breaks):
    """Spikes and final state of a layer, stepped by autograd with recurrent spikes detached."""
    rest = (*neuron.initial_state(*currents.shape[1:], currents), torch.zeros_like(currents[0]))
    spikes = []
    for k, inputs in enumerate(currents.chunk(len(breaks.starts))):
        started = breaks.starts[k].unsqueeze(1)
        state = tuple(torch.where(started, r, x) for r, x in zip(rest, state, strict=True))
        for t in range(time_steps):
            *inner, z = state
            drive = inputs[min(t, len(inputs) - 1)] + z.detach() @ weight.t()
            z, _, new = neuron.step(drive, tuple(inner))
            state = (*new, z)
            spikes.append(z)
    return torch.stack(spikes), state


@settings(max_examples=10, deadline=None)
@given(
    neuron_parameters(), shapes, st.integers(0, 2**31), st.booleans())  # fmt: skip
def test_both_paths_equal_autograd_with_recurrent_spikes_detached(parameters, shape, seed, held):
    rounds, batch, time_steps, size = shape
    neuron = neuron_of(parameters, SURROGATE_OF[NAMES[type(parameters)]], 2.0)
    breaks = Breaks(starts_of(rounds, batch, seed), recurrent_gradient=False)
    gradients, fired = [], []
    for path in (detached_run, LayerNeurons.run_stepped, run_fused):
        steps = rounds if held else rounds * time_steps
        currents = normal(seed, steps, batch, size, shift=0.5).requires_grad_()
        weight = weight_of(size, seed + 2, 0.5).requires_grad_()
        state = tuple(x.requires_grad_() for x in start_of(neuron, batch, size, seed))
        run = path(neuron, currents, state, time_steps, weight, breaks)
        spikes, final = run if path is detached_run else (run.spikes, run.final)
        loss = (spikes * normal(seed + 1, *spikes.shape)).sum()
        loss = loss + sum(((k + 1) * x).sum() for k, x in enumerate(final))
        gradients.append(
            torch.autograd.grad(loss, (currents, weight, *state), materialize_grads=True)
        )
        fired.append(spikes.detach())
    assume(torch.equal(fired[0], fired[2]))  # the sum over recurrent weights has another order
    tolerance = 2e-5 * max(1.0, *(float(x.abs().max()) for x in gradients[0]))
    for expected, stepped, fused in zip(*gradients, strict=True):
        torch.testing.assert_close(stepped, expected, rtol=1e-4, atol=tolerance)
        torch.testing.assert_close(fused, expected, rtol=1e-4, atol=tolerance)
    assert not gradients[2][-1].any()  # nothing reaches the spikes of the step before


X = (1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0)
"""Spikes of the one input."""
W, R = (0.8, 0.5), ((0.2, 0.6), (0.7, -0.3))
"""Weights of the input, and recurrent ones, row j onto neuron j."""
C = ((0.3, -0.7), (1.1, 0.4), (-0.2, 0.6), (0.9, 0.5), (0.8, -1.0), (-0.4, 0.7), (0.5, 0.3), (1, 2))
"""Learning signals: the loss is the sum of them times the spikes."""


def eprop_by_hand():
    """Spikes, and gradients of input and recurrent weights, by the eligibility vectors.

    Two ALIF neurons with a potential v, a current i and a threshold b, each with dt / tau = 1/2 for
    v, 1/4 for i and 1/8 for b; a hard reset to 0; thresholds 0.5 at rest, 0.25 higher after a
    spike; the surrogate 1 / (2 |x| + 1)^2. For a synapse of the signal x into a neuron,

        v' = v + (i - v) / 2,  h = b + (0.5 - b) / 8,  z = [v' > h]
        d v' = d v / 2 + d i / 2,  d h = 7/8 d b,  e = psi (d v' - d h)
        d i <- 3/4 d i + x,  d v <- (1 - z) d v' - v' e,  d b <- d h + 0.25 e

    and the gradient is the sum over time of learning signal times e (Bellec et al. 2020, equation
    1; there the reset is left out of d v).
    """
    v, i, b, z = [0.0, 0.0], [0.0, 0.0], [0.5, 0.5], [0.0, 0.0]
    d = {(j, k): [0.0, 0.0, 0.0] for j in (0, 1) for k in (0, 1, 2)}  # k = 2: the input
    gradient, fired = dict.fromkeys(d, 0.0), []
    for x, signals in zip(X, C, strict=True):
        before = z
        sources, z = (*before, x), [0.0, 0.0]
        for j in (0, 1):
            potential = v[j] + 0.5 * (i[j] - v[j])
            threshold = b[j] + 0.125 * (0.5 - b[j])
            z[j] = float(potential > threshold)
            psi = 1.0 / (2.0 * abs(potential - threshold) + 1.0) ** 2
            for k, source in enumerate(sources):
                dv, di, db = d[j, k]
                dv, dh = 0.5 * dv + 0.5 * di, 0.875 * db
                e = psi * (dv - dh)
                gradient[j, k] += signals[j] * e
                d[j, k] = [(1 - z[j]) * dv - potential * e, 0.75 * di + source, dh + 0.25 * e]
            i[j] = 0.75 * i[j] + W[j] * x + R[j][0] * before[0] + R[j][1] * before[1]
            v[j] = (1 - z[j]) * potential
            b[j] = threshold + 0.25 * z[j]
        fired.append(z)
    return (
        fired,
        [gradient[j, 2] for j in (0, 1)],
        [[gradient[j, k] for k in (0, 1)] for j in (0, 1)],
    )


def tiny(stepped, recurrent_gradient):
    """Return the same by the kernels or by autograd."""
    parameters = ALIFParameters(
        tau_mem_ms=2.0, tau_syn_ms=4.0, tau_adapt_ms=8.0, v_threshold=0.5, beta=0.25
    )
    neuron = neuron_of(parameters, "superspike", 2.0)
    breaks = Breaks(torch.zeros((1, 1), dtype=torch.bool), recurrent_gradient)
    weight = torch.tensor(W).requires_grad_()
    recurrent = torch.tensor(R).requires_grad_()
    currents = torch.tensor(X).view(-1, 1, 1) * weight
    state = (*neuron.initial_state(1, 2, currents), torch.zeros(1, 2))
    run = type(neuron).run_stepped if stepped else run_fused
    done = run(neuron, currents, state, len(X), recurrent, breaks)
    (done.spikes * torch.tensor(C).unsqueeze(1)).sum().backward()
    return done.spikes[:, 0], weight.grad, recurrent.grad


@pytest.mark.parametrize("stepped", [False, True])
def test_gradient_equals_eligibility_vectors_by_hand(stepped):
    fired, by_input, by_recurrence = eprop_by_hand()
    assert 3 <= sum(map(sum, fired)) <= 12
    spikes, weight, recurrent = tiny(stepped, recurrent_gradient=False)
    assert spikes.tolist() == fired
    torch.testing.assert_close(weight, torch.tensor(by_input), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(recurrent, torch.tensor(by_recurrence), rtol=1e-5, atol=1e-6)
    _, through_time, _ = tiny(stepped, recurrent_gradient=True)
    assert not torch.allclose(through_time, weight, rtol=0.05)


@pytest.mark.parametrize(
    ("neuron", "decoder"), list(zip(BUILT_IN, ["mean_rate", "last_voltage"] * 2, strict=True))
)
def test_network_option_changes_gradients_and_not_decisions(neuron, decoder):
    found = {}
    for backend in ("auto", "norse"):
        config = NetworkConfig(
            (12,), 4, neuron=neuron, recurrent=True, decoder=decoder, backend=backend
        )
        network = build(config)
        inputs, starts, state = inputs_of(network, 5, 3), starts_of(5, 3), carried(network, 3)
        for through in (True, False):
            outputs, _ = network.sequence(inputs, state, starts, recurrent_gradient=through)
            loss = (outputs * normal(7, *outputs.shape)).sum()
            gradient = torch.autograd.grad(loss, list(network.parameters()))
            found[backend, through] = (outputs.detach(), *gradient)
    assert torch.equal(found["auto", True][0], found["auto", False][0])
    for ours, stepped in zip(found["auto", False], found["norse", False], strict=True):
        torch.testing.assert_close(ours, stepped, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(found["auto", True][1], found["auto", False][1], rtol=1e-2)


@pytest.mark.parametrize("backend", ["auto", "norse"])
def test_feed_forward_layers_keep_all_gradients(backend):
    network = build(NetworkConfig((6,), 4, neuron="lif", backend=backend))
    inputs, starts = inputs_of(network, 3, 2), starts_of(3, 2)
    gradients = []
    for recurrent_gradient in (True, False):
        outputs, _ = network.sequence(inputs, None, starts, recurrent_gradient=recurrent_gradient)
        gradients.append(torch.autograd.grad(outputs.sum(), network.layers[0].linear.weight)[0])
    assert torch.equal(*gradients)
