"""Tests of policies whose networks convolve planes or images."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import ConstantSchedule
from stable_baselines3.common.vec_env import VecFrameStack

import snn_gym
from snn_gym import learners
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    StatefulActorCriticPolicy,
)

NETWORK = {"convolutions": [{"filters": 4}], "hidden_sizes": [16], "time_steps": 4}
PLANES = spaces.MultiBinary((2, 5, 5))
IMAGE = spaces.Box(0, 255, (2, 12, 12), np.uint8)
KINDS = {
    "spiking": {},
    "ANN": {"spiking_actor": False},
    "quantised": {"spiking_actor": False, "bits": 4},
}


class WhichPlane(gym.Env):
    """The right action is the plane with two neighbours in a row; the other has them apart."""

    observation_space, action_space = PLANES, spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        reward = float(action == self._right)
        return self._observe(), reward, bool(self.np_random.random() < 0.1), False, {}

    def _observe(self):
        self._right = int(self.np_random.integers(2))
        planes = np.zeros((2, 5, 5), np.int8)
        row, column = self.np_random.integers(1, 4, 2)
        planes[self._right, row, [column, column + 1]] = 1
        planes[1 - self._right, row, [column - 1, column + 1]] = 1
        return planes


def made(space, **arguments):
    network = {**NETWORK, **arguments.pop("network", {})}
    return SpikingActorCriticPolicy(
        space, spaces.Discrete(3), ConstantSchedule(1e-3), network=network, **arguments
    )


@pytest.mark.parametrize("space", [PLANES, IMAGE], ids=["planes", "image"])
@pytest.mark.parametrize("kind", KINDS)
def test_programs_and_policies_choose_alike(space, kind):
    policy = made(space, **KINDS[kind])
    space.seed(0)
    for observation in (space.sample() for _ in range(50)):
        action, _ = policy.predict(observation, deterministic=True)
        chosen = policy.predict_by_torch(observation, deterministic=True)[0]
        assert action == chosen


@pytest.mark.parametrize("kind", KINDS)
def test_channels_may_come_last(kind):
    """A user's planes (H, W, C) are those of (C, H, W), also without a standardisation."""
    first = made(PLANES, **KINDS[kind])
    last = made(spaces.Box(0, 1, (5, 5, 2), np.bool_), **KINDS[kind])
    last.load_state_dict(first.state_dict())
    assert last.normaliser is None
    seen = np.random.default_rng(0).random((200, 2, 5, 5)) < 0.3
    planes, turned = seen.astype(np.int8), np.ascontiguousarray(seen.transpose(0, 2, 3, 1))
    for observed in (slice(None), slice(1)):  # by PyTorch and by compiled code
        pairs = (first, planes[observed]), (last, turned[observed])
        actions = [x.predict(y, deterministic=True)[0] for x, y in pairs]
        assert np.array_equal(*actions)
    assert len(set(first.predict(planes, deterministic=True)[0])) > 1


def test_frames_of_planes_are_stacked():
    """By gymnasium, as an axis before the planes, and by Stable-Baselines3, among them."""
    wrapped = gym.wrappers.FrameStackObservation(WhichPlane(), 3)
    batch = make_vec_env("snn/MinAtar-Breakout-v0", 2, env_kwargs={"box": True})
    stacked = VecFrameStack(batch, 3, channels_order="first")
    for env, planes in ((wrapped, (6, 5, 5)), (stacked, (12, 10, 10))):
        model = learners.PPO(
            "SpikingCnnPolicy", env, n_steps=32, batch_size=32, n_epochs=2, device="cpu"
        )
        model.learn(64)
        config = model.policy.builder.config
        assert (config.planes, config.channels_last) == (planes, False)
        seen = np.zeros((1, *env.observation_space.shape), env.observation_space.dtype)
        assert len(model.predict(seen)[0]) == 1


def test_large_images_are_left_to_an_ordinary_cnn():
    with pytest.raises(ValueError, match=r"synapses, .* so that images pass an ordinary CNN"):
        made(spaces.Box(0, 255, (4, 84, 84), np.uint8))


@pytest.mark.check
def test_ppo_learns_a_pattern():
    model = learners.PPO(
        SpikingActorCriticPolicy, make_vec_env(WhichPlane, 8, seed=0), n_steps=64,
        batch_size=128, learning_rate=3e-3, seed=0, device="cpu", gamma=0.0,
        policy_kwargs={"network": NETWORK},
    )  # fmt: skip
    model.learn(3_072)
    env, right = WhichPlane(), []
    observation, _ = env.reset(seed=5)
    for _ in range(200):
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, *_ = env.step(int(action))
        right.append(reward)
    assert np.mean(right) > 0.9


def test_saved_and_loaded_policies_act_alike(tmp_path):
    model = PPO(
        SpikingActorCriticPolicy, "snn/MinAtar-Breakout-v0", n_steps=32, batch_size=32, seed=0,
        device="cpu", policy_kwargs={"network": NETWORK},
    )  # fmt: skip
    model.learn(64)
    loaded = snn_gym.load_agent(snn_gym.save_agent(model, tmp_path / "agent"))
    observations = model.get_env().reset()
    for _ in range(20):
        actions, _ = model.predict(observations, deterministic=True)
        assert np.array_equal(loaded.predict(observations, deterministic=True)[0], actions)
        observations, *_ = model.get_env().step(actions)


@pytest.mark.parametrize(
    ("policy", "space", "arguments", "message"),
    [
        (SpikingActorCriticPolicy, spaces.Box(-1, 1, (8,)), {}, "convolutions need planes"),
        (SpikingControllerPolicy, PLANES, {}, "moves each weight alone, and convolutions share"),
        (
            StatefulActorCriticPolicy, PLANES, {"spiking_actor": False},
            r"gated units \(gru\) have no convolutions",
        ),
    ],
)  # fmt: skip
def test_what_has_no_planes_is_refused(policy, space, arguments, message):
    with pytest.raises(ValueError, match=message):
        policy(space, spaces.Discrete(2), ConstantSchedule(1e-3), network=NETWORK, **arguments)
