"""Tests of the dynamics of a recording: measures by name, validity, and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking import (
    Dynamics,
    NetworkConfig,
    SpikingNetwork,
    network_weights,
    relative_gradients,
)
from snn_gym.spiking.measures import (
    LAYER_MEASURES,
    NEURON_MEASURES,
    SYNAPSE_MEASURES,
    WEIGHT_MEASURES,
)
from tests.spiking.measures.rasters import raster, recording
from tests.spiking.strategies import network_configs, normal

NETWORKS = {
    "feed-forward": {},
    "recurrent": {"recurrent": True},
    "population": {"decoder": "population", "encoder": "population"},
    "adaptive": {"neuron": "alif", "encoder": "rate"},
}


def network(**options):
    torch.manual_seed(0)
    config = NetworkConfig(**{"hidden_sizes": (16, 12), **options})
    return SpikingNetwork(config, 4, 2)


def measured(net, batch=64, **options):
    return Dynamics(net.record(normal(1, batch, 4)), net, **options)


def by_hand(**options):
    """Return the dynamics of two layers of two neurons, 4 steps, one decision."""
    voltages = np.array([[0.0, 2.0], [0.5, 2.0], [0.5, 2.0], [1.0, 2.0]])[:, np.newaxis]
    layers = recording(
        input=raster("||||", "|..."), hidden_1=(raster("...|", "||||"), voltages), dt_ms=2.0
    )
    weights = {"hidden_1": np.array([[1.0, -4.0], [0.0, 2.0]])}
    return Dynamics(layers, weights=weights, **options)


def test_a_small_network_by_hand():
    dynamics = by_hand(half_width=0.6, older_weights={"hidden_1": np.array([[1.0, 0.0], [0.0, 2]])})
    for name, expected in {
        "rate_hz": [125.0, 500.0],
        "voltage_mean": [0.5, 2.0],
        "voltage_variance": [0.125, 0.0],
        "margin_mean": [0.5, -1.0],
        "margin_closest": [0.0, -1.0],
        "window_share": [0.75, 0.0],
        "silent_share": 0.0,
        "saturated_share": 0.5,
        "synchrony": 0.5,
        "spike_ratio": 1.0,
        "synops_per_decision": 10.0,
        "weight": [[1.0, -4.0], [0.0, 2.0]],
        "pre_rate_hz": [[500.0, 125.0], [500.0, 125.0]],
        "post_rate_hz": [[125.0, 125.0], [500.0, 500.0]],
        "coincidence": [[0.25, 0.0], [1.0, 0.25]],
        "drive_share": [[0.5, 0.5], [0.0, 1.0]],
        "frobenius_norm": math.sqrt(21.0),
        "relative_change": 4.0 / math.sqrt(5.0),
    }.items():
        value = dynamics.measure(name, "hidden_1").value
        assert value.shape == np.shape(expected)
        assert np.allclose(value, expected), name
    # Traces of tau = 20 ms lose exp(-0.1) in a step: e of the first synapse is x_1 at the end.
    x = sum(math.exp(-0.1 * age) for age in range(4))
    eligibility = dynamics.measure("eligibility", "hidden_1").value
    assert eligibility[0] == pytest.approx([x, math.exp(-0.3)])


def test_backward_gain_is_the_ratio_of_relative_gradients():
    net = network(hidden_sizes=(6, 5, 4), recurrent=True)
    assert relative_gradients(net) == {}  # before a backward pass
    dynamics = measured(net)
    with pytest.raises(ValueError, match="has no gradient; give gradients"):
        dynamics.measure("backward_gain", "hidden_1")
    output, _ = net(normal(2, 32, 4))
    weights = [x for layer in net.layers for x in (layer.linear.weight, layer.recurrent.weight)]
    grads = torch.autograd.grad(output.square().sum(), weights, retain_graph=True)
    norms = [float((g.norm() / w.norm()).detach()) for g, w in zip(grads, weights, strict=True)]
    output.square().sum().backward()
    found = measured(net, gradients=relative_gradients(net))
    names = [f"hidden_{k}{end}" for k in (1, 2, 3) for end in ("", "_recurrent")]
    for name, value in zip(names, norms, strict=True):
        assert found.measure("relative_gradient", name).mean() == pytest.approx(value, rel=1e-5)
    for k, name in enumerate(names[:4]):
        gain = norms[k] / norms[2 * (k // 2 + 1)]
        assert found.measure("backward_gain", name).mean() == pytest.approx(gain, rel=1e-5)
    with pytest.raises(ValueError, match="no layer behind it"):
        found.measure("backward_gain", "hidden_3")


def test_the_backward_gains_of_a_chain_in_closed_form():
    # One neuron a layer, one time step: v = w / 2 for an input of 1, and the spike is the next
    # layer's input. SuperSpike's derivative is 1 / (1 + 3 |v - 1|)^2, with a threshold of 1.
    weight, depth, slope = 2.5, 5, 3.0
    net = SpikingNetwork(
        NetworkConfig(
            (1,) * depth, 1, neuron_parameters={"tau_mem_ms": 2.0}, surrogate_slope=slope
        ),
        1,
        1,
    )
    for layer in net.layers:
        layer.linear.weight.data.fill_(weight)
        layer.linear.bias.data.zero_()
    net.head.weight.data.fill_(1.0)
    net(torch.ones(1, 1))[0].sum().backward()
    derivative = 1 / (1 + slope * (weight / 2 - 1)) ** 2
    last = derivative / 2 / weight  # gradient of the last weight, over that weight
    gain = weight / 2 * derivative
    found = Dynamics(net.record(torch.ones(1, 1)), net, gradients=relative_gradients(net))
    for k in range(depth):
        relative = found.measure("relative_gradient", f"hidden_{k + 1}").mean()
        assert relative == pytest.approx(last * gain ** (depth - 1 - k), rel=1e-5)
        if k < depth - 1:
            assert found.measure("backward_gain", f"hidden_{k + 1}").mean() == pytest.approx(gain)


def test_a_short_recording_is_marked():
    dynamics = by_hand()
    for name in ("voltage_variance", "cv_isi", "fano_factor", "silent_share", "synchrony"):
        measure = dynamics.measure(name, "hidden_1")
        assert not measure.valid.any()
        assert "fewer than" in measure.reason
        assert math.isnan(measure.mean())
        assert f"hidden_1/{name}" not in dynamics.summary()
    rate = dynamics.measure("rate_hz", "hidden_1")
    assert rate.valid.all()
    assert rate.reason is None
    assert rate.unit == "Hz"


def test_validity_is_separate_for_each_neuron():
    # 100 steps: every 2nd step 49 intervals, every 10th only 9, and one that never fires
    spikes = np.zeros((100, 1, 3), dtype=np.float32)
    spikes[::2, 0, 0] = 1
    spikes[::10, 0, 1] = 1
    measure = Dynamics(recording(hidden_1=spikes)).measure("cv_isi", "hidden_1")
    assert measure.valid.tolist() == [True, False, False]
    assert measure.mean() == 0.0
    assert not measure.valid.all()
    # Pooled over a batch the second neuron has 27, but of a window of 10 it would show too little.
    pooled = Dynamics(recording(hidden_1=np.repeat(spikes, 3, axis=1)))
    assert pooled.measure("cv_isi", "hidden_1").valid.tolist() == [True, True, False]
    cut = np.concatenate([spikes[:20]] * 30, axis=1)
    assert Dynamics(recording(hidden_1=cut)).measure("cv_isi", "hidden_1").valid.tolist() == [
        True,
        False,
        False,
    ]


def test_a_dimension_needs_decisions():
    rng = np.random.default_rng(0)
    spikes = (rng.random((20, 500, 8)) < 0.5).astype(np.float32)
    many = Dynamics(recording(hidden_1=spikes)).measure("participation_dimension", "hidden_1")
    few = Dynamics(recording(hidden_1=spikes[:, :12])).measure(
        "participation_dimension", "hidden_1"
    )
    assert many.valid.all()
    assert many.value == pytest.approx(8.0, rel=0.05)
    assert not few.valid.all()
    assert few.value < 6.0


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_every_measure_of_every_part(options):
    net = network(**options)
    older = {k: 2 * v for k, v in network_weights(net).items()}
    gradients = dict.fromkeys(older, 0.5)
    dynamics = measured(net, older_weights=older, gradients=gradients)
    sizes = dict(zip(dynamics.layers, map(len_of(dynamics), dynamics.layers), strict=True))
    for layer in dynamics.layers:
        if layer == "input":
            continue
        for name in NEURON_MEASURES:
            assert dynamics.measure(name, layer).value.shape == (sizes[layer],)
        for name in LAYER_MEASURES.keys() - {"spike_ratio", "forward_sensitivity"}:
            assert dynamics.measure(name, layer).value.shape == ()
    for connection in dynamics.connections:
        shape = dynamics.measure("weight", connection).value.shape
        for name in WEIGHT_MEASURES.keys() - {"backward_gain"}:
            assert dynamics.measure(name, connection).value.shape == ()
        assert dynamics.measure("relative_change", connection).value == pytest.approx(0.5)
        if connection == "hidden_1" and "input" not in dynamics.layers:
            continue
        for name in SYNAPSE_MEASURES:
            if connection == "readout" and name in ("post_rate_hz", "coincidence"):
                continue
            assert dynamics.measure(name, connection).value.shape == shape


def len_of(dynamics):
    return lambda layer: dynamics.recording[layer].spikes.shape[2]


def test_the_connections_of_a_recurrent_network_with_populations():
    net = network(recurrent=True, decoder="population", encoder="population")
    dynamics = measured(net)
    assert dynamics.layers == ("input", "hidden_1", "hidden_2", "output")
    assert dynamics.connections == (
        "hidden_1", "hidden_1_recurrent", "hidden_2", "hidden_2_recurrent", "output", "readout",
    )  # fmt: skip
    # Forward and recurrent synapses together are a neuron's whole drive.
    forward, recurrent = (
        dynamics.measure("drive_share", name).value for name in dynamics.connections[:2]
    )
    assert np.nansum(forward, axis=1) + np.nansum(recurrent, axis=1) == pytest.approx(np.ones(16))
    # Output 1 does not read the population of output 0.
    readout = dynamics.measure("weight", "readout").value
    head = net.head.weight.detach().numpy()
    assert np.array_equal(readout[1, head.shape[1] :], head[1])
    assert not readout[1, : head.shape[1]].any()
    # Row i times the populations' rates is what the head computes.
    rates = torch.rand(3, head.size)
    expected = net.head(rates).detach().numpy() - net.head.bias.detach().numpy()
    assert np.allclose(rates.numpy() @ readout.T, expected, atol=1e-6)


def test_recurrent_synapses_pair_a_spike_with_the_step_before():
    spikes = raster("|.|.", ".|..")
    net = recording(hidden_1=(spikes, spikes))
    weights = {"hidden_1": np.ones((2, 3)), "hidden_1_recurrent": np.ones((2, 2))}
    joint = Dynamics(net, weights=weights).measure("coincidence", "hidden_1_recurrent").value
    # neuron 1 fires one step after neuron 0, and neuron 0 one step after neuron 1
    assert joint.tolist() == [[0.0, 0.25], [0.25, 0.0]]


def test_window_uses_the_slope_of_the_layer():
    net = network()
    before = [
        measured(net).measure("window_share", name).value for name in ("hidden_1", "hidden_2")
    ]
    net.layers[1].neuron.slope = 0.5 * net.config.surrogate_slope
    after = [measured(net).measure("window_share", name).value for name in ("hidden_1", "hidden_2")]
    assert np.array_equal(before[0], after[0])
    assert before[1].sum() < after[1].sum()


def test_adaptive_neurons_use_the_threshold_at_each_step():
    net = network(neuron="alif", encoder="rate")
    recorded = net.record(normal(1, 8, 4))
    layer = recorded["hidden_1"]
    margins = (layer.v_threshold - layer.voltages).detach().numpy()
    assert np.array_equal(margins < 0, layer.spikes.detach().numpy() > 0)
    closest = Dynamics(recorded, net).measure("margin_closest", "hidden_1").value
    fired = layer.spikes.sum(dim=(0, 1)).detach().numpy() > 0
    assert np.array_equal(closest < 0, fired)


@settings(max_examples=30)
@given(network_configs(), st.integers(1, 5))
def test_every_network_has_a_summary(config, batch):
    net = SpikingNetwork(config, 3, 2)
    summary = Dynamics(net.record(normal(0, batch, 3)), net).summary()
    assert all(math.isfinite(value) for value in summary.values())
    for layer, spikes in net.record(normal(0, batch, 3)).spikes_per_decision().items():
        size = net.record(normal(0, batch, 3))[layer].spikes.shape[2]
        rate = spikes / size / config.time_steps / config.dt_ms * 1000
        assert summary[f"{layer}/rate_hz"] == pytest.approx(rate)


@pytest.mark.parametrize(
    ("name", "of", "message"),
    [
        ("speed", "hidden_1", "measure 'speed' is unknown; known: rate_hz, "),
        ("rate_hz", "hidden_9", "no layer 'hidden_9'; choose one of input, hidden_1, hidden_2"),
        ("weight", "input", "no connection 'input'; choose one of hidden_1, hidden_2, readout"),
        ("voltage_mean", "input", "'input' was recorded without voltages; choose a layer"),
        ("spike_ratio", "input", "no recorded layer before it; choose a deeper layer"),
        ("coincidence", "readout", "drives the readout, which does not spike; choose another"),
        ("relative_change", "hidden_1", "has no older weights .*; give older_weights"),
    ],
)
def test_a_measure_that_does_not_apply_is_refused(name, of, message):
    with pytest.raises(ValueError, match=message):
        measured(network(encoder="rate")).measure(name, of)


def test_synapses_and_windows_need_a_network():
    bare = Dynamics(network().record(normal(1, 8, 4)))
    assert bare.connections == ()
    with pytest.raises(ValueError, match="'weight' needs weights; give network, or weights"):
        bare.measure("weight", "hidden_1")
    with pytest.raises(ValueError, match="no surrogate window; give network, or half_width"):
        bare.measure("window_share", "hidden_1")
    assert "hidden_1/window_share" not in bare.summary()


def test_a_recording_of_another_network_is_refused():
    recorded = network().record(normal(1, 8, 4))
    with pytest.raises(
        ValueError, match=r"weights of hidden_1 have shape \(9, 4\).*record the net"
    ):
        Dynamics(recorded, network(hidden_sizes=(9, 12)))
    with pytest.raises(ValueError, match=r"differ in hidden_2: .* record the network"):
        Dynamics(recorded, network(hidden_sizes=(16,)))
    with pytest.raises(ValueError, match=r"differ in hidden_3: .* record the network"):
        Dynamics(recorded, network(hidden_sizes=(16, 12, 3)))


def test_an_empty_recording_is_refused():
    with pytest.raises(ValueError, match="the recording is empty: record a network that spikes"):
        Dynamics(recording())
