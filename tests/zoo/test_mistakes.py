"""Tests of answers to arguments of another kind than expected."""

import re

import pytest
from stable_baselines3 import PPO

import snn_gym
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ("zero", r"^seed: expected int, got 'zero' \(str\)$"),
        (-1, "^seed must be at least 0, got -1$"),
        (0.5, r"^seed: expected int, got 0\.5 \(float\)$"),
    ],
)
def test_a_seed_that_is_no_number_is_named(seed, words):
    with pytest.raises(ValueError, match=words):
        snn_gym.make_agent("ppo-lif-2-steps", "CartPole-v1", seed=seed)


def test_an_argument_that_an_environment_lacks_is_named():
    with pytest.raises(ValueError, match="takes no argument 'sutton_barto'; did you mean 'sutton_"):
        snn_gym.make_agent("ppo-lif-2-steps", "CartPole-v1", env_kwargs={"sutton_barto": True})


def test_a_name_where_a_model_is_expected_is_answered_with_the_loaders():
    words = r"which have predict, got 'ppo-lif'; load one by snn_gym\.load_pretrained or"
    with pytest.raises(TypeError, match=words):
        snn_gym.evaluate("ppo-lif", "CartPole-v1", episodes=1)


@pytest.mark.parametrize("use", [snn_gym.make_lean, snn_gym.distil])
def test_a_name_where_a_model_is_taught_is_refused(use):
    with pytest.raises(TypeError, match=r"of make_agent, got str; pass the model, not its policy"):
        use("ppo-lif")


def test_a_policy_where_a_model_is_saved_is_refused(tmp_path):
    policy = snn_gym.make_agent("ppo-lif-2-steps", "CartPole-v1").policy
    words = r"got SpikingActorCriticPolicy; pass the model, not its policy or its name"
    with pytest.raises(TypeError, match=words):
        snn_gym.save_agent(policy, tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize("given", [NetworkConfig, dict])
def test_a_class_for_a_configuration_is_named(given):
    words = rf"of its fields, got {re.escape(repr(given))}; NetworkConfig\(\) makes one"
    with pytest.raises(ValueError, match=words):
        PPO(SpikingActorCriticPolicy, "CartPole-v1", policy_kwargs={"network": given})


def test_a_pretrained_agent_is_loaded_onto_a_device():
    with pytest.raises(ValueError, match="device 'abacus' is unknown to PyTorch"):
        snn_gym.load_pretrained("ppo-lif-2-steps", "CartPole-v1", device="abacus")
    assert (
        str(snn_gym.load_pretrained("ppo-lif-2-steps", "CartPole-v1", device="cpu").device) == "cpu"
    )
