"""Tests of killed and resumed runs: they equal an uninterrupted run."""

import itertools
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from snn_gym._base.storage import load_tensors
from tests.training._runs import FEW_UPDATES, INTERVAL, STEPS, Killed, killed_at, results, run


def slow(*case):
    """Return a case for `make check-all` only."""
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("agent", "env_id", "steps"),
    [
        ("ppo-lif", "CartPole-v1", STEPS),
        ("dqsn", "CartPole-v1", STEPS),
        slow("ppo-lif", "snn/CartPole-v1", STEPS),
        slow("a2c-lif", "CartPole-v1", STEPS),
        slow("qrdqn-lif", "CartPole-v1", STEPS),
        ("random-search", "CartPole-v1", STEPS),
        slow("accept-reject", "CartPole-v1", STEPS),
        slow("win-stay", "CartPole-v1", STEPS),
        slow("es", "CartPole-v1", 2 * STEPS),
        ("cma-es", "CartPole-v1", 2 * STEPS),
        ("synapse-agents", "CartPole-v1", STEPS),
        ("local-actor-critic", "CartPole-v1", STEPS),
        slow("local-actor-critic", "Pendulum-v1", STEPS),
        ("local-actor-critic-dynamics", "CartPole-v1", STEPS),
        ("sac-lif", "Pendulum-v1", 400),
        slow("sac-lif", "MountainCarContinuous-v0", 400),  # gSDE
        ("td3-lif-pt", "Pendulum-v1", 300),
        ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", 3 * 2304),  # three rollouts
        slow("recurrent-ppo-lsnn", "snn/MaskedCartPole-v1", 2 * 4096),
        slow("recurrent-ppo-lsnn-eprop", "snn/CueAccumulation-v0", 2 * 2304),
        ("recurrent-dqsn", "snn/CueAccumulation-v0", 2 * STEPS),
    ],
)
def test_a_killed_and_resumed_run_ends_bit_equal(agent, env_id, steps, finished, tmp_path):
    options = {"env_id": env_id, "steps": steps, "interval": INTERVAL * steps // STEPS}
    if agent in FEW_UPDATES:
        options["hyperparameters"] = FEW_UPDATES[agent]
    generator = np.random.default_rng([ord(letter) for letter in agent + env_id])
    for step in sorted(generator.integers(1, steps, size=2)):
        with killed_at(step):
            run(agent, tmp_path / "run", resume=True, **options)
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


def test_partial_files_are_removed_on_resume(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".run.json.abc_1234.partial").write_text("{")
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


@pytest.mark.slow
def test_twenty_random_sigkills_do_not_change_the_result(tmp_path, capsys):
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
