"""``snn-gym watch``: films by a run or by a name, and one line for what can't be shown."""

import re

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from snn_gym.cli import main
from snn_gym.zoo import load_agent, make_lean, save_agent
from tests.cli.test_cli import TRAIN, refused


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch") / "run"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


def frames_of(path):
    with Image.open(path) as film:
        return film.n_frames


def test_a_run_is_watched_on_its_own_environment(run, tmp_path, capsys):
    film = tmp_path / "film.gif"
    words = ["--save", str(film), "--max-steps", "4", "--episodes", "2", "--seed", "7"]
    assert main(["watch", str(run), *words]) == 0
    first, second, last = capsys.readouterr().out.splitlines()[-3:]
    assert re.fullmatch(r"seed 7: return 4, 4 decisions, [\d.]+ spikes each", first)
    assert second.startswith("seed 8: ")
    assert re.fullmatch(rf"film: {re.escape(str(film))}, 8 frames, \d+ kB", last)
    assert frames_of(film) == 8


def test_a_trained_agent_is_watched_by_its_name(tmp_path, capsys):
    film = tmp_path / "film.gif"
    assert main(["watch", "ppo-lif", "CartPole-v1", "--save", str(film), "--max-steps", "3"]) == 0
    assert "seed 0: return 3, 3 decisions" in capsys.readouterr().out
    assert frames_of(film) == 3


def test_a_lean_agent_is_watched(run, tmp_path):
    lean = tmp_path / "lean"
    save_agent(make_lean(load_agent(run), 64, updates=2), lean)
    film = tmp_path / "film.gif"
    assert main(["watch", str(lean), "--save", str(film), "--max-steps", "2"]) == 0
    assert frames_of(film) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ppo-lof CartPole-v1", "neither a folder of a run nor an agent .* did you mean 'ppo-lif'"),
        ("ppo-lif", "watch ppo-lif on what[?] name an environment"),
        ("ppo-lif CartPol-v1", "CartPol-v1.*CartPole-v1"),
        ("{run} Acrobot-v1", "the agent's observation_space .* name the environment"),
        ("{empty}", "holds no saved agent"),
        ("ppo-lif CartPole-v1 --fps 51", "frames_per_second must be .* at most 50, got 51"),
    ],
)
def test_a_mistake_is_one_line(run, tmp_path, capsys, words, message):
    film = tmp_path / "film.gif"
    given = words.format(run=run, empty=tmp_path).split()
    assert re.search(message, refused(capsys, "watch", *given, "--save", film))
    assert not film.exists()


@pytest.mark.parametrize("name", ["film.avi", "absent/film.gif"])
def test_a_film_that_can_not_be_written_is_one_line(tmp_path, capsys, name):
    assert name in refused(capsys, "watch", "ppo-lif", "CartPole-v1", "--save", tmp_path / name)


def test_without_a_display_the_line_says_how_to_save(capsys):
    backend = plt.get_backend()
    plt.switch_backend("agg")
    try:
        line = refused(capsys, "watch", "ppo-lif", "CartPole-v1")
    finally:
        plt.switch_backend(backend)
    assert "--save film.gif" in line
