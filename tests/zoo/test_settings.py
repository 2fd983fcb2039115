"""Typed hyper-parameters."""

import dataclasses

import pytest

from snn_gym.config import to_mapping
from snn_gym.zoo.algorithms import algorithm_class, policy_class
from snn_gym.zoo.extract import extract_settings
from snn_gym.zoo.settings import SETTINGS, make_settings
from snn_gym.zoo.spec import POLICIES

WITHOUT_GRADIENTS = [x for x in POLICIES if POLICIES[x] == "SpikingControllerPolicy"]
OFF_POLICY = ("DQN", "QRDQN", "DDPG", "TD3", "SAC", "TQC")
CONTINUOUS = ("DDPG", "TD3", "SAC", "TQC")


def test_every_algorithm_has_settings_and_a_policy():
    assert set(SETTINGS) == set(POLICIES)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_defaults_are_those_of_the_algorithm(algorithm):
    env = "Pendulum-v1" if algorithm in CONTINUOUS else "CartPole-v1"
    arguments = {"buffer_size": 1_000} if algorithm in OFF_POLICY else {}
    model = algorithm_class(algorithm)(policy_class(POLICIES[algorithm]), env, **arguments)
    assert extract_settings(model) == dataclasses.replace(SETTINGS[algorithm](), **arguments)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_settings_survive_plain_data(algorithm):
    without = algorithm in WITHOUT_GRADIENTS
    changes = {"probe_episodes": 3} if without else {"learning_rate": "lin_0.5", "gamma": 0.3}
    settings = SETTINGS[algorithm](**changes)
    assert make_settings(algorithm, to_mapping(settings), "here") == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ent_coef": "aut"}, "ent_coef must be a number, 'auto' or 'auto_START'"),
        ({"target_entropy": "none"}, "target_entropy must be a number or 'auto', got 'none'"),
        ({"action_noise_std": -0.1}, "action_noise_std must be at least 0 and finite, got -0.1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        make_settings("SAC", values, "here")
