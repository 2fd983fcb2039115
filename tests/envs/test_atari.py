"""Tests of Atari's games with the usual wrappers."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

pytest.importorskip("ale_py", reason='pip install -e ".[atari]"')

import snn_gym.envs.atari  # noqa: F401 - registers the games


def frames(env, actions, seed=3):
    seen = [env.reset(seed=seed)[0], *(env.step(x)[0] for x in actions)]
    env.close()
    return np.stack(seen)


def test_four_images_are_stacked_and_repeat_with_the_seed():
    env = gym.make("Atari/Pong-v5")
    assert env.observation_space == gym.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    seen = frames(env, range(6))
    assert np.array_equal(seen[1:, :3], seen[:-1, 1:])
    assert np.array_equal(seen, frames(gym.make("Atari/Pong-v5"), range(6)))
    assert not np.array_equal(seen, frames(gym.make("Atari/Pong-v5"), range(6), seed=4))


def test_arguments_reach_the_wrappers():
    env = gym.make("Atari/Breakout-v5", screen_size=42, stack=2, frame_skip=2)
    assert env.observation_space.shape == (2, 42, 42)
    env.reset(seed=0)
    before = env.unwrapped.ale.getEpisodeFrameNumber()
    env.step(0)
    assert env.unwrapped.ale.getEpisodeFrameNumber() == before + 2
    env.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gymnasium_accepts_a_game():
    env = gym.make("Atari/Freeway-v5", stack=2)
    check_env(env.unwrapped if env.spec is None else env, skip_render_check=True)
