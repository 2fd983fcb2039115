"""Tests of typed hyper-parameters."""

import dataclasses
import math

import pytest

from snn_gym._base.config import to_mapping
from snn_gym.zoo.algorithms import ALGORITHMS, algorithm_class, make_settings, policy_class
from snn_gym.zoo.files import extract_settings

WITHOUT_GRADIENTS = [x for x in ALGORITHMS if ALGORITHMS[x].policy == "SpikingControllerPolicy"]
OFF_POLICY = ("DQN", "QRDQN", "DDPG", "TD3", "SAC", "TQC", "StockDQN", "StockSAC")
CONTINUOUS = ("DDPG", "TD3", "SAC", "TQC", "StockSAC")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_defaults_equal_the_algorithm(algorithm):
    env = "Pendulum-v1" if algorithm in CONTINUOUS else "CartPole-v1"
    arguments = {"buffer_size": 1_000} if algorithm in OFF_POLICY else {}
    if algorithm in ("TD3", "SAC"):
        arguments["fused"] = False  # the default of files, some of which are older
    model = algorithm_class(algorithm)(policy_class(algorithm), env, **arguments)
    expected = dataclasses.replace(ALGORITHMS[algorithm].settings(), **arguments)
    assert extract_settings(model) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_settings_survive_plain_data(algorithm):
    without = algorithm in WITHOUT_GRADIENTS
    changes = {"probe_episodes": 3} if without else {"learning_rate": "lin_0.5", "gamma": 0.3}
    settings = ALGORITHMS[algorithm].settings(**changes)
    assert make_settings(algorithm, to_mapping(settings), "here") == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ent_coef": "aut"}, "ent_coef must be a number, 'auto' or 'auto_START'"),
        ({"target_entropy": "none"}, "target_entropy: expected float or 'auto', got 'none'"),
        ({"action_noise_std": -0.1}, "action_noise_std must be at least 0, got -0.1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        make_settings("SAC", values, "here")


# Values that Stable-Baselines3 accepts without an error.
@pytest.mark.parametrize(
    ("algorithm", "values", "message"),
    [
        ("PPO", {"gamma": 2}, "gamma must be at least 0 and at most 1, got 2.0"),
        ("PPO", {"gae_lambda": 1.5}, "gae_lambda must be at least 0 and at most 1, got 1.5"),
        ("PPO", {"clip_range": math.nan}, "clip_range must be finite, got nan"),
        ("PPO", {"clip_range": -0.2}, "clip_range: expected a number from 0 up, got -0.2"),
        ("A2C", {"learning_rate": math.inf}, "learning_rate must be finite, got inf"),
        ("TRPO", {"line_search_shrinking_factor": 1.0}, "must be above 0 and below 1, got 1.0"),
        ("SAC", {"tau": -1}, "tau must be above 0 and at most 1, got -1.0"),
        ("SAC", {"tau": math.nan}, "tau must be finite, got nan"),
        ("SAC", {"ent_coef": math.nan}, "ent_coef must be finite, got nan"),
        ("DQN", {"exploration_final_eps": -1}, "must be at least 0 and at most 1, got -1.0"),
        ("DQN", {"exploration_initial_eps": 5}, "must be at least 0 and at most 1, got 5.0"),
        ("DQN", {"exploration_fraction": 0}, "must be above 0 and at most 1, got 0.0"),
        ("DQN", {"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ("DQN", {"max_grad_norm": 0}, "max_grad_norm must be above 0, got 0.0"),
        ("DQN", {"gradient_steps": -2}, "gradient_steps must be at least -1, got -2"),
        ("SynapseAgents", {"exploration": -1}, "exploration must be at least 0 and at most 1"),
        ("SynapseAgents", {"exploration": 5}, "exploration must be at least 0 and at most 1"),
        ("SynapseAgents", {"gamma": 1}, "gamma must be at least 0 and below 1, got 1.0"),
    ],
)
def test_meaningless_hyperparameters_are_refused(algorithm, values, message):
    with pytest.raises(ValueError, match=f"^here: .*{message}"):
        make_settings(algorithm, values, "here")
    with pytest.raises(ValueError, match=message):
        ALGORITHMS[algorithm].settings(**values)
