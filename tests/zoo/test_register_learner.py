"""Tests of registered algorithms: built, saved, loaded and trained like the zoo's."""

from dataclasses import dataclass

import pytest
import torch
from stable_baselines3 import PPO

import snn_gym
from snn_gym._base.config import Share
from snn_gym.cli import main
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.zoo import read_manifest
from snn_gym.zoo.algorithms import ALGORITHMS, PPOSettings


class BoldPPO(PPO):
    def __init__(self, *args, boldness=0.5, **kwargs):
        self.boldness = boldness
        super().__init__(*args, **kwargs)


@dataclass(frozen=True)
class BoldPPOSettings(PPOSettings):
    boldness: Share = 0.5
    """What it has beside PPO's."""


@pytest.fixture
def agent(own_names):
    snn_gym.register_learner("BoldPPO", BoldPPO, SpikingActorCriticPolicy, BoldPPOSettings)
    snn_gym.register_agent(
        "mine", description="Bold.", algorithm="BoldPPO", budget_class="gradient",
        network={"hidden_sizes": [4], "time_steps": 2},
        environments={"CartPole-v1": {"n_steps": 16, "batch_size": 16, "boldness": 0.25}},
    )  # fmt: skip
    return "mine"


def test_registered_learners_are_built_saved_and_loaded(agent, tmp_path):
    model = snn_gym.make_agent(agent, "CartPole-v1")
    assert type(model) is BoldPPO
    assert model.boldness == 0.25
    folder = snn_gym.save_agent(model, tmp_path / "saved")
    assert read_manifest(folder).hyperparameters["boldness"] == 0.25
    loaded = snn_gym.load_agent(folder)
    assert type(loaded) is BoldPPO
    assert loaded.boldness == 0.25
    for name, tensor in model.policy.state_dict().items():
        torch.testing.assert_close(loaded.policy.state_dict()[name], tensor, rtol=0, atol=0)


def test_registered_learners_are_trained_by_the_command_line(agent, tmp_path):
    run = tmp_path / "run"
    words = f"train {agent} CartPole-v1 --steps 32 --no-progress --out".split()
    assert main([*words, str(run)]) == 0
    assert read_manifest(run).algorithm == "BoldPPO"


def test_loading_an_unregistered_algorithm_names_the_fix(agent, tmp_path):
    folder = snn_gym.save_agent(snn_gym.make_agent(agent, "CartPole-v1"), tmp_path / "saved")
    del ALGORITHMS["BoldPPO"]
    with pytest.raises(ValueError, match=r"algorithm: got 'BoldPPO'.*snn_gym\.register_learner"):
        snn_gym.load_agent(folder)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("PPO", BoldPPO, SpikingActorCriticPolicy, BoldPPOSettings), ValueError, "already: PPO"),
        (("Bold PPO", BoldPPO, SpikingActorCriticPolicy, BoldPPOSettings), ValueError, "identifie"),
        (("Bold", dict, SpikingActorCriticPolicy, BoldPPOSettings), TypeError, "algorithm_class"),
        (("Bold", BoldPPO, "MlpPolicy", BoldPPOSettings), TypeError, "policy_class must be"),
        (("Bold", BoldPPO, SpikingActorCriticPolicy, dict), TypeError, "AlgorithmSettings or Lea"),
    ],
)
def test_classes_of_other_kinds_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        snn_gym.register_learner(*arguments)
    assert arguments[0] == "PPO" or arguments[0] not in ALGORITHMS
