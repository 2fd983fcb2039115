"""Tests of convolutions into spiking neurons, against PyTorch's and against dense layers."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from snn_gym.program.interpreter import decide
from snn_gym.program.layers import Convolution, Filtered
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import SharedLinear
from tests.program.convolutions import LAYERS

pytestmark = pytest.mark.usefixtures("own_neurons")

SHAPES = st.tuples(st.integers(1, 3), st.integers(3, 7), st.integers(3, 7))


def fits(layer, planes):
    return min(x // layer.pool + 2 * layer.padding for x in planes[1:]) >= layer.kernel


@settings(deadline=None, max_examples=30)
@given(layer=LAYERS, planes=SHAPES, last=st.booleans(), seed=st.integers(0, 99))
def test_the_equivalent_dense_layer_and_its_gradients(layer, planes, last, seed):
    assume(fits(layer, planes))
    torch.manual_seed(seed)
    linear = SharedLinear(Filtered(layer, planes, last))
    inputs = torch.randn(4, linear.in_features, requires_grad=True)
    parts = [inputs, linear.filters, linear.filter_biases]
    convolved = linear(inputs)
    dense = functional.linear(inputs, linear.weight, linear.bias)
    assert torch.allclose(convolved, dense, atol=1e-5)
    direction = torch.randn_like(dense)
    pairs = [torch.autograd.grad((x * direction).sum(), parts) for x in (convolved, dense)]
    for one, other in zip(*pairs, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_weights_follow_every_change():
    linear = SharedLinear(Filtered(Convolution(filters=2), (1, 4, 4)))
    with torch.no_grad():
        before = linear.weight
        first = before.clone()
        linear.filters.mul_(2.0)
        assert torch.equal(linear.weight, 2.0 * first)
        # The same memory, which compiled code reads.
        assert linear.weight.data_ptr() == before.data_ptr()
        linear.filters.numpy()[:] = 0.0
        assert not linear.weight.any()


def made(hidden_sizes=(7,), **changes):
    values = {"convolutions": [{"filters": 3}, {"filters": 2, "kernel": 2}], "planes": (2, 6, 6)}
    torch.manual_seed(1)
    config = NetworkConfig.from_dict({**values, "hidden_sizes": hidden_sizes, **changes})
    return SpikingNetwork(config, 72, 4)


def dense_twin(network):
    """Return the network with dense layers of the same weights."""
    sizes = tuple(layer.size for layer in network.layers)[: network.config.depth]
    values = {**network.config.to_dict(), "convolutions": [], "planes": None, "hidden_sizes": sizes}
    if not isinstance(network.config.neuron, str):
        values["neuron"] = network.config.neuron
    twin = SpikingNetwork(NetworkConfig.from_dict(values), network.input_size, network.output_size)
    with torch.no_grad():
        for own, layer in zip(twin.layers, network.layers, strict=True):
            own.linear.weight.copy_(layer.linear.weight)
            own.linear.bias.copy_(layer.linear.bias)
        twin.head.load_state_dict(network.head.state_dict())
    return twin


def planes(batch, seed=0):
    return (torch.rand(batch, 72, generator=torch.Generator().manual_seed(seed)) < 0.2).float()


@pytest.mark.parametrize(
    ("neuron", "decoder"),
    [("lif_box", "mean_rate"), ("alif", "population"), ("quadratic", "last_voltage")],
)
def test_a_network_equals_its_dense_twin(neuron, decoder):
    network = made(neuron=neuron, decoder=decoder)
    twin, inputs = dense_twin(network), planes(5)
    outputs, expected = network(inputs)[0], twin(inputs)[0]
    assert torch.equal(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    for layer, own in zip(network.layers[:2], twin.layers[:2], strict=True):
        filters = layer.linear.filters
        # The gradient of an element is the sum over the places where it is used.
        dense = torch.zeros(filters.numel())
        for at, which in zip(layer.linear.at, layer.linear.which, strict=True):
            dense[which] += own.linear.weight.grad.view(-1)[at]
        assert torch.allclose(filters.grad.view(-1), dense, atol=1e-5)
        biases = own.linear.bias.grad.view(len(filters), -1).sum(1)
        assert torch.allclose(layer.linear.filter_biases.grad, biases, atol=1e-5)


def test_decisions_follow_every_change():
    network, other, inputs = made(), made(), planes(5)
    with torch.no_grad():
        first = network(inputs)[0]
        assert torch.equal(network(inputs)[0], first)
        network.layers[0].linear.filters.numpy()[:] *= 2.0
        network.layers[1].linear.filter_biases.mul_(2.0)
        other.load_state_dict(network.state_dict())
        changed = network(inputs)[0]
        assert not torch.equal(changed, first)
        assert torch.equal(changed, other(inputs)[0])


def test_stepping_equals_the_kernels():
    fused, stepped = made(), made(backend="norse")
    stepped.load_state_dict(fused.state_dict())
    assert torch.allclose(fused(planes(5))[0], stepped(planes(5))[0], atol=1e-6)


def test_a_program_decides_alike():
    network, inputs = made(), planes(20)
    with torch.no_grad():
        outputs = network(inputs)[0].numpy()
    found = decide(network.program(), inputs.numpy())
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-6)


def test_products_of_a_convolution_by_hand():
    """One event in the middle of 6 x 6 meets 9 places of each of 3 filters, in the corner one."""
    network = made(hidden_sizes=())
    inputs = torch.zeros(2, 72)
    inputs[0, 14], inputs[1, 0] = 1.0, 1.0
    costs = network.record(inputs).costs
    assert costs.macs_per_decision["hidden_1"] == (27 + 3) / 2


def test_initial_rates_are_moderate():
    recording = made(hidden_sizes=(30,)).record(planes(200))
    assert all(0.02 < float(x.spikes.mean()) < 0.6 for x in recording.layers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planes": None}, r"convolutions need planes: observe MultiBinary\(\(C, H, W\)\)"),
        ({"planes": (2, 3, 3)}, "a filter of 2 x 2 does not fit planes of 1 x 1"),
        ({"planes": (2, 5, 5)}, r"read planes \(2, 5, 5\), which are 50 values, .* 72 inputs"),
        (
            {"regulation": {"lean": {"cost": "loihi"}}},
            "cost 'loihi' sheds single neurons, .*cost at 'synops', or .* snn_gym.make_lean",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


def regulated(**changes):
    regulation = {"min_rate": 0.1, "max_rate": 0.3, **changes}
    network = made(hidden_sizes=(), regulation=regulation)
    rates = [x.spikes.mean((0, 1)) for x in network.record(planes(20)).layers]
    # Filters have 16 and 9 places.
    rates = [x.view(-1, n).mean(1) for x, n in zip(rates, (16, 9), strict=True)]
    return network, [rate - rate.clamp(0.1, 0.3) for rate in rates]


def test_a_filter_is_controlled_by_its_mean_rate():
    network, errors = regulated(controller={"min_samples": 20, "step": 2.0, "limit": 9.0})
    layers = [x.linear for x in network.layers]
    before = [(x.filters.detach().clone(), x.filter_biases.detach().clone()) for x in layers]
    network(planes(20))
    network.rollout_started()
    assert any(error.any() for error in errors)
    for layer, error, (filters, biases) in zip(layers, errors, before, strict=True):
        gain = (-2.0 * error).exp()
        assert torch.allclose(layer.filters, gain[:, None] * filters, rtol=1e-4)
        assert torch.equal(layer.filter_biases, biases)


def test_the_penalty_is_on_mean_rates_of_filters():
    """P = 3 / 2 times the sum of squared errors: its gradient by a spike is 3 error / (T B n)."""
    network, errors = regulated(rate_strength=3.0)
    found = {}

    def remember(k):
        def hook(grad):
            found[k] = grad

        return hook

    run = network.layers[0](planes(20)[None], network.layers[0].initial_state(20, planes(1)), 8)
    spikes = run.spikes.detach().requires_grad_()
    spikes.register_hook(remember(0))
    watched = network.regulation.watch(0, network.layers[0], run._replace(spikes=spikes))
    (0.0 * watched).sum().backward()
    expected = (3.0 * errors[0] / (8 * 20 * 16)).repeat_interleave(16)
    assert expected.any()
    assert torch.allclose(found[0], expected.expand_as(found[0]))


def test_filters_that_fire_at_few_places_respond():
    """Each of 16 places is silent or always fires; their filter is neither."""
    network, _ = regulated(rescue_strength=2.0)
    layer = network.layers[0]
    run = layer(planes(20)[None], layer.initial_state(20, planes(1)), 8)
    spikes = torch.zeros_like(run.spikes)
    spikes[..., ::16] = 1.0
    network.regulation.watch(0, layer, run._replace(spikes=spikes))
    network.regulation.watch(1, network.layers[1], run._replace(spikes=torch.ones(8, 20, 18) / 2))
    assert network.regulation.rescue.strength == 0.0
