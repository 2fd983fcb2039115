"""Tests of neuron equations, against Norse's step functions."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from norse.torch.functional.lsnn import LSNNFeedForwardState, LSNNParameters, lsnn_feed_forward_step

from snn_gym.program.builtin_neurons import NEURONS, ALIFParameters
from snn_gym.spiking.layer_neurons import LayerNeurons
from tests.spiking.strategies import NAMES, neuron_parameters, normal


@given(
    neuron_parameters(),
    st.floats(0.1, 5.0),
    st.integers(0, 1000),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_integration_equals_norse_bit_for_bit(parameters, dt_ms, seed, dtype):
    ours, theirs = (
        LayerNeurons(
            NEURONS[NAMES[type(parameters)]],
            parameters,
            dt_ms,
            "superspike",
            10.0,
            by_norse=by_norse,
        )
        for by_norse in (False, True)
    )
    draw = torch.Generator().manual_seed(seed)
    shape = (len(ours.state_names), 3, 7)
    state = tuple(torch.randn(shape, generator=draw, dtype=dtype))
    current = torch.randn(shape[1:], generator=draw, dtype=dtype)
    pairs = zip(ours.integrate(current, state), theirs.integrate(current, state), strict=True)
    for found, expected in pairs:
        assert found.dtype == dtype
        assert torch.equal(found, expected)
    assert ours.rheobase(8) == theirs.rheobase(8)


def test_adaptive_lif_equals_norses_lsnn_bit_for_bit():
    parameters = ALIFParameters(tau_mem_ms=5.0, beta=0.4)
    ours = LayerNeurons(NEURONS["alif"], parameters, 1.0, "superspike", 10.0)
    theirs = LSNNParameters(
        tau_syn_inv=torch.tensor(1000.0 / parameters.tau_syn_ms),
        tau_mem_inv=torch.tensor(1000.0 / parameters.tau_mem_ms),
        tau_adapt_inv=torch.tensor(1000.0 / parameters.tau_adapt_ms),
        v_leak=torch.tensor(0.0), v_th=torch.tensor(1.0), v_reset=torch.tensor(0.0),
        beta=torch.tensor(parameters.beta), method="heaviside", alpha=0.0,
    )  # fmt: skip
    state = ours.initial_state(3, 5, torch.zeros(()))
    fired = 0.0
    for t in range(40):
        current = normal(t, 3, 5, scale=2.0)
        v, i, b = state
        z, after = lsnn_feed_forward_step(
            current, LSNNFeedForwardState(v=v, i=i, b=b), theirs, 0.001
        )
        spikes, _, state = ours.step(current, state)
        assert torch.equal(spikes, z)
        for found, expected in zip(state, (after.v, after.i, after.b), strict=True):
            assert torch.equal(found, expected)
        fired += float(z.sum())
    assert fired > 10


def test_rheobase_uses_the_configured_constants():
    parameters = next(kind for kind, name in NAMES.items() if name == "lif")()
    neurons = LayerNeurons(NEURONS["lif"], parameters, 1.0, "superspike", 10.0)
    before = neurons.rheobase(8)
    neurons.learn(["tau_mem_ms", "v_threshold"], 4)
    assert set(neurons.learned) == {"tau_mem_ms", "v_threshold"}
    for constant in neurons.learned.values():
        constant.raw.data += 1.0
    assert neurons.rheobase(8) == before
