"""Rendering windows of environments."""

import gymnasium as gym
import pygame


def assert_window_opens_and_closes(env: gym.Env) -> None:
    """Play one environment step in a window, and close it twice."""
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert pygame.display.get_init()
    assert env.render() is None
    env.close()
    env.close()
    assert not pygame.display.get_init()
