"""Tests of runs with changed settings: used in training, and kept on resume."""

import dataclasses
import shutil

import gymnasium as gym
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from snn_gym._base.storage import dump_sealed
from snn_gym.training import make_training, read_training, train
from snn_gym.zoo import load_agent, read_manifest
from snn_gym.zoo.files import package_versions
from tests.training._runs import INTERVAL, STEPS, killed_at, results, run

pytestmark = pytest.mark.check

CHANGES = {
    "hyperparameters": {"gamma": 0.5, "n_envs": 4},
    "network": {"time_steps": 3, "hidden_sizes": (8,)},
    "environment_kwargs": {"g": 3.5},
}
SMALL = {"env_id": "Pendulum-v1", "steps": 1024, "interval": 512}


def changed(out, **options):
    changes = {**CHANGES, "hyperparameters": {**CHANGES["hyperparameters"], "n_steps": 64}}
    return run("ppo-lif", out, **{**SMALL, **changes, **options})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed") / "run"
    changed(folder)
    return folder


def test_changed_settings_are_trained(trained):
    model = load_agent(trained)
    assert (model.gamma, model.n_envs, model.n_steps) == (0.5, 4, 64)
    assert model.policy.network.time_steps == 3
    assert model.policy.network.hidden_sizes == (8,)
    # The rest is from the agent's file.
    assert model.policy.network.surrogate_slope == 5.0
    assert model.gae_lambda == 0.95
    assert read_manifest(trained).environment_kwargs == {"g": 3.5}


def test_the_environments_get_their_arguments(tmp_path):
    """Under strong gravity a pendulum swings about its lowest point, which costs most."""
    worst = {}
    for g in (0.0, 60.0):
        out = tmp_path / str(g)
        changed(out, environment_kwargs={"g": g}, interval=10_000)
        rows = (out / "episodes.csv").read_text().splitlines()[1:]
        worst[g] = min(float(row.split(",")[1]) for row in rows)
    assert worst[60.0] < -1600 < worst[0.0]


def test_checkpoints_leave_time_for_episodes(own_names):
    """10,000 steps, or a task's own number; of other environments 10,000 of each of 16 copies."""
    gym.register("Unknown-v0", entry_point=CartPoleEnv)
    pairs = {
        ("ppo-lif", "CartPole-v1"): 10_000,
        ("ppo-conv", "snn/MinAtar-Breakout-v0"): 640_000,
        ("ppo-lif", "Unknown-v0"): 160_000,
    }
    found = {pair: make_training(*pair, steps=1).checkpoint_interval for pair in pairs}
    assert found == pairs


def test_a_training_without_a_whole_episode_warns(tmp_path):
    """Pendulum's episodes have 200 steps; here each of 4 copies is reset after 128."""
    with pytest.warns(UserWarning, match="no episode ended: .* after every 128 steps of each"):
        changed(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_gives_one_warning_and_is_not_recorded(tmp_path, finished):
    with pytest.warns(UserWarning, match="device 'cuda' is not available here, so the") as caught:
        run("ppo-mlp", tmp_path / "run", device="cuda")
    assert len([x for x in caught if "device" in str(x.message)]) == 1
    assert results(tmp_path / "run") == results(finished("ppo-mlp"))
    assert read_training(tmp_path / "run").device == "cpu"


def test_runs_on_another_device_are_not_resumed(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    settings = make_training("ppo-mlp", "CartPole-v1", seed=7, steps=STEPS,
                                 checkpoint_interval=INTERVAL)  # fmt: skip
    there = dataclasses.replace(settings, device="cuda")  # as on a machine with a GPU
    (out / "run.json").write_bytes(dump_sealed(there.recorded()))
    assert read_training(out).device == "cuda"
    with pytest.raises(ValueError, match="holds a run with device 'cuda', not 'cpu'; resume it"):
        run("ppo-mlp", out, resume=True)


def test_unknown_devices_are_refused(tmp_path):
    with pytest.raises(ValueError, match="device 'gpu' is unknown to PyTorch; use cpu, cuda,"):
        run("ppo-mlp", tmp_path / "run", device="gpu")
    assert not (tmp_path / "run").exists()


def test_a_killed_run_keeps_its_settings(trained, tmp_path):
    with killed_at(800):
        changed(tmp_path / "run")
    assert changed(tmp_path / "run", resume=True).resumed_at == 512
    assert results(tmp_path / "run") == results(trained)


def test_runs_of_another_version_keep_their_initial_settings(tmp_path, monkeypatch):
    options = {"env_id": "CartPole-v1", "steps": 1024, "interval": 512}
    begun = {"hyperparameters": {"gamma": 0.5}, "network": {"hidden_sizes": [8]}}
    older = {**package_versions(), "snn_gym": "0.9"}
    with monkeypatch.context() as patch, killed_at(800):
        patch.setattr("snn_gym.training.record.package_versions", lambda: older)
        run("ppo-lif", tmp_path / "run", **begun, **options)
    with pytest.warns(UserWarning, match="begun with other versions of snn_gym"):
        run("ppo-lif", tmp_path / "run", resume=True, **options)
    model = load_agent(tmp_path / "run")
    assert (model.gamma, model.policy.network.hidden_sizes) == (0.5, (8,))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hyperparameters", r"settings\.hyperparameters\.gamma 0\.5, not"),
        ("network", r"settings\.network\.hidden_sizes \[8\], not"),
        ("environment_kwargs", r"environment_kwargs\.g 3\.5, not None"),
    ],
)
def test_resuming_with_other_settings_is_refused(name, said, trained):
    before = results(trained)
    with pytest.raises(ValueError, match=f"holds a run with {said}.*; resume it with"):
        changed(trained, resume=True, **{name: {}})
    assert results(trained) == before


def test_checkpoints_with_other_settings_are_not_used(tmp_path):
    for name, gamma in (("own", {}), ("other", {"gamma": 0.5})):
        with killed_at(800):
            run("ppo-lif", tmp_path / name, hyperparameters=gamma, steps=1024, interval=512)
    shutil.copy(tmp_path / "other" / "checkpoint.safetensors", tmp_path / "own")
    with pytest.raises(
        ValueError, match=r"of a run with settings\.hyperparameters\.gamma 0\.5, not 0\.98"
    ):
        run("ppo-lif", tmp_path / "own", resume=True, steps=1024, interval=512)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyperparameters": {"gama": 1}}, "unknown key gama; did you mean 'gamma'?"),
        ({"hyperparameters": {"gamma": "x"}}, "gamma: expected float, got 'x'"),
        ({"hyperparameters": {"gamma": object()}}, "hyperparameters .* hold more than plain data"),
        ({"network": {"time_step": 2}}, "unknown key time_step; did you mean 'time_steps'?"),
        ({"network": {"time_steps": 0}}, "time_steps must be at least 1, got 0"),
        (
            {"environment_kwargs": {"gg": 1}},
            "Pendulum-v1 takes no argument 'gg'; did you mean 'g'?",
        ),
        ({"environment_kwargs": {"g": "os:x"}}, "names a module"),
        ({"eval_every": -1}, "eval_every must be at least 0, got -1"),
    ],
)
def test_bad_settings_are_refused_before_the_folder_is_made(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        train("ppo-lif", "Pendulum-v1", out=tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_unknown_settings_are_unknown_arguments():
    with pytest.raises(TypeError, match="unexpected keyword argument 'sede'"):
        make_training("ppo-lif", "CartPole-v1", sede=3)
