"""Encoders from outside: environments and networks name them, and mistakes are named."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch

from snn_gym._base.config import Positive
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.encoders import ENCODERS, spike_encoders
from snn_gym.spiking import NetworkConfig, SpikeEncoder, SpikingNetwork, register_encoder


@dataclass(frozen=True)
class ThresholdEncoder(SpikeEncoder):
    """Spike at every time step where the intensity is above a threshold."""

    above: Positive = 0.5

    def _spikes(self, inputs):
        on = inputs.intensity > self.above
        return np.repeat(on[np.newaxis], inputs.time_steps, axis=0).astype(np.float32)


@pytest.fixture
def threshold(own_names):
    register_encoder("threshold_test", ThresholdEncoder)
    return "threshold_test"


def test_an_environment_shows_its_spikes(threshold):
    assert threshold in spike_encoders()
    env = gym.make(
        "snn/CartPole-v1", encoder=threshold, encoder_parameters={"above": 0.25}, time_steps=3
    )
    spikes, _ = env.reset(seed=0)
    # At the start every value is near the middle of its range.
    assert spikes.tolist() == [[1, 1, 1, 1]] * 3


def test_a_network_is_rebuilt_with_a_registered_encoder(threshold):
    config = NetworkConfig(encoder=threshold, encoder_parameters={"above": 0.75}, time_steps=3)
    assert config.encoder_parameters == ThresholdEncoder(0.75)
    assert NetworkConfig.from_dict(config.to_dict()) == config
    recording = SpikingNetwork(config, 2, 1).record(torch.tensor([[2.9, -2.9]]))
    assert recording["input"].spikes[:, 0].tolist() == [[1.0, 0.0]] * 3


def test_a_learned_extractor_before_a_registered_encoder_is_refused(threshold):
    image = gym.spaces.Box(0, 255, (1, 36, 36), np.uint8)
    with pytest.raises(ValueError, match="'threshold_test' passes no gradient to NatureCNN"):
        SpikingActorCriticPolicy(
            image, gym.spaces.Discrete(2), lambda _: 1e-3, network=NetworkConfig(encoder=threshold)
        )


class Bare(SpikeEncoder):
    def _spikes(self, inputs):
        return inputs.intensity


@pytest.mark.parametrize(("name", "kind", "error", "message"), [
    ("rate", ThresholdEncoder, ValueError, "'rate' is registered already"),
    ("learnable_population", ThresholdEncoder, ValueError, "is registered already"),
    ("two words", ThresholdEncoder, ValueError, "must be an identifier"),
    ("bare", Bare, TypeError, "Bare must be a dataclass"),
    ("base", SpikeEncoder, TypeError, "SpikeEncoder must define _spikes"),
    ("number", int, TypeError, "must be a subclass of SpikeEncoder"),
])  # fmt: skip
def test_encoders_that_do_not_fit_are_refused(name, kind, error, message):
    before = dict(ENCODERS)
    with pytest.raises(error, match=message):
        register_encoder(name, kind)
    assert before == ENCODERS
