"""Tests of agents, runs and submissions of earlier versions: they load, or an error names the fix.

The code of its time (`write.py`) wrote each folder under ``stored/``, with the expected actions.
0.1.0 lasted two days in which its formats grew: ``first`` is of the commit with its first rows
(ce546e5), ``unsealed`` of the last without digests in files (before 16f438e), ``last`` of the one
before version 0.2.0 (before dc52c65). Since 1.0.0 each release writes one folder.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm

import snn_gym
from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard import SubmissionError, submit, verify
from snn_gym.spiking import NetworkConfig
from snn_gym.training import train
from snn_gym.training.record import read_training
from tests.formats.write import RUN, SMALL

STORED = Path(__file__).parent / "stored"
AGENTS = sorted(STORED.glob("*/agents/*"))
SINCE_FIRST = {"ppo", "dqn"}
SINCE_UNSEALED = SINCE_FIRST | {"sac", "stateful-ppo", "es"}
SINCE_RELEASE = SINCE_UNSEALED | {"local"}


def named(path: Path) -> str:
    return path.relative_to(STORED).as_posix()


def test_released_versions_have_stored_files() -> None:
    expected = {"0.1.0-first": SINCE_FIRST, "0.1.0-unsealed": SINCE_UNSEALED,
                "0.1.0-last": SINCE_UNSEALED, "1.0.0": SINCE_RELEASE,
                "2.0.0": SINCE_RELEASE}  # fmt: skip
    pairs = [(version, agent) for version, agents in expected.items() for agent in agents]
    assert {(folder.parts[-3], folder.name) for folder in AGENTS} == set(pairs)
    root = checkout_root()
    assert root is not None
    headings = re.findall(r"^## \[(.+?)\](.*)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = {version for version, words in headings if "not released" not in words}
    stored = {folder.name.split("-")[0] for folder in STORED.iterdir()} - {"rows"}
    assert released == stored, "write its files by tests/formats/write.py"


def assert_acts_as_before(model: BaseAlgorithm, version: Path, name: str) -> None:
    stored: dict[str, Any] = json.loads((version / "actions.json").read_text())[name]
    observations = np.array(stored["observations"], dtype=model.observation_space.dtype)
    actions, _ = model.predict(observations, deterministic=True)
    # Other processors round differently in the last bits.
    np.testing.assert_allclose(actions, np.array(stored["actions"]), rtol=0, atol=1e-5)
    assert len(np.unique(actions)) > 1


@pytest.mark.parametrize("folder", AGENTS, ids=named)
def test_a_saved_agent_loads_acts_as_before_and_is_saved_again(
    folder: Path, tmp_path: Path
) -> None:
    model = snn_gym.load_agent(folder)
    assert_acts_as_before(model, folder.parents[1], folder.name)
    snn_gym.save_agent(model, tmp_path)
    assert_acts_as_before(snn_gym.load_agent(tmp_path), folder.parents[1], folder.name)
    assert "sha256" in json.loads((tmp_path / "manifest.json").read_text())


@pytest.mark.slow
def test_current_version_writes_the_stored_files(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("write.py")), str(tmp_path / "now")]
    done = subprocess.run(command, cwd=checkout_root(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = sorted((tmp_path / "now" / "agents").iterdir())
    assert {folder.name for folder in written} == SINCE_RELEASE
    for folder in written:
        assert_acts_as_before(snn_gym.load_agent(folder), tmp_path / "now", folder.name)
    for part in ("ppo.zip", "run", "submission", "unfinished/checkpoint.safetensors"):
        assert (tmp_path / "now" / part).exists(), part


# Pickles name modules, and the module of the network's settings has moved since.
def test_a_zip_of_stable_baselines3_loads_with_the_network_given() -> None:
    zips = sorted(STORED.glob("*/ppo.zip"))
    assert [path.parent.name for path in zips] == ["0.1.0-first", "0.1.0-last", "1.0.0", "2.0.0"]
    network = {"policy_kwargs": {"network": NetworkConfig(**SMALL)}}
    for path in zips:
        assert_acts_as_before(PPO.load(path, custom_objects=network), path.parent, "ppo")
    for path in zips[:-1]:
        with pytest.raises(ModuleNotFoundError, match=r"snn_gym\."):
            PPO.load(path)


EARLIER = ("0.1.0-first", "0.1.0-unsealed", "0.1.0-last", "1.0.0")
VERSIONS = dict.fromkeys((*EARLIER, "2.0.0"), "disjoint") | {"0.1.0-first": "consecutive"}


@pytest.mark.parametrize(("version", "seeding"), VERSIONS.items())
def test_a_finished_run_stays_finished(version: str, seeding: str, tmp_path: Path) -> None:
    run = shutil.copytree(STORED / version / "run", tmp_path / "run")
    settings = read_training(run)
    assert (settings.agent, settings.steps, settings.seeding) == ("dqsn", RUN["steps"], seeding)
    assert snn_gym.load_agent(run).num_timesteps == RUN["steps"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        again = train(out=run, resume=True, seeding=seeding, **RUN)
    assert again.was_finished
    warns = any("was begun with other versions of snn_gym" in str(x.message) for x in warned)
    assert warns is not version.startswith(snn_gym.__version__)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute by the numerics of earlier versions, as far as records say."""
    monkeypatch.delenv("MKL_CBWR", raising=False)


