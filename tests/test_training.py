"""Training in a folder: what it writes, and that being killed changes nothing."""

import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from snn_gym.storage import load_tensors
from snn_gym.training import read_run_settings, train
from snn_gym.training.checkpoint import restore_checkpoint, save_checkpoint
from snn_gym.training.episodes import EpisodeLog
from snn_gym.training.segments import SegmentCallback, begin_segment
from snn_gym.zoo import load_agent, make_agent, read_manifest

STEPS = 1600
INTERVAL = 300
RESULTS = ("episodes.csv", "manifest.json", "weights.safetensors")


def run(agent, out, *, env_id="CartPole-v1", steps=STEPS, interval=INTERVAL, **options):
    options = {"tensorboard": False, "seed": 7, **options}
    return train(agent, env_id, out=out, steps=steps, checkpoint_interval=interval, **options)


def results(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


class Killed(BaseException):
    """Stands for a signal: nothing in the code under test catches it."""


def kill_at(monkeypatch, step):
    """Make training stop dead at an environment step, once."""
    original = SegmentCallback._on_step

    def on_step(self):
        if self.num_timesteps >= step:
            monkeypatch.setattr(SegmentCallback, "_on_step", original)
            raise Killed
        return original(self)

    monkeypatch.setattr(SegmentCallback, "_on_step", on_step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folders of runs that were never killed, trained on first use."""
    root = tmp_path_factory.mktemp("finished")

    def get(agent, env_id="CartPole-v1"):
        folder = root / agent / env_id
        if not folder.exists():
            run(agent, folder, env_id=env_id)
        return folder

    return get


# What a run is


@pytest.mark.parametrize("agent", ["ppo-lif", "dqsn"])
def test_a_run_leaves_these_files_and_no_checkpoint(agent, finished):
    folder = finished(agent)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*RESULTS, "run.json"])
    settings = read_run_settings(folder)
    assert (settings.agent, settings.environment, settings.seed) == (agent, "CartPole-v1", 7)
    assert (settings.steps, settings.checkpoint_interval) == (STEPS, INTERVAL)
    manifest = read_manifest(folder)
    assert manifest.agent == agent
    assert STEPS <= manifest.num_timesteps < STEPS + 256
    assert load_agent(folder).num_timesteps == manifest.num_timesteps


@pytest.mark.parametrize("agent", ["ppo-lif", "dqsn"])
def test_the_episodes_add_up(agent, finished):
    folder = finished(agent)
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


def test_the_same_seed_gives_the_same_run_and_another_one_another(finished, tmp_path):
    run("ppo-lif", tmp_path / "same")
    run("ppo-lif", tmp_path / "other", seed=8)
    assert results(tmp_path / "same") == results(finished("ppo-lif"))
    other, mine = (
        load_tensors(folder / "weights.safetensors", max_bytes=1 << 24)[0]
        for folder in (tmp_path / "other", finished("ppo-lif"))
    )
    assert any(not torch.equal(other[name], mine[name]) for name in mine)


def test_the_global_state_of_a_process_does_not_matter(finished, tmp_path):
    np.random.seed(123)  # noqa: NPY002 - it is the global state that must not matter
    torch.manual_seed(123)
    run("ppo-lif", tmp_path / "run")
    assert results(tmp_path / "run") == results(finished("ppo-lif"))


def test_training_leaves_the_number_of_threads_as_it_was(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run("ppo-mlp", tmp_path / "run", steps=256)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_tensorboard_gets_a_log(tmp_path):
    run("ppo-mlp", tmp_path / "run", steps=256, tensorboard=True)
    assert list((tmp_path / "run" / "tb").glob("events.out.tfevents.*"))


def test_the_budget_is_the_default(tmp_path, monkeypatch):
    kill_at(monkeypatch, 1)
    with pytest.raises(Killed):
        train("ppo-lif", "Acrobot-v1", out=tmp_path, tensorboard=False)
    assert read_run_settings(tmp_path).steps == 300_000


# Being killed


@pytest.mark.parametrize(
    ("agent", "env_id"),
    [
        ("ppo-lif", "CartPole-v1"),
        ("dqsn", "CartPole-v1"),
        ("ppo-lif", "snn/CartPole-v1"),
    ],
)
def test_a_killed_and_resumed_run_ends_bit_equal(agent, env_id, finished, tmp_path, monkeypatch):
    steps = np.random.default_rng([ord(letter) for letter in agent + env_id]).integers(
        1, STEPS, size=2
    )
    for step in sorted(steps):
        kill_at(monkeypatch, step)
        with pytest.raises(Killed):
            run(agent, tmp_path / "run", env_id=env_id, resume=True)
    had_checkpoint = (tmp_path / "run" / "checkpoint.safetensors").exists()
    resumed_at = run(agent, tmp_path / "run", env_id=env_id, resume=True).resumed_at
    assert (resumed_at is not None) == had_checkpoint
    assert results(tmp_path / "run") == results(finished(agent, env_id))


def test_a_kill_while_the_result_is_written_is_mended(finished, tmp_path, monkeypatch):
    def die(*arguments, **options):
        raise Killed

    monkeypatch.setattr("snn_gym.zoo.files.write_text_atomic", die)
    with pytest.raises(Killed):
        run("ppo-lif", tmp_path / "run")
    assert (tmp_path / "run" / "weights.safetensors").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()
    monkeypatch.undo()
    run("ppo-lif", tmp_path / "run", resume=True)
    assert results(tmp_path / "run") == results(finished("ppo-lif"))
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_half_written_file_is_swept_up_on_resume(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".run.json.abc.partial").write_text("{")
    run("ppo-lif", folder, resume=True)
    assert results(folder) == results(finished("ppo-lif"))
    assert not list(folder.glob(".*"))


COMMAND = """
import sys
from snn_gym.training import train
train(sys.argv[1], sys.argv[2], out=sys.argv[3], seed=7, steps=int(sys.argv[4]),
      checkpoint_interval=int(sys.argv[5]), resume=True, tensorboard=False)
"""


def start(agent, env_id, folder, steps, interval):
    arguments = [agent, env_id, str(folder), str(steps), str(interval)]
    return subprocess.Popen([sys.executable, "-c", COMMAND, *arguments])


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


def kill(process):
    """Send SIGKILL; say whether the process was still running."""
    process.kill()
    return process.wait() == -signal.SIGKILL


def assert_files_are_whole(folder):
    """Read every file that a killed run has left under its final name."""
    for file in folder.glob("*.safetensors"):
        load_tensors(file, max_bytes=1 << 30)
    for file in folder.glob("*.json"):
        json.loads(file.read_text())
    for file in folder.glob("*.csv"):
        assert file.read_text().endswith("\n")


def test_sigkill_in_another_process_changes_nothing(tmp_path):
    order = ("ppo-lif", "CartPole-v1", tmp_path / "killed", 3_000, 256)
    run("ppo-lif", tmp_path / "whole", steps=3_000, interval=256)
    process = start(*order)
    wait_for(tmp_path / "killed" / "checkpoint.safetensors", process)
    assert kill(process)
    assert_files_are_whole(tmp_path / "killed")
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert start(*order).wait() == 0
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


@pytest.mark.slow
def test_twenty_sigkills_at_random_moments_change_nothing(tmp_path, capsys):
    rng = np.random.default_rng(20)
    jobs = itertools.cycle(
        [
            ("ppo-lif", "CartPole-v1", 8_000),
            ("dqsn", "CartPole-v1", 4_000),
            ("ppo-lif", "snn/CartPole-v1", 6_000),
            ("dqsn", "snn/CartPole-v1", 3_000),
        ]
    )
    kills = runs = 0
    while kills < 20:
        agent, env_id, steps = next(jobs)
        folder = tmp_path / f"killed-{runs}"
        began = time.monotonic()
        run(agent, tmp_path / f"whole-{runs}", env_id=env_id, steps=steps, interval=256)
        duration_s = time.monotonic() - began
        for wait_s in rng.uniform(0, duration_s, size=3):
            process = start(agent, env_id, folder, steps, 256)
            wait_for(folder / "run.json", process)  # the imports are over
            time.sleep(wait_s)
            kills += kill(process)
            assert_files_are_whole(folder)
        assert start(agent, env_id, folder, steps, 256).wait() == 0
        assert results(folder) == results(tmp_path / f"whole-{runs}")
        runs += 1
    with capsys.disabled():
        print(f"\n{kills} SIGKILLs in {runs} runs: every resumed run bit-equal")


# Folders


def test_a_folder_in_use_is_refused_without_resume(finished):
    before = results(finished("ppo-lif"))
    with pytest.raises(ValueError, match="is not empty; use --resume"):
        run("ppo-lif", finished("ppo-lif"))
    assert results(finished("ppo-lif")) == before


def test_resuming_a_finished_run_does_nothing(finished):
    folder = finished("ppo-lif")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
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


def test_resuming_in_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds no training run: there is no run\.json"):
        run("ppo-lif", tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_resuming_under_other_versions_warns(finished):
    file = finished("ppo-mlp") / "run.json"
    settings = json.loads(file.read_text())
    settings["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(settings))
    with pytest.warns(UserWarning, match="begun with other versions of torch"):
        run("ppo-mlp", finished("ppo-mlp"), resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "ppo"}, "agent 'ppo' is unknown"),
        ({"env_id": "CartPole-v9"}, "environment 'CartPole-v9' is unknown"),
        ({"env_id": "Pendulum-v1"}, "has no hyper-parameters for environment 'Pendulum-v1'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"interval": 0}, "checkpoint_interval must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_before_the_folder_is_made(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**{"agent": "ppo-lif", "out": tmp_path / "run", **arguments})
    assert not (tmp_path / "run").exists()


# Parts


@pytest.mark.parametrize("agent", ["ppo-lif", "dqsn"])
def test_a_checkpoint_brings_back_everything(agent, tmp_path):
    overrides = {"learning_starts": 32, "gradient_steps": 4} if agent == "dqsn" else {}
    model = make_agent(agent, "CartPole-v1", seed=1, **overrides).learn(600)
    log = EpisodeLog()
    log.add(5, 1.5, 3)
    save_checkpoint(tmp_path / "c.safetensors", model, log)
    fresh = make_agent(agent, "CartPole-v1", seed=2, **overrides)
    restored = restore_checkpoint(tmp_path / "c.safetensors", fresh)
    assert_close(fresh.policy.state_dict(), model.policy.state_dict(), rtol=0, atol=0)
    old, new = model.policy.optimizer.state_dict(), fresh.policy.optimizer.state_dict()
    assert len(old["state"]) > 0
    assert_close(new["state"], old["state"], rtol=0, atol=0)
    assert new["param_groups"] == old["param_groups"]
    counters = ["num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining"]
    if agent == "dqsn":
        counters += ["_n_calls", "exploration_rate"]
        assert fresh.replay_buffer.size() == model.replay_buffer.size() > 0
        for name in ("observations", "next_observations", "actions", "rewards", "dones"):
            assert_close(getattr(fresh.replay_buffer, name), getattr(model.replay_buffer, name))
    for name in counters:
        assert getattr(fresh, name) == getattr(model, name)
    assert restored.to_arrays()["return"].tolist() == [1.5]


def test_a_replay_buffer_that_has_wrapped_comes_back(tmp_path):
    def make():
        return make_agent("dqn-mlp", "CartPole-v1", buffer_size=100, learning_starts=500)

    model, fresh = make().learn(256), make()
    assert model.replay_buffer.full
    save_checkpoint(tmp_path / "c.safetensors", model, EpisodeLog())
    restore_checkpoint(tmp_path / "c.safetensors", fresh)
    assert (fresh.replay_buffer.pos, fresh.replay_buffer.full) == (56, True)
    assert_close(fresh.replay_buffer.rewards, model.replay_buffer.rewards)


def test_a_checkpoint_of_another_agent_is_refused(tmp_path):
    save_checkpoint(tmp_path / "c", make_agent("ppo-lif", "CartPole-v1"), EpisodeLog())
    with pytest.raises(ValueError, match="tensors do not fit the network"):
        restore_checkpoint(tmp_path / "c", make_agent("dqsn", "CartPole-v1"))


def test_a_segment_depends_on_seed_and_number_alone():
    def draws(seed, segment, disturb):
        model = make_agent("ppo-lif", "CartPole-v1", seed=disturb)
        for _ in range(disturb):
            model.get_env().reset()
            torch.rand(3)
            np.random.rand()  # noqa: NPY002 - Stable-Baselines3 draws from it
        begin_segment(model, seed, segment)
        return (
            model._last_obs.tobytes(),
            float(torch.rand(1)),
            float(np.random.rand()),  # noqa: NPY002
            [int(model.action_space.sample()) for _ in range(16)],
        )

    first = draws(1, 4, disturb=1)
    assert draws(1, 4, disturb=3) == first
    for seed, segment in ((1, 5), (2, 4), (4, 1)):
        other = draws(seed, segment, disturb=1)
        assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


ROWS = st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e9, 1e9), st.integers(1, 10**6)))


@given(ROWS)
def test_the_log_of_episodes_survives_arrays_and_csv(rows):
    log = EpisodeLog()
    for row in rows:
        log.add(*row)
    again = EpisodeLog.from_arrays(
        {name: torch.from_numpy(array) for name, array in log.to_arrays().items()}
    )
    assert len(again) == len(rows)
    with tempfile.TemporaryDirectory() as folder:
        again.write(Path(folder) / "episodes.csv")
        lines = (Path(folder) / "episodes.csv").read_text().splitlines()[1:]
    read = [line.split(",") for line in lines]
    assert [(int(a), float(b), int(c)) for a, b, c in read] == rows


def test_resuming_under_the_same_versions_does_not_warn(finished):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert run("ppo-lif", finished("ppo-lif"), resume=True).was_finished
