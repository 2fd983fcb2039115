"""Values that are not finite stop training with one line, and nothing of them is saved."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import snn_gym
from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.training import train
from snn_gym.training.checkpoint import save_checkpoint
from snn_gym.training.evaluations import EpisodeLog
from tests.policies.identity import refused

BAD_STEP = 3
AGENTS = (
    "ppo-lif",
    "dqsn",
    "a2c-lif",
    "qrdqn-lif",
    "accept-reject",
    "es",
    "synapse-agents",
    "local-actor-critic",
    "recurrent-ppo-gru",
    "recurrent-dqn-gru",
)


class Broken(gym.Env[Any, Any]):
    """Gives what is not finite in the third step of every episode, which is of five."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, what, value, at=BAD_STEP):
        self.what, self.value, self.at, self.steps = what, value, at, 0

    def reset(self, **_):
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        bad = self.steps == self.at
        observation = np.zeros(2, np.float32)
        observation[1] = self.value if bad and self.what == "observation" else 0.0
        reward = self.value if bad and self.what == "reward" else 1.0
        return observation, reward, self.steps == 5, False, {}


@pytest.fixture(autouse=True)
def registered():
    gym.register("Broken-v0", entry_point=Broken)
    yield
    gym.registry.pop("Broken-v0")


@pytest.mark.filterwarnings("ignore:agent .* was not tuned")
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(("what", "value"), [("observation", np.nan), ("reward", np.inf)])
def test_every_learner_names_environment_step_and_value(agent, what, value):
    gym.registry["Broken-v0"].kwargs = {"what": what, "value": value}
    model = snn_gym.make_agent(agent, "Broken-v0", network={"hidden_sizes": [4]})
    with refused(rf"Broken.* {what} {value} at step 3 of"):
        model.learn(300)


@pytest.mark.filterwarnings("ignore:agent .* was not tuned")
def test_the_last_observation_of_an_episode_counts_too_and_large_numbers_are_finite():
    gym.registry["Broken-v0"].kwargs = {"what": "observation", "value": np.nan, "at": 5}
    env = snn_gym.make_vec_env("Broken-v0", 2)
    env.reset()
    for _ in range(4):
        env.step(np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="observation nan at step 5 of an episode"):
        env.step(np.zeros(2, np.int64))
    gym.registry["Broken-v0"].kwargs = {"what": "reward", "value": 1e30}
    env = snn_gym.make_vec_env("Broken-v0", 2)
    env.reset()
    for _ in range(9):
        env.step(np.zeros(2, np.int64))


def test_batches_are_checked(monkeypatch):
    env = snn_gym.make_vec_env("CartPole-v1", 3, seed=0)
    assert isinstance(env, StableBaselinesVecEnv)
    env.reset()
    batch = env.vector_env
    step = batch.step

    def broken(actions):
        observations, *rest = step(actions)
        observations[1, 2] = np.nan
        return (observations, *rest)

    monkeypatch.setattr(batch, "step", broken)
    with pytest.raises(ValueError, match="observation nan at step 1 of an episode"):
        env.step(np.zeros(3, np.int64))


@pytest.mark.filterwarnings("ignore:agent .* was not tuned")
def test_a_run_that_gets_nan_leaves_no_agent(tmp_path):
    gym.registry["Broken-v0"].kwargs = {"what": "reward", "value": np.nan}
    with pytest.raises(ValueError, match="reward nan at step 3"):
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
