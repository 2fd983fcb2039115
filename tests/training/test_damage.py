"""Tests of damaged or swapped files of a run: named in one line, or recreated exactly."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from snn_gym.training import read_training
from snn_gym.zoo import load_agent
from tests.training._runs import RESULTS, killed_at, run

OPTIONS = {"steps": 900, "interval": 256, "dynamics": True}
"""Four rollouts, before three of which the run is saved."""
LOGS = ("episodes.csv", "dynamics.csv", "dynamics_probe.safetensors")
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.previous.safetensors")
FINISHED = ("run.json", "manifest.json", "weights.safetensors", "logs.sha256", *LOGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    run("ppo-lif", folder, **OPTIONS)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Give the folders of a killed and a finished run with another seed."""
    root = tmp_path_factory.mktemp("other")
    run("ppo-lif", root / "finished", **OPTIONS, seed=8)
    with killed_at(800):
        run("ppo-lif", root / "killed", **OPTIONS, seed=8)
    return root


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Give the folder of a run that was killed after its third checkpoint."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    with killed_at(800):
        run("ppo-lif", folder, **OPTIONS)
    assert {path.name for path in folder.iterdir()} == {"run.json", *LOGS, *CHECKPOINTS}
    return folder


def content(folder):
    return {name: (folder / name).read_bytes() for name in (*RESULTS, "dynamics.csv")}


def damages(data, seed, flips):
    """Yield a file's content with a bit flipped at random places, and cut short."""
    generator = np.random.default_rng(seed)
    # Half of them in the first part, where headers are.
    limits = [min(len(data), 2000)] * (flips // 2) + [len(data)] * (flips - flips // 2)
    for limit in limits:
        place, bit = int(generator.integers(limit)), int(generator.integers(8))
        yield data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
    for size in (0, 1, len(data) // 3, len(data) - 1):
        yield data[:size]


def resume(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        run("ppo-lif", folder, **OPTIONS, resume=True)
    said = [str(warning.message) for warning in caught]
    return [text for text in said if "whole rollouts" not in text]  # of steps that are rounded up


def try_out(start, folder, name, data, call):
    """Call with a copy of a folder with one changed file; return the error line."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    (folder / name).write_bytes(data)
    line = refusal(call, folder)
    assert line is None or ("\n" not in line and name in line)
    return line


def refusal(call, folder):
    """Return the error line of a call, or None."""
    try:
        call(folder)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", FINISHED)
def test_damage_to_a_finished_run_is_named(name, whole, tmp_path):
    folder = tmp_path / "run"
    for data in damages((whole / name).read_bytes(), len(name), 60):
        line = try_out(whole, folder, name, data, resume)
        if name == "logs.sha256":  # without its line, the file cannot be checked
            assert line is not None or content(folder) == content(whole)
        else:
            assert line is not None


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("run.json", read_training),
        ("manifest.json", load_agent),
        ("weights.safetensors", load_agent),
    ],
)
def test_damaged_files_are_not_read(name, read, whole, tmp_path):
    for data in damages((whole / name).read_bytes(), 1, 60):
        assert try_out(whole, tmp_path / "run", name, data, read) is not None


@pytest.mark.parametrize("name", ["run.json", *LOGS, *CHECKPOINTS])
def test_damage_to_a_killed_run_is_named_or_repaired(name, whole, killed, tmp_path):
    folder, said = tmp_path / "run", []
    for data in damages((killed / name).read_bytes(), 2, 2):
        line = try_out(killed, folder, name, data, lambda run: said.append(resume(run)))
        if name == "run.json":
            assert line is not None
            continue
        assert content(folder) == content(whole)
        if name != CHECKPOINTS[0]:
            assert said.pop() == []
            continue
        (warning,) = said.pop()
        assert name in warning
        assert "training goes on from the checkpoint before" in warning
        assert (folder / f"{name}.refused").read_bytes() == data


def test_damaged_logs_without_a_checkpoint_are_named(whole, tmp_path):
    start, folder = tmp_path / "killed", tmp_path / "run"
    with killed_at(250):
        run("ppo-lif", start, **OPTIONS)
    for data in damages((start / "dynamics.csv").read_bytes(), 3, 2):
        line = try_out(start, folder, "dynamics.csv", data, resume)
        assert line is not None or content(folder) == content(whole)


def test_swapped_files_are_named_or_recreated(whole, killed, other, tmp_path):
    for state, start, names in (("killed", killed, CHECKPOINTS), ("finished", whole, FINISHED)):
        for name in sorted({*names, *LOGS, "run.json"}):
            folder = tmp_path / state / name
            shutil.copytree(start, folder)
            shutil.copy(other / state / name, folder)
            line = refusal(resume, folder)
            if line is None:
                assert content(folder) == content(whole)
            else:
                assert name in line or "holds a run with seed 8, not 7" in line


def test_agents_of_another_run_are_not_accepted(whole, other, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    for name in ("manifest.json", "weights.safetensors"):
        shutil.copy(other / "finished" / name, tmp_path / "run")
    with pytest.raises(ValueError, match=r"manifest\.json is of an agent with seed 8, not 7"):
        resume(tmp_path / "run")


def test_checkpoints_of_another_run_are_set_aside(whole, killed, other, tmp_path):
    folder, name = tmp_path / "run", CHECKPOINTS[0]
    shutil.copytree(killed, folder)
    shutil.copy(other / "killed" / name, folder)
    (warning,) = resume(folder)
    assert f"{name} is of a run with seed 8, not 7" in warning
    assert (folder / f"{name}.refused").read_bytes() == (other / "killed" / name).read_bytes()
    assert content(folder) == content(whole)


def test_runs_without_an_intact_checkpoint_are_unchanged(killed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(killed, folder)
    for name in CHECKPOINTS:
        (folder / name).write_bytes(b"{" + (folder / name).read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="without it, the run has to begin anew") as caught:
        resume(folder)
    assert all(name in str(caught.value) for name in CHECKPOINTS)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_kill_between_two_checkpoints_does_not_change_the_result(whole, killed, tmp_path):
    shutil.copytree(killed, tmp_path / "run")
    Path(tmp_path / "run" / CHECKPOINTS[0]).unlink()
    assert resume(tmp_path / "run") == []
    assert content(tmp_path / "run") == content(whole)
