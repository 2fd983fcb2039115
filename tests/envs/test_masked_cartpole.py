"""CartPole without its velocities is CartPole otherwise."""

import gymnasium as gym
import numpy as np

from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedMaskedCartPole

ID = "snn/MaskedCartPole-v1"


def test_it_shows_position_and_angle_of_cartpole():
    masked, whole = gym.make(ID), gym.make("CartPole-v1")
    seen, _ = masked.reset(seed=3)
    full, _ = whole.reset(seed=3)
    for action in [0, 1, 1, 0] * 5:
        assert np.array_equal(seen, full[[0, 2]])
        assert seen.dtype == np.float32
        assert masked.observation_space.contains(seen)
        seen, *rest = masked.step(action)
        full, *other = whole.step(action)
        assert rest == other
        if rest[1]:
            break


def test_the_batch_is_cartpoles_across_autoresets():
    masked, whole = gym.make_vec(ID, 5), BATCHED_TASKS["CartPole-v1"](5)
    assert isinstance(masked.unwrapped, BatchedMaskedCartPole)
    seen, _ = masked.reset(seed=7)
    full, _ = whole.reset(seed=7)
    generator, ended = np.random.default_rng(0), 0
    for _ in range(120):
        assert np.array_equal(seen, full[:, [0, 2]])
        actions = generator.integers(2, size=5)
        seen, *rest, infos = masked.step(actions)
        full, *other, all_infos = whole.step(actions)
        for one, same in zip(rest, other, strict=True):
            assert np.array_equal(one, same)
        for index in np.flatnonzero(rest[1]):
            last = all_infos["final_obs"][index][[0, 2]]
            assert np.array_equal(infos["final_obs"][index], last)
            ended += 1
    assert ended > 10


def test_it_draws_cartpoles_picture():
    masked, whole = (gym.make(name, render_mode="rgb_array") for name in (ID, "CartPole-v1"))
    masked.reset(seed=0), whole.reset(seed=0)
    assert np.array_equal(masked.render(), whole.render())
