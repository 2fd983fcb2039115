"""A disk that is full while a file is written: the file of before stays, and one line names it."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.figure import Figure

import snn_gym
from snn_gym.cli import main
from snn_gym.plots import style
from snn_gym.training.checkpoint import resume_checkpoint, save_checkpoint
from snn_gym.training.dynamics_log import write_rows
from snn_gym.training.logs import EpisodeLog
from snn_gym.zoo import load_agent, save_agent


@contextmanager
def full_after(size):
    """Let no file grow beyond ``size`` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def no_room(path, size=1000):
    """Expect an error that names a file, on a disk that is full; nothing in the folder changes."""
    before = {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    with full_after(size), pytest.raises(OSError, match=r"\w") as caught:
        yield
    assert str(path.parent) in str(caught.value.filename)
    assert caught.value.strerror
    assert before == {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def model():
    return snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0)


def draw(path):
    figure = Figure()
    figure.subplots().plot(np.random.default_rng(0).normal(size=99))
    style.save(figure, path, ["png"])


def episodes(path):
    log = EpisodeLog()
    for k in range(300):
        log.add(k, float(k), 1)
    log.write(path)


WRITERS = {
    "episodes.csv": lambda model, path: episodes(path),
    "dynamics.csv": lambda model, path: write_rows(path, [(k, "a", "b", 0.5) for k in range(300)]),
    "picture.png": lambda model, path: draw(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_finds_no_room_leaves_the_one_before(name, model, tmp_path):
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    WRITERS[name](model, path)
    with no_room(path):
        WRITERS[name](model, path)


@pytest.mark.parametrize("size", [100, 30_000])
def test_an_agent_that_finds_no_room_leaves_the_one_before(size, model, tmp_path):
    folder = save_agent(model, tmp_path / "agent")
    other = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=1)
    with no_room(folder / "manifest.json", size):
        save_agent(other, folder)
    assert load_agent(folder).seed == 0


def test_a_checkpoint_that_finds_no_room_leaves_the_newest(model, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run = {"name": "mine"}
    for steps in (1, 2):
        model.num_timesteps = steps
        save_checkpoint(path, model, EpisodeLog(), run=run)
    model.num_timesteps = 3
    for _ in range(3):
        with full_after(1000), pytest.raises(OSError, match="checkpoint"):
            save_checkpoint(path, model, EpisodeLog(), run=run)
    model.num_timesteps = 0
    resume_checkpoint(path, model, run=run)
    assert model.num_timesteps == 2
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_training_on_a_full_disk_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "train ppo-mlp CartPole-v1 --steps 256 --no-progress --out run"
    with full_after(3000):
        assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "run/" in said
    assert "name a place that can be read and written" in said
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_template_on_a_full_disk_is_not_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with full_after(50):
        assert main(["new", "neuron", "mine"]) == 2
    assert "mine.py" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
