"""Draw the pictures of the native tasks' cards: a scripted policy at work, at a fixed seed.

    python docs/draw_task_pictures.py            # all of them
    python docs/draw_task_pictures.py WaterMaze  # some, by a part of the name

Each shows the last environment step before the end of the first episode, or the 16th: as many as
the raster beside the scene looks back.
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
from snn_gym.registry import env_ids, load_environment_spec
from snn_gym.tasks.native.batch import SpikeTask
from snn_gym.tasks.native.event_tracking.task import EventTracking
from snn_gym.tasks.rendering import SHOWN_ENVIRONMENT_STEPS

TARGET = Path(__file__).resolve().parent / "images"
SEED = 3


def native_ids() -> list[str]:
    """Return the lowest levels of the native tasks."""
    specs = {env_id: load_environment_spec(env_id) for env_id in env_ids()}
    return [
        env_id
        for env_id, spec in specs.items()
        if spec.task is not None
        and spec.task.entry_point.startswith("snn_gym.tasks.native.")
        and env_id == f"snn/{spec.name}"
    ]


def player(task: SpikeTask) -> Scripted:
    """Return the oracle, but of event tracking the controller: a still camera sees no events."""
    return scripted_policy(task, "memoryless" if isinstance(task, EventTracking) else "oracle")


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
    """Write the pictures of the tasks whose ids have one of the parts, of all without parts."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for env_id in native_ids():
        if not parts or any(part in env_id for part in parts):
            images.imsave(TARGET / f"{env_id.removeprefix('snn/')}.png", picture(env_id))


if __name__ == "__main__":
    main(sys.argv[1:])
