"""Tests of non-finite values: training stops with one line, and saves no agent."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import snn_gym
from snn_gym.training import train
from snn_gym.training.checkpoint import save_checkpoint
from snn_gym.training.logs import EpisodeLog
from tests.policies.identity import refused

AGENTS = ("ppo-lif", "dqsn", "es", "synapse-agents", "local-actor-critic", "recurrent-ppo-gru")


class Broken(gym.Env):
    """Environment with a non-finite value in the third of five steps of every episode."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, bad):
        self.bad = bad

    def reset(self, **_):
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        bad = self.bad if self.steps == 3 else None
        observation = np.float32([0.0, np.nan if bad == "observation nan" else 0.0])
        return observation, np.inf if bad == "reward inf" else 1.0, self.steps == 5, False, {}


@pytest.fixture(params=["observation nan", "reward inf"])
def bad(request, own_names):
    gym.register("Broken-v0", entry_point=Broken, kwargs={"bad": request.param})
    return request.param


@pytest.mark.filterwarnings("ignore:agent .* was not tuned")
@pytest.mark.parametrize("agent", AGENTS)
def test_every_learner_names_environment_step_and_value(agent, bad):
    model = snn_gym.make_agent(agent, "Broken-v0", network={"hidden_sizes": [4]})
    with refused(rf"Broken.* {bad} at step 3 of"):
        model.learn(300)


@pytest.mark.filterwarnings("ignore:agent .* was not tuned")
def test_a_run_that_gets_nan_leaves_no_agent(bad, tmp_path):
    with pytest.raises(ValueError, match=f"{bad} at step 3"):
        train("ppo-lif", "Broken-v0", out=tmp_path / "run", steps=64, tensorboard=False)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1")
    with torch.no_grad():
        next(iter(model.policy.parameters())).view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=r"weights that are not finite.*is not saved"):
        snn_gym.save_agent(model, tmp_path / "agent")
    with pytest.raises(ValueError, match="the model at step 0 has weights that are not finite"):
        save_checkpoint(tmp_path / "checkpoint", model, EpisodeLog())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("std", [-1.0, 0.0, float("nan")])
def test_a_normaliser_without_a_positive_std_is_refused(std):
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1")
    state = dict(model.policy.state_dict())
    (name,) = [name for name in state if name.endswith("normaliser.std")][:1]
    state[name] = torch.full_like(state[name], std)
    with pytest.raises(RuntimeError, match="std must be above 0, got"):
        model.policy.load_state_dict(state)
