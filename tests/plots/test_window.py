"""Tests of windows: on a display, closed early, and without a display."""

import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

from snn_gym.plots.films import check_window

_SCRIPT = """
import matplotlib.pyplot as plt
from snn_gym.plots import FilmSettings, show_film
from snn_gym.plots.frames import draw_frame
from snn_gym.plots import films
from snn_gym.plots.films import show_frames
from snn_gym.zoo import build_policy
import numpy as np

film = show_film(build_policy("ppo-lif", "CartPole-v1"), "CartPole-v1", FilmSettings(max_steps=3))
print(film.frames, film.episodes[0].decisions)

def closed_after_two():
    for k in range(9):
        if k == 2:
            plt.close("all")
        yield np.zeros((40, 60, 3), np.uint8)

print(show_frames(closed_after_two(), 50, "closed"), plt.get_backend().lower() != "agg")
"""


@pytest.fixture
def display():
    """Number of a virtual display."""
    pytest.importorskip("tkinter", reason="the windows of matplotlib's that are tried need Tk")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x900x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            yield f":{answer.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def test_windows_show_every_decision_until_closed(display):
    environment = {name: x for name, x in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={**environment, "DISPLAY": display},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["3 3", "2 True"], done.stderr


def test_missing_display_asks_for_a_file():
    # Other tests may have left figures open in this process.
    backend, before = plt.get_backend(), plt.get_fignums()
    plt.switch_backend("agg")
    try:
        with pytest.raises(ValueError, match=r"no window can be opened here: .*--save film\.gif"):
            check_window()
    finally:
        plt.switch_backend(backend)
    assert set(plt.get_fignums()) <= set(before)
