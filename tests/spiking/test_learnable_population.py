"""Tests of the learnable population encoder: by hand, and against the rule of the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.program.encoders import PopulationEncoder
from snn_gym.spiking import LearnablePopulationParameters, NetworkConfig, SpikingNetwork
from snn_gym.spiking.network import LearnablePopulationEncoder
from tests.spiking.strategies import normal


def encoder_of(dimensions, neurons=3, width=1.0):
    parameters = LearnablePopulationParameters(neurons, width)
    return LearnablePopulationEncoder(dimensions, parameters, 3.0)


def test_receptive_fields_and_spikes_by_hand():
    # Centres -3, 0, 3 and width 3. At 0 the activities are exp(-1/2) = 0.6065, 1, exp(-1/2):
    # sums 0.607, 1.213 (fires, 0.214 left), 0.821, 1.427 (fires); at activity 1 always.
    encoder = encoder_of(1)
    assert encoder.centres.tolist() == [[-3.0, 0.0, 3.0]]
    assert encoder.widths.tolist() == [[3.0, 3.0, 3.0]]
    spikes = encoder(torch.zeros(1, 1), 4)
    assert spikes.shape == (4, 1, 3)
    assert spikes[:, 0].T.tolist() == [[0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1]]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4), st.integers(2, 12), st.floats(0.3, 3.0), st.integers(1, 20),
    st.integers(0, 2**31),
)  # fmt: skip
def test_spikes_equal_the_papers_rule(dimensions, neurons, width, time_steps, seed):
    encoder = encoder_of(dimensions, neurons, width)
    encoder.centres.data += normal(seed, dimensions, neurons, scale=0.3)
    values = normal(seed + 1, 5, dimensions)
    spikes = encoder(values, time_steps).detach().numpy()
    centres, widths = encoder.centres.detach().numpy(), encoder.widths.detach().numpy()
    distance = (values.numpy()[..., np.newaxis] - centres) / widths
    activity = np.exp(-0.5 * distance.astype(np.float64) ** 2).reshape(5, -1)
    voltage = np.zeros_like(activity)
    for t in range(time_steps):
        voltage += activity
        fired = voltage > 0.999
        clear = abs(voltage - 0.999) > 1e-5
        assert np.array_equal(fired[clear], spikes[t][clear].astype(bool))
        voltage -= 0.999 * spikes[t]
    assert set(np.unique(spikes)) <= {0.0, 1.0}


def test_gradient_is_a_straight_through_estimate():
    encoder = encoder_of(2)
    values = torch.tensor([[0.5, -1.0]], requires_grad=True)
    weights = normal(0, 4, 1, 6)
    (encoder(values, 4) * weights).sum().backward()
    distance = (values.detach().unsqueeze(-1) - encoder.centres.detach()) / 3.0
    activity = torch.exp(-0.5 * distance.square())
    arriving = weights.sum(0).view(2, 3)  # every spike passes its gradient on as it is
    torch.testing.assert_close(encoder.centres.grad, arriving * activity[0] * distance[0] / 3.0)
    torch.testing.assert_close(
        encoder.widths.grad, arriving * activity[0] * distance[0].square() / 3.0
    )
    expected = -(arriving * activity[0] * distance[0] / 3.0).sum(-1)
    torch.testing.assert_close(values.grad[0], expected)


def test_starts_with_the_receptive_fields_of_the_fixed_encoder():
    # The fixed one counts floor(T a) spikes and sees [-3, 3] as [0, 1].
    values = torch.linspace(-3.0, 3.0, 101).unsqueeze(-1)
    learnable = encoder_of(1, 10)(values, 32).sum(0).detach()
    fixed = PopulationEncoder().encode(values / 6.0 + 0.5, 32).sum(0)
    assert float((learnable - fixed).abs().max()) <= 1.0


def test_encoder_is_part_of_the_network():
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(encoder="learnable_population"), 3, 2)
    names = set(network.state_dict())
    assert {"receptive_fields.centres", "receptive_fields.widths"} <= names
    x = normal(0, 16, 3).requires_grad_()
    network(x)[0].square().sum().backward()
    for parameter in (*network.parameters(), x):
        assert float(parameter.grad.abs().sum()) > 0
    recording = network.record(x.detach())
    assert recording["input"].spikes.shape == (8, 16, 30)
    assert recording["input"].fan_out == 64
    assert set(recording.macs_per_decision()) == {"encoder"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"neurons_per_dimension": 1}, "neurons_per_dimension must be at least 2, got 1"),
        ({"width": 0.0}, "width must be above 0, got 0.0"),
        ({"width": math.nan}, "width must be finite, got nan"),
    ],
)
def test_bad_parameters_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict({"encoder": "learnable_population", "encoder_parameters": values})
