"""Tests of training in a folder: files and error messages."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from snn_gym._base.folders import locked
from snn_gym._base.storage import load_tensors
from snn_gym.training import read_training, train
from snn_gym.training.run import SegmentCallback
from snn_gym.zoo import load_agent, read_manifest
from tests.edits import edit_json
from tests.training._runs import INTERVAL, RESULTS, STEPS, Killed, killed_at, results, run


def test_finished_runs_have_no_checkpoint(finished):
    folder = finished("ppo-lif")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([*RESULTS, "run.json"])
    settings = read_training(folder)
    assert (settings.agent, settings.environment, settings.seed) == ("ppo-lif", "CartPole-v1", 7)
    assert (settings.steps, settings.checkpoint_interval) == (STEPS, INTERVAL)
    manifest = read_manifest(folder)
    assert manifest.agent == "ppo-lif"
    assert STEPS <= manifest.num_timesteps < STEPS + 256
    assert load_agent(folder).num_timesteps == manifest.num_timesteps


def test_the_episodes_add_up(finished):
    folder = finished("ppo-lif")
    header, *lines = (folder / "episodes.csv").read_text().splitlines()
    assert header == "timestep,return,length"
    rows = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    timesteps, returns, lengths = rows.T
    assert (np.diff(timesteps) >= 0).all()
    assert_close(returns, lengths)  # CartPole gives 1 for every step
    n_envs = load_agent(folder).n_envs
    cut_off = n_envs * (STEPS // INTERVAL + 1)  # an episode in each environment at each reset
    total = read_manifest(folder).num_timesteps
    assert total - 500 * cut_off <= lengths.sum() <= total
    assert len(lines) > 10


def test_runs_differ_by_their_seeds_and_not_by_global_random_state(finished, tmp_path):
    expected = results(finished("ppo-lif"))
    np.random.seed(123)  # noqa: NPY002 - the global state
    torch.manual_seed(123)
    run("ppo-lif", tmp_path / "same")
    run("ppo-lif", tmp_path / "other", seed=8)
    assert results(tmp_path / "same") == expected
    other, mine = (
        load_tensors(folder / "weights.safetensors", max_bytes=1 << 24)[0]
        for folder in (tmp_path / "other", finished("ppo-lif"))
    )
    assert any(not torch.equal(other[name], mine[name]) for name in mine)


def test_training_restores_the_number_of_threads(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run("ppo-mlp", tmp_path / "run", steps=256)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_budget_is_the_default(tmp_path):
    with killed_at(1):
        train("ppo-lif", "Acrobot-v1", out=tmp_path, tensorboard=False)
    assert read_training(tmp_path).steps == 300_000


def test_a_folder_in_use_is_refused_without_resume(finished):
    before = results(finished("ppo-lif"))
    with pytest.raises(ValueError, match="is not empty; use --resume"):
        run("ppo-lif", finished("ppo-lif"))
    assert results(finished("ppo-lif")) == before


def test_resuming_a_finished_run_has_no_effect(finished):
    folder = finished("ppo-lif")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = run("ppo-lif", folder, resume=True)
    assert again.was_finished
    assert again.steps == read_manifest(folder).num_timesteps
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 9}, "holds a run with seed 7, not 9"),
        ({"steps": 99}, f"holds a run with steps {STEPS}, not 99"),
        ({"interval": 5}, f"holds a run with checkpoint_interval {INTERVAL}, not 5"),
        ({"env_id": "Acrobot-v1"}, "holds a run with environment 'CartPole-v1', not 'Acrobot-v1'"),
    ],
)
def test_resuming_with_other_settings_is_refused(finished, options, message):
    with pytest.raises(ValueError, match=message):
        run("ppo-lif", finished("ppo-lif"), resume=True, **options)


def test_resuming_deletes_only_temporary_files_of_the_run(finished, tmp_path):
    mine = (".notes.partial", ".run.json.partial", ".run.json.abc.partial", ".x.abcd_123.partial")
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".run.json.abcd_123.partial").mkdir()
    with pytest.raises(ValueError, match=r"holds no training run: there is no run\.json"):
        run("ppo-lif", tmp_path, resume=True)
    shutil.copy(finished("ppo-lif") / "run.json", tmp_path)
    run("ppo-lif", tmp_path, resume=True)
    assert results(tmp_path) == results(finished("ppo-lif"))
    assert all((tmp_path / name).read_text() == "mine" for name in mine)
    assert (tmp_path / ".run.json.abcd_123.partial").is_dir()


def test_folders_of_another_run_are_not_cleaned(finished, tmp_path):
    shutil.copytree(finished("ppo-lif"), tmp_path / "run")
    half = tmp_path / "run" / ".run.json.abcd_123.partial"
    half.write_text("half")
    with pytest.raises(ValueError, match="holds a run with seed 7, not 9"):
        run("ppo-lif", tmp_path / "run", resume=True, seed=9)
    assert half.exists()


def test_a_second_process_in_the_folder_is_refused_at_once(tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(ValueError, match="is in use by another process") as caught,
    ):
        run("ppo-lif", tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_holds_its_folders_lock_until_it_ends(tmp_path, monkeypatch):
    def try_to_lock(*_, **__):
        with pytest.raises(ValueError, match="in use"), locked(tmp_path, wait=False):
            pass
        raise Killed

    monkeypatch.setattr("snn_gym.training.run.save_agent", try_to_lock)
    with pytest.raises(Killed):
        run("ppo-mlp", tmp_path, steps=256)
    with locked(tmp_path, wait=False):
        pass


def test_unwritable_folders_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(SegmentCallback, "_on_step", None)  # training would fail
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/self")):
        with pytest.raises(ValueError, match=r"is a file; expected a folder|can't be written"):
            run("ppo-mlp", out, resume=True)


def test_resuming_under_other_versions_warns(finished):
    file = finished("ppo-mlp") / "run.json"
    settings = json.loads(file.read_text())
    settings["versions"]["torch"] = "1.0"
    edit_json(file, versions=settings["versions"])
    with pytest.warns(UserWarning, match="begun with other versions of torch"):
        run("ppo-mlp", finished("ppo-mlp"), resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "ppo"}, "agent 'ppo' is unknown"),
        (
            {"env_id": "CartPole-v9"},
            "environment 'CartPole-v9' is not registered; did you mean 'CartPole-v1'",
        ),
        ({"agent": "dqsn", "env_id": "Pendulum-v1"}, "DQN takes Discrete actions, and Pendulum-v1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"interval": 0}, "checkpoint_interval must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 10**9}, "seed must be at least 0 and below 1000000000, got 1000000000"),
    ],
)
def test_bad_arguments_are_refused_before_the_folder_is_made(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**{"agent": "ppo-lif", "out": tmp_path / "run", **arguments})
    assert not (tmp_path / "run").exists()
