"""Tests of ``make_task``: missing extras, and MuJoCo rendering without a screen."""

import os
import subprocess
import sys

import numpy as np
import pytest

from snn_gym.envs.registry import make_task
from tests.opengl import skip_where_it_cannot_be_drawn


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "egl" if sys.platform == "linux" else None),
        ({"DISPLAY": ":0"}, None),
        ({"WAYLAND_DISPLAY": "wayland-0"}, None),
        ({"MUJOCO_GL": "osmesa"}, "osmesa"),
    ],
)
def test_mujoco_uses_egl_without_a_screen_or_setting(environment, expected, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    make_task("InvertedDoublePendulum-v5")
    assert os.environ.get("MUJOCO_GL") == environment.get("MUJOCO_GL")
    make_task("InvertedDoublePendulum-v5", render_mode="rgb_array")
    assert os.environ.get("MUJOCO_GL") == expected


def test_a_missing_extra_is_named_in_one_line():
    code = (
        "import sys\n"
        "sys.modules['Box2D'] = sys.modules['mujoco'] = None\n"
        "import gymnasium as gym, snn_gym\n"
        "from snn_gym.envs.registry import make_task\n"
        "for make, env_id in ((gym.make, 'snn/LunarLander-v3'), (make_task, 'HalfCheetah-v5')):\n"
        "    try:\n"
        "        make(env_id)\n"
        "    except gym.error.DependencyNotInstalled as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    remedy = "needs packages that are not installed; in the clone of snn_gym, run pip install"
    assert done.stdout.splitlines() == [
        f'LunarLander-v3 {remedy} -e ".[box2d]"',
        f'HalfCheetah-v5 {remedy} -e ".[mujoco]"',
    ]


def test_the_camera_follows_the_body():
    skip_where_it_cannot_be_drawn("Hopper-v5")
    env = make_task("Hopper-v5", render_mode="rgb_array")
    env.reset(seed=0)
    data = env.unwrapped.data
    columns = []
    for place_m in (0.0, 25.0):
        data.qpos[0] = place_m
        env.unwrapped.set_state(data.qpos, data.qvel)
        red, _, blue = np.moveaxis(env.render().astype(int), 2, 0)
        # The body is brown, the floor and the sky are not.
        columns.append(np.argwhere(red > blue + 40)[:, 1].mean())
    assert columns[0] == pytest.approx(columns[1], abs=5)
