"""Tests of killed and resumed runs: they equal an uninterrupted run."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from snn_gym._base.storage import load_tensors
from tests.marked import slow
from tests.training._runs import FEW_UPDATES, INTERVAL, STEPS, Killed, killed_at, results, run

pytestmark = pytest.mark.check


@pytest.mark.parametrize(
    ("agent", "env_id", "steps"),
    [
        ("ppo-lif", "CartPole-v1", STEPS),
        ("ppo-mlp", "CartPole-v1", STEPS),  # whose step size depends on earlier updates
        ("dqsn", "CartPole-v1", STEPS),
        slow("ppo-lif", "snn/CartPole-v1", STEPS),
        slow("random-search", "CartPole-v1", STEPS),
        slow("win-stay", "CartPole-v1", STEPS),
        slow("es", "CartPole-v1", 2 * STEPS),
        ("cma-es", "CartPole-v1", STEPS),
        slow("synapse-agents", "CartPole-v1", STEPS),
        ("local-actor-critic-dynamics", "CartPole-v1", STEPS),
        ("sac-lif", "Pendulum-v1", 300),
        slow("sac-lif", "MountainCarContinuous-v0", 400),  # gSDE
        slow("td3-lif-pt", "Pendulum-v1", 300),
        ("recurrent-ppo-lif-tick", "snn/CueAccumulation-v0", 3 * 2304),  # three rollouts
        slow("recurrent-ppo-lsnn-eprop", "snn/CueAccumulation-v0", 2 * 2304),
    ],
)
def test_a_killed_and_resumed_run_ends_bit_equal(agent, env_id, steps, finished, tmp_path):
    options = {"env_id": env_id, "steps": steps, "interval": INTERVAL * steps // STEPS}
    if agent in FEW_UPDATES:
        options["hyperparameters"] = FEW_UPDATES[agent]
    generator = np.random.default_rng([ord(letter) for letter in agent + env_id])
    with killed_at(int(generator.integers(steps // 2, steps))):
        run(agent, tmp_path / "run", **options)
    had_checkpoint = (tmp_path / "run" / "checkpoint.safetensors").exists()
    resumed_at = run(agent, tmp_path / "run", resume=True, **options).resumed_at
    assert (resumed_at is not None) == had_checkpoint
    assert results(tmp_path / "run") == results(finished(agent, **options))


def test_kill_during_the_final_write_is_repaired(finished, tmp_path, monkeypatch):
    def die(*arguments, **options):
        raise Killed

    monkeypatch.setattr("snn_gym.zoo.files.dump_sealed", die)
    with pytest.raises(Killed):
        run("ppo-lif", tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()
    monkeypatch.undo()
    # A kill after the first of the two files leaves weights alone, of whatever training.
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"of another training")
    run("ppo-lif", tmp_path / "run", resume=True)
    assert results(tmp_path / "run") == results(finished("ppo-lif"))
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


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
    """Send SIGKILL; return whether the process was still running."""
    process.kill()
    return process.wait() == -signal.SIGKILL


def assert_files_are_whole(folder):
    """Read every final file of a killed run."""
    for file in folder.glob("*.safetensors"):
        load_tensors(file, max_bytes=1 << 30)
    for file in folder.glob("*.json"):
        json.loads(file.read_text())
    for file in folder.glob("*.csv"):
        assert file.read_text().endswith("\n")


@pytest.mark.slow
def test_sigkill_does_not_change_the_result(tmp_path):
    order = ("ppo-lif", "CartPole-v1", tmp_path / "killed", 3_000, 256)
    run("ppo-lif", tmp_path / "whole", steps=3_000, interval=256)
    process = start(*order)
    wait_for(tmp_path / "killed" / "checkpoint.safetensors", process)
    assert kill(process)
    assert_files_are_whole(tmp_path / "killed")
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert start(*order).wait() == 0
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