def resume(version: str, folder: Path) -> Any:
    run = shutil.copytree(STORED / version / "unfinished", folder / "run")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*was begun with other versions")
        return train(out=run, resume=True, tensorboard=False, seeding=VERSIONS[version], **RUN)


@pytest.mark.usefixtures("native")
def test_an_unfinished_run_resumes_or_names_the_version_that_can(tmp_path: Path) -> None:
    for version in ("0.1.0-last", "1.0.0"):
        done = resume(version, tmp_path / version)
        assert (done.resumed_at, done.steps, done.was_finished) == (256, 512, False)
    (tmp_path / "first").mkdir()
    with pytest.raises(ValueError, match="older version of snn_gym, which can go on with it") as no:
        resume("0.1.0-first", tmp_path / "first")
    assert "\n" not in str(no.value)


def test_an_unfinished_run_of_version_2_resumes(tmp_path: Path) -> None:
    done = resume("2.0.0", tmp_path)
    assert (done.resumed_at, done.steps, done.was_finished) == (256, 512, False)


# The first was trained with other hyper-parameters than dqsn has now, the second has no recipe.
@pytest.mark.parametrize(("version", "line"), [
    ("0.1.0-first", r"trained with other values of .*; add a folder under agents/"),
    ("0.1.0-unsealed", r"nobody can train the weights .* again: .*; train it with `snn-gym"),
])  # fmt: skip
def test_a_run_without_a_repeatable_recipe_is_not_submitted(
    version: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(SubmissionError, match=line):
        submit(STORED / version / "run", tmp_path / "submission")


@pytest.mark.parametrize("version", EARLIER)
def test_a_submission_to_an_earlier_evaluator_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"expected \d+; submit the run again") as refused:
        verify(STORED / version / "submission", tmp_path)
    assert refused.value.code == "evaluator-version"
    assert list(tmp_path.iterdir()) == []


def test_a_submission_of_version_2_gets_its_row(tmp_path: Path) -> None:
    row = verify(STORED / "2.0.0" / "submission", tmp_path)
    assert (row.agent, row.steps) == (RUN["agent"], RUN["steps"])


@pytest.mark.parametrize("version", ["0.1.0-last", "1.0.0"])
def test_a_run_of_native_numerics_is_not_submitted(version: str, tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="trained with native numerics") as no:
        submit(STORED / version / "run", tmp_path / "submission")
    assert no.value.code == "numerics"
