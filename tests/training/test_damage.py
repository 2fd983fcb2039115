"""Tests of damaged or swapped files of a run: named in one line, or recreated exactly."""

import shutil

import numpy as np
import pytest

from tests.training._runs import RESULTS, killed_at, run

OPTIONS = {"steps": 600, "interval": 256, "dynamics": True}
"""Three rollouts, before two of which the run is saved."""
LOGS = ("episodes.csv", "dynamics.csv", "dynamics_probe.safetensors")
CHECKPOINT = "checkpoint.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    run("ppo-lif", folder, **OPTIONS)
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Give the folder of a run that was killed after its second checkpoint."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    with killed_at(550):
        run("ppo-lif", folder, **OPTIONS)
    assert {path.name for path in folder.iterdir()} == {"run.json", *LOGS, CHECKPOINT}
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Give the folders of a killed and a finished run with another seed."""
    root = tmp_path_factory.mktemp("other")
    run("ppo-lif", root / "finished", **OPTIONS, seed=8)
    with killed_at(550):
        run("ppo-lif", root / "killed", **OPTIONS, seed=8)
    return root


def content(folder):
    return {name: (folder / name).read_bytes() for name in (*RESULTS, "dynamics.csv")}


def damages(data, seed, flips=12):
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
    run("ppo-lif", folder, **OPTIONS, resume=True)


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("whole", "run.json"), ("whole", "manifest.json"), ("whole", "weights.safetensors"),
        ("killed", "run.json"), ("killed", CHECKPOINT),
    ],
)  # fmt: skip
def test_damage_is_named_and_changes_no_file(state, name, request, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(request.getfixturevalue(state), folder)
    for data in damages((folder / name).read_bytes(), len(name), 4 if name == CHECKPOINT else 12):
        (folder / name).write_bytes(data)
        before = {path: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(ValueError, match=name) as caught:
            resume(folder)
        assert "\n" not in str(caught.value)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_damaged_logs_of_a_killed_run_are_made_again(whole, killed, other, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(killed, folder)
    for name in LOGS[:2]:
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    shutil.copy(other / "killed" / LOGS[2], folder)
    resume(folder)
    assert content(folder) == content(whole)


@pytest.mark.parametrize(
    ("state", "names", "error"),
    [
        ("killed", [CHECKPOINT], f"{CHECKPOINT} is of a run with seed 8, not 7"),
        ("killed", ["run.json"], "holds a run with seed 8, not 7"),
        ("whole", ["weights.safetensors"], r"is not the file that manifest\.json was written for"),
        (
            "whole", ["manifest.json", "weights.safetensors"],
            r"manifest\.json is of an agent with seed 8, not 7",
        ),
    ],
)  # fmt: skip
def test_files_of_another_run_are_refused(state, names, error, other, request, tmp_path):
    shutil.copytree(request.getfixturevalue(state), tmp_path / "run")
    for name in names:
        shutil.copy(
            other / ("killed" if state == "killed" else "finished") / name, tmp_path / "run"
        )
    with pytest.raises(ValueError, match=error):
        resume(tmp_path / "run")
