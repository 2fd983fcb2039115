"""Tests of experience that exceeds the memory: refused before allocation."""

import os
from math import prod

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.buffers import ReplayBuffer

import snn_gym
from snn_gym.zoo.build import available_bytes, check_memory
from snn_gym.zoo.hyperparameters import DQNSettings, PPOSettings
from tests.images import LARGE

# No machine has an exabyte.
REPLAY = (
    r"^a replay buffer of 1,000,000,000,000,000 transitions needs [\d,]{8,}\.\d GiB, 4,800 bytes "
    r"an observation, and [\d,]+\.\d GiB of memory are available; lower buffer_size "
    r"\(--set buffer_size=[1-9]0+\)$"
)
ROLLOUT = (
    r"^a rollout of 100,000,000,000,000 steps of 16 environments needs .* available; lower n_steps "
    r"\(--set n_steps=[1-9]0+\)$"
)


@pytest.mark.parametrize(
    ("agent", "changes", "message"),
    [
        ("dqsn", {"buffer_size": 10**15}, REPLAY),
        ("qrdqn-lif", {"buffer_size": 10**15}, REPLAY),
        ("recurrent-dqsn", {"buffer_size": 10**15}, REPLAY),
        ("ppo-lif", {"n_steps": 10**14}, ROLLOUT),
    ],
)
def test_too_large_experience_is_refused_with_a_size_that_fits(agent, changes, message):
    with pytest.raises(ValueError, match=message):
        snn_gym.make_agent(agent, LARGE, **changes)


def test_the_estimate_is_the_size_of_a_replay_buffer():
    env = snn_gym.make_vec_env(LARGE)
    buffer = ReplayBuffer(100, env.observation_space, env.action_space)
    arrays = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    each = sum(getattr(buffer, name).nbytes for name in arrays) // 100
    fitting = available_bytes() // each
    check_memory(DQNSettings(buffer_size=fitting * 9 // 10), env)
    with pytest.raises(ValueError, match="replay buffer"):
        check_memory(DQNSettings(buffer_size=fitting * 11 // 10), env)


def test_parts_of_a_dict_are_counted_together():
    class Parts(gym.Env[dict[str, np.ndarray], int]):
        observation_space = gym.spaces.Dict(
            {"a": gym.spaces.Box(0, 1, (3, 5)), "b": gym.spaces.MultiBinary(7)}
        )
        action_space = gym.spaces.Discrete(2)
        render_mode = None

    gym.register("Parts-v0", Parts)
    try:
        env = snn_gym.make_vec_env("Parts-v0")
    finally:
        del gym.registry["Parts-v0"]
    with pytest.raises(ValueError, match=rf"{4 * prod((3, 5)) + 7} bytes an observation"):
        check_memory(PPOSettings(n_steps=10**15), env)


def test_available_memory_is_a_share_of_the_machine():
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < available_bytes() <= machine
