"""Tests of decoders, against closed forms and Norse's leaky integrators."""

from __future__ import annotations

import norse.torch as norse
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking.decoders import PopulationHead, make_decoder, make_head
from snn_gym.spiking.network_config import (
    LastVoltageParameters,
    MeanRateParameters,
    PopulationDecoderParameters,
)
from tests.spiking.strategies import normal


def last_voltage(tau_mem_ms, tau_syn_ms, time_steps):
    return make_decoder(LastVoltageParameters(tau_mem_ms, tau_syn_ms), 1.0, time_steps)


def random_spikes(seed, *shape):
    return (normal(seed, *shape) > 0).float()


def test_mean_rate_is_the_mean_and_has_no_state():
    decoder = make_decoder(MeanRateParameters(), 1.0, 4)
    spikes = torch.tensor([1.0, 0.0, 1.0, 1.0]).reshape(4, 1, 1)
    output, state = decoder(spikes, None)
    assert output.item() == 0.75
    assert state.shape == (0, 1, 1)


def test_a_constant_input_charges_the_leaky_integrator_by_its_closed_form():
    # v_T = 1 - (1 - dt / tau)^T for a spike in every time step
    for tau_ms, time_steps in ((2.0, 16), (5.0, 3), (1.0, 7)):
        output, _ = last_voltage(tau_ms, 0.0, time_steps)(torch.ones(time_steps, 1, 1), None)
        assert output.item() == pytest.approx(1.0 - (1.0 - 1.0 / tau_ms) ** time_steps, abs=1e-6)


def test_one_spike_decays_by_its_closed_form():
    # v_T = (dt / tau) (1 - dt / tau)^(T - 1 - t) for one spike at t
    for t in range(5):
        spikes = torch.zeros(5, 1, 1)
        spikes[t] = 1.0
        output, _ = last_voltage(4.0, 0.0, 5)(spikes, None)
        assert output.item() == pytest.approx(0.25 * 0.75 ** (4 - t), abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1.0, 20.0), st.floats(1.0, 20.0), st.booleans(), st.integers(1, 20),
    st.integers(0, 2**31),
)  # fmt: skip
def test_equals_norses_integrator_driven_by_the_same_spikes(
    tau_mem_ms, tau_syn_ms, current_based, time_steps, seed
):
    decoder = last_voltage(tau_mem_ms, tau_syn_ms if current_based else 0.0, time_steps)
    spikes = random_spikes(seed, time_steps, 3, 4)
    start = normal(seed, decoder.state_variables, 3, 4)
    output, final = decoder(spikes, start)
    mem, syn = torch.tensor(1000.0 / tau_mem_ms), torch.tensor(1000.0 / tau_syn_ms)
    if current_based:
        cell = norse.LICell(norse.LIParameters(tau_syn_inv=syn, tau_mem_inv=mem), dt=0.001)
        state = norse.LIState(v=start[0], i=start[1])
    else:
        cell = norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=mem), dt=0.001)
        state = norse.LIBoxState(v=start[0])
    for t in range(time_steps):
        v, state = cell(spikes[t], state)
    torch.testing.assert_close(output, v, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(final, state, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_commutes_with_a_linear_head():
    decoder = last_voltage(3.0, 2.0, 6)
    spikes, weight = random_spikes(0, 6, 5, 7), normal(1, 2, 7)
    before, _ = decoder(spikes @ weight.T, None)
    after, _ = decoder(spikes, None)
    torch.testing.assert_close(before, after @ weight.T, rtol=1e-5, atol=1e-5)


def test_a_population_head_by_hand():
    head = make_head(PopulationDecoderParameters(2), 4, 2)
    assert isinstance(head, PopulationHead)
    head.weight.data.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    head.bias.data.copy_(torch.tensor([0.5, -0.5]))
    # outputs: 1 * 0.25 + 2 * 0.5 + 0.5 and 3 * 1 + 4 * 0 - 0.5
    assert head(torch.tensor([[0.25, 0.5, 1.0, 0.0]])).tolist() == [[1.75, 2.5]]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**20))
def test_a_population_head_is_a_grouped_convolution(outputs, neurons, batch, seed):
    torch.manual_seed(seed)
    head = PopulationHead(outputs, neurons)
    assert float(head.weight.abs().max()) <= neurons**-0.5
    convolution = torch.nn.Conv1d(outputs, outputs, neurons, groups=outputs)
    convolution.weight.data.copy_(head.weight.unsqueeze(1))
    convolution.bias.data.copy_(head.bias)
    rates = normal(seed, batch, outputs * neurons)
    expected = convolution(rates.view(batch, outputs, neurons)).squeeze(-1)
    torch.testing.assert_close(head(rates), expected, rtol=1e-5, atol=1e-5)


def test_heads_by_decoder():
    for decoder in (MeanRateParameters(), LastVoltageParameters()):
        head = make_head(decoder, 7, 3)
        assert type(head) is torch.nn.Linear
        assert (head.in_features, head.out_features) == (7, 3)
    with pytest.raises(ValueError, match="3 outputs reads 30 features, got 64; build the network"):
        make_head(PopulationDecoderParameters(), 64, 3)
    with pytest.raises(ValueError, match="neurons_per_output must be at least 1, got 0"):
        PopulationDecoderParameters(0)
