"""Tests of CartPole without velocities."""

import gymnasium as gym
import numpy as np

ID = "snn/MaskedCartPole-v1"


def test_observation_is_position_and_angle_of_cartpole():
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


def test_picture_equals_cartpole():
    masked, whole = (gym.make(name, render_mode="rgb_array") for name in (ID, "CartPole-v1"))
    masked.reset(seed=0), whole.reset(seed=0)
    assert np.array_equal(masked.render(), whole.render())
