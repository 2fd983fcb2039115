"""Environments some of whose attributes have another value: how the studies change a task."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import gymnasium as gym

CHANGED = "studies/Changed-v0"
"""Gymnasium id; its arguments are those of ``make_changed``."""


@cache
def register_changed() -> None:
    """Make ``CHANGED`` known to gymnasium."""
    gym.register(CHANGED, entry_point=f"{__name__}:make_changed", disable_env_checker=True)


def make_changed(
    task: str, changes: Mapping[str, float], render_mode: str | None = None
) -> gym.Env[Any, Any]:
    """Make an environment some of whose attributes have another value."""
    env = gym.make(task, render_mode=render_mode)
    for name, value in changes.items():
        if not hasattr(env.unwrapped, name):
            raise ValueError(f"{task} has no attribute {name!r}, of which {value} was to be one")
        setattr(env.unwrapped, name, value)
    return env
