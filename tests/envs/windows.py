"""Rendering windows of environments."""

import gymnasium as gym


def open_and_close(env: gym.Env) -> None:
    """Play one environment step in a window, and close it twice."""
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is None
    env.close()
    env.close()
