"""Draw the pictures of the environments, for cards and gallery, at a fixed seed.

    python docs/draw_task_pictures.py            # all of them
    python docs/draw_task_pictures.py WaterMaze  # some, by a part of the name

That of a native task shows a scripted policy at work: the last environment step before the end of
the first episode, or the 16th, as many as the raster beside the scene looks back. The others show
random actions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import gymnasium as gym
import numpy as np
from matplotlib import image as images
from numpy.typing import NDArray

from references import Scripted, scripted_policy
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.event_tracking import EventTracking
from snn_gym.envs.registry import EnvironmentSpec, env_ids, load_environment_spec, make_task
from snn_gym.envs.rendering import SHOWN_ENVIRONMENT_STEPS

TARGET = Path(__file__).resolve().parent / "images"
SEED = 3
RANDOM_ACTIONS = 40


def lowest_levels() -> list[EnvironmentSpec]:
    """Return the environments, of each the lowest level."""
    specs = {env_id: load_environment_spec(env_id) for env_id in env_ids()}
    return [spec for env_id, spec in specs.items() if env_id == f"snn/{spec.name}"]


def native(spec: EnvironmentSpec) -> bool:
    """Return whether an environment is a native task, which draws its spikes too."""
    return spec.task is not None and spec.task.entry_point.startswith("snn_gym.envs.native.")


def player(task: SpikeTask) -> Scripted:
    """Return the oracle, but of event tracking the controller: a still camera sees no events."""
    return scripted_policy(task, "memoryless" if isinstance(task, EventTracking) else "oracle")


def plain_picture(env_id: str) -> NDArray[np.uint8]:
    """Play random actions, at most to an episode's end; return the last picture."""
    env = make_task(env_id, render_mode="rgb_array")
    env.reset(seed=SEED)
    env.action_space.seed(SEED)
    for _ in range(RANDOM_ACTIONS):
        if any(env.step(env.action_space.sample())[2:4]):
            break
    shown = cast(NDArray[np.uint8], env.render())
    env.close()
    return shown


def picture(env_id: str) -> NDArray[np.uint8]:
    """Play a part of an episode; return the last picture (height, width, 3)."""
    task = cast(SpikeTask, gym.make_vec(env_id, 1, render_mode="rgb_array"))
    policy = player(task)
    spikes, _ = task.reset(seed=SEED)
    starts = np.ones(1, np.bool_)
    shown = task.draw(0)
    for _ in range(SHOWN_ENVIRONMENT_STEPS - 1):
        spikes, _, terminated, truncated, _ = task.step(policy.act(spikes, starts))
        starts = terminated | truncated
        if starts[0]:
            # The picture would be that of the next episode's start.
            break
        shown = task.draw(0)
    task.close()
    return shown


def main(parts: list[str]) -> None:
    """Write the pictures of the environments whose names have one of the parts, or of all."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for spec in lowest_levels():
        if not parts or any(part in spec.name for part in parts):
            drawn = picture(f"snn/{spec.name}") if native(spec) else plain_picture(spec.base_id)
            images.imsave(TARGET / f"{spec.name}.png", drawn)


if __name__ == "__main__":
    main(sys.argv[1:])
