"""Tests of submissions: written files, and refused runs."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from snn_gym._base.storage import load_tensors
from snn_gym.leaderboard import SubmissionError, evaluate, submit
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME, parse_manifest
from snn_gym.leaderboard.submission import zoo_settings
from snn_gym.training import make_training, train
from snn_gym.zoo import load_agent, make_agent, make_lean, read_manifest, save_agent
from snn_gym.zoo.recipe import Parent, Recipe
from tests.edits import edit_json
from tests.hostile.test_full_disk import no_room
from tests.leaderboard.helpers import SETTINGS


def test_submissions_have_the_acting_weights_and_the_score(run_folder, template):
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
    assert manifest.steps == 512


def test_default_folder_is_inside_the_run_and_can_be_rewritten(run_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    out = submit(run, seeds=SETTINGS.seeds)
    assert out == run / "submission"
    assert {path.name for path in out.iterdir()} == {MANIFEST_NAME, WEIGHTS_NAME}
    weights = (out / WEIGHTS_NAME).read_bytes()
    assert submit(run, seeds=SETTINGS.seeds) == out
    assert (out / WEIGHTS_NAME).read_bytes() == weights
    assert load_tensors(out / WEIGHTS_NAME, max_bytes=1 << 20)[1] == {}


def test_a_submission_that_finds_no_room_leaves_the_one_before(run_folder, tmp_path):
    out = submit(run_folder, tmp_path / "out", seeds=SETTINGS.seeds)
    with no_room(out / MANIFEST_NAME):
        submit(run_folder, out, seeds=range(2))


def test_non_empty_folders_are_not_changed(run_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SubmissionError, match="no submission folder"):
        submit(run_folder, tmp_path, seeds=SETTINGS.seeds)
    with pytest.raises(SubmissionError, match="no submission folder"):
        submit(run_folder, tmp_path / "notes.txt", seeds=SETTINGS.seeds)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def _edit(run_folder, folder, **changes):
    shutil.copytree(run_folder, folder)
    edit_json(folder / "manifest.json", **changes)
    return folder


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"agent": None}, "made by hand"),
        ({"agent": "ppo-lstm"}, "unknown"),
        ({"environment": "Pong-v5"}, "Pong-v5, which has no file under envs/"),
        ({"environment_kwargs": {"gravity": 1.0}}, "{'gravity': 1.0}; .* without arguments"),
        ({"seed": None}, "public evaluation seeds"),
        ({"seed": 2_000_000_000}, "public evaluation seeds"),
    ],
)
def test_runs_that_cannot_be_built_again_are_refused(changes, match, run_folder, tmp_path):
    with pytest.raises(ValueError, match=match):
        submit(_edit(run_folder, tmp_path / "run", **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"gamma": 0.5}, "hyper-parameters", "other values of gamma than"),
        ({"network": {"surrogate_slope": 9.0}}, "network", "network's surrogate_slope than"),
        ({"network": {"regulation": {"lean": {}}}}, "network", "the network's regulation than"),
        ({"network": {"hidden_sizes": [8, 8]}}, "network", "the network's hidden_sizes than"),
    ],
)
def test_agents_that_differ_from_the_zoo_are_refused(changes, code, named, tmp_path):
    model = make_agent("ppo-lif", "CartPole-v1", seed=0, **changes)
    save_agent(model, tmp_path / "run")
    with pytest.raises(SubmissionError, match=named) as caught:
        submit(tmp_path / "run", tmp_path / "out")
    assert caught.value.code == code
    assert "add a folder under agents/" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "code"), [({"algorithm": "A2C"}, "policy"), ({"policy_kwargs": {}}, "policy")]
)
def test_a_manifest_of_another_policy_is_refused(changes, code, run_folder, tmp_path):
    with pytest.raises(SubmissionError) as caught:
        submit(_edit(run_folder, tmp_path / "run", **changes), tmp_path / "out")
    assert caught.value.code == code


def test_agents_trained_further_have_no_recipe_and_are_refused(run_folder, tmp_path):
    """The recipe would undercount the steps, and retraining would fail."""
    again = save_agent(load_agent(run_folder), tmp_path / "same")
    assert read_manifest(again).recipe == read_manifest(run_folder).recipe is not None
    lean = save_agent(make_lean(load_agent(run_folder), 256, updates=2), tmp_path / "lean")
    for folder in (run_folder, lean):
        save_agent(load_agent(folder).learn(256), tmp_path / "run")
        assert read_manifest(tmp_path / "run").recipe is None
        with pytest.raises(SubmissionError) as caught:
            submit(tmp_path / "run", tmp_path / "out")
        assert caught.value.code in ("recipe", "network")


def test_runs_started_under_other_versions_have_no_recipe(tmp_path):
    run = tmp_path / "run"
    settings = {"seed": 3, "steps": 600, "checkpoint_interval": 300, "tensorboard": False}
    run.mkdir()
    begun = make_training("ppo-lif", "CartPole-v1", seed=3, steps=600, checkpoint_interval=300)
    older = {**begun.recorded(), "versions": {**begun.versions, "torch": "2.0.0"}}
    (run / "run.json").write_text(json.dumps(older))
    with pytest.warns(UserWarning, match="other versions of torch"):
        train("ppo-lif", "CartPole-v1", out=run, resume=True, **settings)
    with pytest.raises(SubmissionError, match="resumed on another machine or with other versions"):
        submit(run, tmp_path / "out")


def test_who_is_taught_normalises_no_rewards():
    """A student sees no rewards, so its file's VecNormalize of rewards is no part of its recipe."""
    recipe = Recipe(
        steps=100, checkpoint_interval=None, versions={}, processor={},
        parent=Parent(weights_sha256="0" * 64, steps=1000),
    )  # fmt: skip
    alone = replace(recipe, parent=None)
    trained, taught = (zoo_settings("ppo-relu-8", "Hopper-v5", x) for x in (alone, recipe))
    assert trained.vec_normalize is not None
    assert taught.vec_normalize is None
