"""Tests of ``snn-gym watch``: films of runs and stored agents, and error lines."""

import re

import pytest
from PIL import Image

from snn_gym.cli import main
from tests.cli.test_cli import TRAIN

pytestmark = pytest.mark.check


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch") / "run"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


def frames_of(path):
    with Image.open(path) as film:
        return film.n_frames


def test_watch_uses_the_environment_of_the_run(run, tmp_path, capsys):
    film = tmp_path / "film.gif"
    words = ["--save", str(film), "--max-steps", "4", "--episodes", "2", "--seed", "7"]
    assert main(["watch", str(run), *words]) == 0
    first, second, last = capsys.readouterr().out.splitlines()[-3:]
    assert re.fullmatch(r"seed 7: return 4, 4 decisions, [\d.]+ spikes each", first)
    assert second.startswith("seed 8: ")
    assert re.fullmatch(rf"film: {re.escape(str(film))}, 8 frames, \d+ kB", last)
    assert frames_of(film) == 8


def test_stored_agents_are_watched_by_name(tmp_path, capsys):
    film = tmp_path / "film.gif"
    assert main(["watch", "ppo-lif", "CartPole-v1", "--save", str(film), "--max-steps", "3"]) == 0
    assert "seed 0: return 3, 3 decisions" in capsys.readouterr().out
    assert frames_of(film) == 3
