"""Tests of image agents on the command line: train, resume, evaluate, watch, submit."""

from __future__ import annotations

import numpy as np
import pytest

from snn_gym.cli import main
from snn_gym.zoo import read_manifest
from tests.cli.test_cli import refused
from tests.images import FLOATS, LARGE, SMALL
from tests.marked import slow

MODULE = ["--module", "tests.images"]
FEW = ["n_envs=2", "n_steps=16", "batch_size=16", "n_epochs=1"]
PONG = "ALE/Pong-v5"


def settings(*changes):
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.check
@pytest.mark.parametrize("env_id", [SMALL, *(slow(x) for x in (LARGE, FLOATS))])
def test_an_agent_of_images_is_trained_and_used(env_id, tmp_path, capsys):
    run = str(tmp_path / "run")
    words = ["train", "ppo-lif", env_id, *MODULE, "--steps", "64", "--eval-every", "32"]
    words += ["--out", run, "--dynamics", *settings(*FEW)]
    assert main(words) == 0
    assert "score: mean return" in capsys.readouterr().out
    assert main([*words, "--resume"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert np.load(f"{run}/evaluations.npz")["timesteps"].tolist() == [32, 64]
    assert main(["evaluate", run, *MODULE, "--episodes", "2"]) == 0
    assert main(["watch", run, *MODULE, "--save", str(tmp_path / "film.gif")]) == 0
    assert main(["plot", run, *MODULE]) == 0
    line = refused(capsys, "submit", run, *MODULE)
    assert f"was trained on {env_id}, which has no file under envs/; expected" in line
    assert "CONTRIBUTING.md says how to add it" in line


def pong(folder, steps, interval, *changes):
    """Return the command that trains or resumes an agent on Pong."""
    pytest.importorskip("ale_py", reason='pip install -e ".[atari]"')
    words = ["train", "ppo-lif", PONG, "--module", "ale_py", "--steps", str(steps), "--resume"]
    words += ["--checkpoint-interval", str(interval), "--no-progress", "--out", str(folder)]
    return [*words, *settings(*changes)]


@pytest.mark.slow
def test_pong_is_trained_and_scored(tmp_path, capsys):
    # Games of 20 decisions, of 4 frames each.
    short = ["--env-arg", "max_num_frames_per_episode=80"]
    run = str(tmp_path / "run")
    assert main([*pong(tmp_path / "run", 64, 32, *FEW), *short]) == 0
    assert read_manifest(run).observation_space["shape"] == [3, 210, 160]
    assert main(["evaluate", run, "--module", "ale_py", "--episodes", "2"]) == 0
    line = refused(capsys, "submit", run, "--module", "ale_py")
    assert "was trained on ALE/Pong-v5, which has no file" in line
