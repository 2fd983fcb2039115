"""Tests of pictures of a run: files, ink, equal bytes and error lines."""

import xml.etree.ElementTree as ET

import gymnasium as gym
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor

import snn_gym
from snn_gym.cli import main
from snn_gym.leaderboard import submit
from snn_gym.plots import plot_run
from snn_gym.plots.frames import record_episode
from snn_gym.plots.run import EVALUATIONS_FILE, read_evaluations
from snn_gym.plots.style import agent_colours
from snn_gym.zoo import build_policy
from tests.training._runs import run

pytestmark = pytest.mark.check
STEMS = ("raster", "membranes", "learning_curve", "dynamics")
SEED = 2_000_000_000


@pytest.fixture(scope="module")
def spiking(tmp_path_factory):
    """A short finished run with its dynamics."""
    folder = tmp_path_factory.mktemp("plotting") / "ppo-lif"
    run("ppo-lif", folder, steps=300, dynamics=True)
    return folder


@pytest.fixture(scope="module")
def pictures(spiking, tmp_path_factory):
    return plot_run(spiking, tmp_path_factory.mktemp("pictures"))


def ink(pixels, colour):
    """Return a mask of the coloured pixels of an (H, W, 4) picture in [0, 1]."""
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.abs(pixels[:, :, :3] - wanted).max(axis=2) < 0.02


def test_every_picture_is_drawn_in_every_format(pictures):
    assert pictures.notes == ()
    assert [path.name for path in pictures.paths] == [
        f"{stem}.{suffix}" for stem in STEMS for suffix in ("png", "svg")
    ]


def test_the_vector_pictures_are_xml_with_text(pictures):
    words = {"raster": "hidden_1", "membranes": "threshold", "learning_curve": "environment steps",
             "dynamics": "rate (Hz)"}  # fmt: skip
    for path in pictures.paths:
        if path.suffix == ".svg":
            texts = [text for x in ET.parse(path).iter() if (text := x.text)]
            assert any(words[path.stem] in text for text in texts)


@pytest.mark.parametrize("stateful", [True, False])
def test_the_raster_is_of_the_episode_that_is_evaluated(stateful, spiking):
    task, policy = "CartPole-v1", snn_gym.load_agent(spiking).policy
    if stateful:
        task = "snn/CueAccumulation-v0"
        policy = build_policy("recurrent-ppo-lsnn", task)
    trace = record_episode(policy, gym.make(task), SEED, 10_000)
    result = snn_gym.evaluate(policy, task, seeds=[SEED])
    assert (trace.stateful, trace.decisions) == (stateful, result.lengths[0])
    spikes = {layer.name: layer.spikes.sum() / trace.decisions for layer in trace.layers}
    assert spikes == pytest.approx(result.spikes_per_decision)


def test_runs_without_dynamics_give_a_hint(spiking, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.json", "manifest.json", "weights.safetensors"):
        (folder / name).write_bytes((spiking / name).read_bytes())
    (folder / "episodes.csv").write_text("timestep,return,length\n")
    drawn = plot_run(folder, formats=["png"])
    assert [path.name for path in drawn.paths] == [f"{stem}.png" for stem in STEMS[:2]]
    assert drawn.paths[0].parent == folder / "plots"
    assert drawn.notes == (
        "no learning curve: no training episode had ended",
        "no dynamics over training: train with `snn-gym train ... --dynamics`",
    )


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["plot", *map(str, words)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_command_draws_equal_bytes_and_keeps_matplotlib_settings(
    spiking, pictures, capsys, tmp_path
):
    settings = dict(mpl.rcParams)
    assert main(["plot", str(spiking), "--out", str(tmp_path / "new"), "--format", "svg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    paths = [tmp_path / "new" / f"{stem}.svg" for stem in STEMS]
    assert lines == [str(path) for path in paths]
    assert dict(mpl.rcParams) == settings
    drawn_before = {x.name: x.read_bytes() for x in pictures.paths if x.suffix == ".svg"}
    assert {path.name: path.read_bytes() for path in paths} == drawn_before


def test_invalid_input_gives_one_line(spiking, capsys, tmp_path):
    assert "holds no training run" in refused(capsys, tmp_path)
    line = refused(capsys, spiking, "--out", tmp_path / "out", "--format", "png,gif")
    assert "format gif is unknown; choose from png, svg" in line
    assert not (tmp_path / "out").exists()
    (tmp_path / "run.json").write_bytes((spiking / "run.json").read_bytes())
    assert "holds no saved agent" in refused(capsys, tmp_path)


def test_the_run_of_an_ann_draws_its_learning_curve(capsys, tmp_path):
    run("ppo-mlp", tmp_path / "mlp", steps=256)
    assert main(["plot", str(tmp_path / "mlp"), "--format", "png"]) == 0
    *paths, note = capsys.readouterr().out.splitlines()
    assert paths == [str(tmp_path / "mlp" / "plots" / "learning_curve.png")]
    assert note == "no spikes to draw: the agent is an ANN"
    cold, warm = (agent_colours({"": spiking})[""] for spiking in (False, True))
    pixels = imread(paths[0])
    assert ink(pixels, cold).sum() > 200
    assert ink(pixels, warm).sum() == 0


def test_evaluations_of_a_run_are_read(tmp_path):
    assert read_evaluations(tmp_path) is None
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=64, seed=0)
    callback = EvalCallback(
        Monitor(gym.make("CartPole-v1")), eval_freq=64, log_path=tmp_path, verbose=0
    )
    model.learn(128, callback=callback)
    logged = np.load(tmp_path / EVALUATIONS_FILE)
    steps, returns = read_evaluations(tmp_path)
    assert steps.tolist() == [64, 128]
    assert returns.tolist() == logged["results"].mean(axis=1).tolist()


def test_the_evaluation_of_a_submission_is_read(spiking, tmp_path):
    submit(spiking, tmp_path / "submission", seeds=[SEED, SEED + 1])
    result = snn_gym.evaluate(snn_gym.load_agent(spiking), "CartPole-v1", seeds=[SEED, SEED + 1])
    steps, returns = read_evaluations(tmp_path)
    # Two whole rollouts of 256 steps
    assert (steps.tolist(), returns.tolist()) == ([512], [result.mean])
