"""RL Baselines3 Zoo's own programs on a spiking task."""

import re

import pytest

from tests.interop.programs import ROOT, run

TRAIN = [
    *("-m", "rl_zoo3.train", "--algo", "ppo", "--env", "snn/CartPole-v1"),
    *("--gym-packages", "snn_gym", "-n", "2000"),
]
SAVED = "logs/ppo/snn-CartPole-v1_1/snn-CartPole-v1.zip"
pytestmark = pytest.mark.slow
SPIKING = ("-conf", str(ROOT / "docs/rl_zoo3/ppo.yml"), "--seed", "0")


def test_rl_zoo_trains_its_own_policy(tmp_path):
    assert "('policy', 'MlpPolicy')" in run(tmp_path, *TRAIN)
    assert (tmp_path / SAVED).exists()


def test_rl_zoo_trains_a_spiking_policy_from_a_hyper_parameter_file(tmp_path):
    assert "SpikingActorCriticPolicy" in run(tmp_path, *TRAIN, *SPIKING)
    assert (tmp_path / SAVED).exists()


def test_rl_zoo_searches_hyper_parameters_of_a_spiking_policy(tmp_path):
    pytest.importorskip("pandas", reason="RL Zoo writes a search's results with pandas")
    search = ("-optimize", "--n-trials", "2", "--n-evaluations", "1", "--eval-episodes", "2")
    printed = run(tmp_path, *TRAIN, *SPIKING, *search)
    assert "SpikingActorCriticPolicy" in printed
    assert "Number of finished trials:  2" in printed
    value = re.search(r"^Value:\s+([\d.]+)$", printed, re.MULTILINE)
    assert value
    assert 1 <= float(value[1]) <= 500
