"""Typed hyper-parameters."""

import dataclasses

import pytest
from stable_baselines3 import A2C, DQN, PPO

from snn_gym.config import to_mapping
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.zoo.extract import extract_settings
from snn_gym.zoo.settings import SETTINGS, make_settings


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_defaults_are_those_of_stable_baselines3(algorithm):
    policy = SpikingDQNPolicy if algorithm == "DQN" else SpikingActorCriticPolicy
    classes = {"PPO": PPO, "A2C": A2C, "DQN": DQN}
    arguments = {"buffer_size": 1_000} if algorithm == "DQN" else {}
    stock = extract_settings(classes[algorithm](policy, "CartPole-v1", **arguments))
    assert stock == dataclasses.replace(SETTINGS[algorithm](), **arguments)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_settings_survive_plain_data(algorithm):
    settings = SETTINGS[algorithm](learning_rate="lin_0.5", gamma=0.3)
    assert make_settings(algorithm, to_mapping(settings), "here") == settings
