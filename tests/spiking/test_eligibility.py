"""Tests of forward eligibility traces, against back-propagation without recurrent spikes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.eligibility import EligibilityTraces
from tests.spiking.strategies import SURROGATES, normal
from tests.spiking.test_recurrent_gradient import C, R, W, X, eprop_by_hand
from tests.spiking.test_sequence import BUILT_IN, build, inputs_of, starts_of


def in_time(network, kind, inputs):
    """Return the input of a layer for one environment step."""
    return inputs.transpose(0, 1) if kind == "spike_train" else inputs.unsqueeze(0)


def forward_in_time(network, kind, inputs, starts, signals):
    traces = EligibilityTraces(network.layers[0], network.decoder, inputs.shape[1])
    decoded = []
    for x, started, signal in zip(inputs, starts, signals, strict=True):
        decoded.append(traces.step(in_time(network, kind, x), started))
        traces.learn(signal)
    return torch.stack(decoded), traces.gradients()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(BUILT_IN), st.sampled_from(["mean_rate", "last_voltage"]),
    st.sampled_from(["constant", "spike_train"]), st.sampled_from(SURROGATES),
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9)),
    st.integers(0, 2**31),
)  # fmt: skip
def test_gradients_equal_the_backward_pass_of_the_sequence(
    neuron, decoder, kind, surrogate, shape, seed
):
    rounds, batch, time_steps, size = shape
    network = build(
        NetworkConfig(
            (size,), time_steps, neuron=neuron, recurrent=True, decoder=decoder,
            surrogate=surrogate, surrogate_slope=2.0,
        ),
        kind, seed,
    )  # fmt: skip
    network.head = None
    inputs, starts = inputs_of(network, rounds, batch, seed), starts_of(rounds, batch, seed)
    signals = normal(seed, rounds, batch, size)
    outputs, _ = network.sequence(inputs, None, starts, recurrent_gradient=False)
    layer = network.layers[0]
    wanted = (layer.linear.weight, layer.linear.bias, layer.recurrent.weight)
    expected = torch.autograd.grad((outputs * signals).sum(), wanted, materialize_grads=True)
    decoded, found = forward_in_time(network, kind, inputs, starts, signals)
    torch.testing.assert_close(decoded, outputs.detach(), rtol=1e-5, atol=1e-6)
    tolerance = 2e-5 * max(1.0, *(float(x.abs().max()) for x in expected))
    for ours, other in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=tolerance)


def test_the_recursion_worked_by_hand():
    # Every time step a decision of one step, whose mean rate is the spike.
    parameters = {
        "tau_mem_ms": 2.0, "tau_syn_ms": 4.0, "tau_adapt_ms": 8.0, "v_threshold": 0.5, "beta": 0.25
    }  # fmt: skip
    config = NetworkConfig.from_dict(
        {
            "hidden_sizes": [2], "time_steps": 1, "neuron": "alif", "recurrent": True,
            "neuron_parameters": parameters, "surrogate_slope": 2.0,
        }
    )  # fmt: skip
    network = build(config)
    layer = network.layers[0]
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor(W).unsqueeze(1) * torch.tensor([1.0, 0.0, 0.0]))
        layer.linear.bias.zero_()
        layer.recurrent.weight.copy_(torch.tensor(R))
    inputs = torch.zeros(len(X), 1, 3)
    inputs[:, 0, 0] = torch.tensor(X)
    signals, starts = torch.tensor(C).unsqueeze(1), torch.zeros(len(X), 1, dtype=torch.bool)
    decoded, found = forward_in_time(network, "constant", inputs, starts, signals)
    fired, by_input, by_recurrence = eprop_by_hand()
    assert decoded[:, 0].tolist() == fired
    torch.testing.assert_close(found.weight[:, 0], torch.tensor(by_input), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        found.recurrent_weight, torch.tensor(by_recurrence), rtol=1e-5, atol=1e-6
    )


def test_gradients_restart_after_each_read():
    network = build(NetworkConfig((6,), 4, neuron="lif", recurrent=True), "spike_train")
    inputs, starts = inputs_of(network, 3, 2), torch.zeros(2, dtype=torch.bool)
    traces = EligibilityTraces(network.layers[0], network.decoder, 2)
    for x in inputs:
        traces.step(x.transpose(0, 1), starts)
        traces.learn(torch.ones(2, 6))
    assert traces.gradients().bias.any()
    assert not any(x.any() for x in traces.gradients())
    traces.learn(torch.ones(2, 6))  # of the decision that was made last, once more
    assert traces.gradients().bias.any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"recurrent": False}, "got recurrent=False, compiled=True, maximum=False"),
        ({"recurrent": True, "backend": "norse"}, "got recurrent=True, compiled=False"),
        ({"recurrent": True, "decoder": "max_voltage"}, "maximum=True; use another neuron"),
    ],
)
def test_layers_without_traces_are_refused(config, message):
    network = build(NetworkConfig((6,), 4, neuron="lif", **config))
    with pytest.raises(ValueError, match=message):
        EligibilityTraces(network.layers[0], network.decoder, 2)
