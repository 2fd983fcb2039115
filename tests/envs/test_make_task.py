"""Tests of ``make_task``: missing extras, and MuJoCo rendering without a screen."""

import os
import subprocess
import sys

import pytest

from snn_gym.envs.registry import make_task


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
    remedy = "needs packages that are not installed; install them with: pip install"
    assert done.stdout.splitlines() == [
        f'LunarLander-v3 {remedy} "snn-gym[box2d]"',
        f'HalfCheetah-v5 {remedy} "snn-gym[mujoco]"',
    ]
