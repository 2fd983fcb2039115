"""Skip of tests that draw MuJoCo tasks without OpenGL."""

import functools
import subprocess
import sys

import pytest

from snn_gym.envs.registry import load_environment_spec

# Asked in a process of its own, which some machines without OpenGL end at once.
_DRAW = (
    "import snn_gym.envs.registry\n"
    "env = snn_gym.envs.registry.make_task('InvertedDoublePendulum-v5', render_mode='rgb_array')\n"
    "env.reset(seed=0)\n"
    "assert env.render().any()\n"
)


@functools.cache
def _draws() -> bool:
    command = [sys.executable, "-c", _DRAW]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def skip_where_it_cannot_be_drawn(env_id: str) -> None:
    """Skip a test that draws a task if the task cannot be drawn."""
    if load_environment_spec(env_id).extra == "mujoco" and not _draws():
        pytest.skip("pictures of MuJoCo's tasks need OpenGL, which this machine has not")
