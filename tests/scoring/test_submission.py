"""Submissions: what is written, and which runs are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from snn_gym.scoring import SubmissionError, evaluate, submit
from snn_gym.scoring.manifest import MANIFEST_NAME, WEIGHTS_NAME, parse_manifest
from snn_gym.storage import load_tensors
from snn_gym.zoo import load_agent, make_agent, save_agent
from tests.edits import edit_json
from tests.scoring.helpers import SETTINGS, Template


def test_a_submission_holds_what_acting_needs_and_the_evaluators_score(
    run_folder: Path, template: Template
) -> None:
    model = load_agent(run_folder)
    acting = model.policy.acting_state_dict()
    assert template.tensors().keys() == acting.keys()
    assert all(torch.equal(tensor, acting[name]) for name, tensor in template.tensors().items())
    assert len(acting) < len(model.policy.state_dict())  # no critic
    score = evaluate(model, "CartPole-v1", seeds=SETTINGS.seeds)
    manifest = parse_manifest(json.dumps(template.manifest).encode())
    assert manifest.score.returns == score.returns
    assert manifest.score.iqm == score.iqm
    assert (manifest.agent, manifest.environment, manifest.seed) == ("ppo-lif", "CartPole-v1", 0)
    assert manifest.steps == 256


def test_the_default_place_is_inside_the_run_and_can_be_written_again(
    run_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    out = submit(run, seeds=SETTINGS.seeds)
    assert out == run / "submission"
    assert {path.name for path in out.iterdir()} == {MANIFEST_NAME, WEIGHTS_NAME}
    weights = (out / WEIGHTS_NAME).read_bytes()
    assert submit(run, seeds=SETTINGS.seeds) == out
    assert (out / WEIGHTS_NAME).read_bytes() == weights
    assert load_tensors(out / WEIGHTS_NAME, max_bytes=1 << 20)[1] == {}


def test_a_folder_in_use_is_left_alone(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SubmissionError, match="no submission folder"):
        submit(run_folder, tmp_path, seeds=SETTINGS.seeds)
    with pytest.raises(SubmissionError, match="no submission folder"):
        submit(run_folder, tmp_path / "notes.txt", seeds=SETTINGS.seeds)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_without_an_agent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no saved agent"):
        submit(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _edit(run_folder: Path, folder: Path, **changes: object) -> Path:
    shutil.copytree(run_folder, folder)
    edit_json(folder / "manifest.json", **changes)
    return folder


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"agent": None}, "made by hand"),
        ({"agent": "ppo-lstm"}, "unknown"),
        ({"environment": "Pong-v5"}, "unknown"),
        ({"environment_kwargs": {"gravity": 1.0}}, "without arguments"),
        ({"seed": None}, "public evaluation seeds"),
        ({"seed": 2_000_000_000}, "public evaluation seeds"),
    ],
)
def test_runs_that_cannot_be_built_again_are_refused(
    changes: dict[str, object], match: str, run_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=match):
        submit(_edit(run_folder, tmp_path / "run", **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_hyper_parameters_than_the_zoos_are_refused(tmp_path: Path) -> None:
    model = make_agent("dqn-mlp", "CartPole-v1", seed=0, gamma=0.5)
    save_agent(model, tmp_path / "run")
    with pytest.raises(SubmissionError, match="other values of gamma") as caught:
        submit(tmp_path / "run", tmp_path / "out")
    assert caught.value.code == "hyper-parameters"
