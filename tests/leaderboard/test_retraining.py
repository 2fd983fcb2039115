"""Tests of rows retrained by their recipes: accepted, refused and marked rows."""

import json
import re
from dataclasses import replace

import pytest
import torch

from snn_gym._base.config import to_mapping
from snn_gym._base.numerics import numerics
from snn_gym.leaderboard import SubmissionError, check_board, retrain_rows, submit, verify
from snn_gym.leaderboard.limited_process import Request, rerun_here
from snn_gym.leaderboard.manifest import Manifest, Scores
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.retraining import train_again
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.training import train
from snn_gym.zoo import load_agent, load_agent_spec, read_manifest, save_agent
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import processor
from tests.leaderboard.helpers import SETTINGS, Template, edit_row, fingerprint
from tests.leaderboard.test_table import AGAIN, fill, make_row

pytestmark = pytest.mark.usefixtures("in_process")


def read(submission):
    manifest = json.loads((submission / "manifest.json").read_text())
    return Template(manifest, (submission / "weights.safetensors").read_bytes())


def scored(template, **changes):
    request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)
    score = rerun_here(request, template.weights).score
    claim = {"iqm": score.iqm, "mean": score.mean, "returns": list(score.returns)}
    return template.with_manifest(score=claim, **changes)


def with_recipe(template, **changes):
    return template.with_manifest(recipe={**template.manifest["recipe"], **changes})


def noisy(template):
    """Return a submission with untrained noisy weights and their score."""
    generator = torch.Generator().manual_seed(0)

    def disturb(tensors):
        weights = tensors["action_net.weight"]
        weights *= 1 + 1e-2 * torch.randn(weights.shape, generator=generator)

    return scored(template.with_tensors(disturb))


@pytest.mark.parametrize("interval", [None, 512])
def test_rows_are_retrained_with_their_recorded_settings(interval, tmp_path):
    """The recipe has other settings than the current file of the agent."""
    settings = resolve_settings(
        load_agent_spec("ppo-lif"),
        "CartPole-v1",
        network={"hidden_sizes": [8]},
        overrides={"gamma": 0.5, "normalise_observations": False},
    )
    run = tmp_path / "run"
    if interval is None:
        model = build_agent("ppo-lif", "CartPole-v1", 0, settings).learn(600)
        save_agent(model, run)
    else:
        options = {"steps": 600, "checkpoint_interval": interval, "settings": settings}
        train("ppo-lif", "CartPole-v1", out=run, seed=0, **options)
        model = load_agent(run)
    saved = read_manifest(run)
    assert saved.policy_kwargs["normalise_observations"] is False
    assert saved.recipe is not None
    claim = Manifest(
        format=1, agent="ppo-lif", environment="CartPole-v1", environment_version=1, seed=0,
        steps=saved.num_timesteps, seeding=saved.seeding, packages=saved.versions,
        score=Scores(iqm=9.0, mean=9.0, returns=(9.0,)), evaluator_version=1,
        weights_sha256=saved.weights_sha256, created="2026-11-28T00:00:00Z",
        recipe=replace(saved.recipe, settings=settings),
    )  # fmt: skip
    digest = hash_tensors(model.policy.acting_state_dict())
    found = train_again(claim, digest, tmp_path)
    assert found.same == "weights"
    # With the settings of the file other weights, of other shapes, come of it.
    forgotten = replace(claim, recipe=saved.recipe)
    with pytest.raises(SubmissionError, match="other weights came") as caught:
        train_again(forgotten, digest, tmp_path)
    assert caught.value.code == "retrain-mismatch"


def deep(levels):
    return [deep(levels - 1)] if levels else 1


@pytest.mark.parametrize(
    ("part", "change", "code", "line"),
    [
        ("algorithm", "A2C", "policy", "other values of algorithm than the zoo's ppo-lif"),
        ("hyperparameters", {"gamma": 0.5}, "hyper-parameters", "other values of n_envs, "),
        ("network", {}, "network", "other values of the network's hidden_sizes, "),
        # A name without a value is another setting, too.
        ("network", {"regumation": None}, "network", ", regumation than"),
        (
            "policy_kwargs", {"spiking_actor": True, "spiking_critic": True}, "policy",
            "other values of spiking_critic, optimizer_kwargs than",
        ),
        ("network", {"hidden_sizes": deep(400)}, "manifest-json", "more than 20 levels deep"),
    ],
)  # fmt: skip
def test_a_submission_with_other_settings_than_the_zoos_is_refused(
    part, change, code, line, template, tmp_path
):
    settings = {**template.manifest["recipe"]["settings"], part: change}
    folder = with_recipe(template, settings=settings).write(tmp_path / "s")
    with pytest.raises(SubmissionError, match=line) as caught:
        verify(folder, tmp_path / "board", SETTINGS)
    assert caught.value.code == code


def test_older_submissions_get_the_settings_of_the_zoo(template, tmp_path):
    folder = with_recipe(template, settings=None).write(tmp_path / "s")
    verify(folder, tmp_path / "board", SETTINGS)
    (row,) = list_rows(tmp_path / "board")
    assert row.recipe.settings == resolve_settings(load_agent_spec("ppo-lif"), "CartPole-v1")


@pytest.mark.check
def test_runs_with_checkpoints_are_retrained_with_checkpoints(tmp_path):
    run = tmp_path / "run"
    train("ppo-lif", "CartPole-v1", out=run, seed=3, steps=1200, checkpoint_interval=500)
    honest = read(submit(run, seeds=SETTINGS.seeds))
    recipe = honest.manifest["recipe"]
    assert (recipe["steps"], recipe["checkpoint_interval"]) == (1200, 500)
    assert (recipe["parent"], recipe["start_sha256"], honest.manifest["steps"]) == (
        None,
        None,
        1280,
    )
    own = resolve_settings(load_agent_spec("ppo-lif"), "CartPole-v1")
    assert recipe["settings"] == to_mapping(own)
    verify(run / "submission", tmp_path / "board", SETTINGS, retrain=True)
    (row,) = list_rows(tmp_path / "board")
    assert row.trained_again.same == "weights"
    assert row.trained_again.versions == package_versions()
    assert row.trained_again.processor == processor()
    assert check_board(tmp_path / "board") == ()
    # Environments are reset at checkpoints, after 512 or 768 steps: these are other trainings.
    other = with_recipe(honest, checkpoint_interval=700)
    with pytest.raises(SubmissionError, match="other weights came") as caught:
        verify(other.write(tmp_path / "other"), tmp_path / "board2", SETTINGS, retrain=True)
    assert caught.value.code == "retrain-mismatch"


@pytest.mark.parametrize("what", ["noise", "seed", "seeding", "steps"])
def test_weights_that_the_recipe_does_not_reproduce_are_refused(what, template, tmp_path):
    claims = {
        "noise": lambda: noisy(template),
        "seed": lambda: template.with_manifest(seed=1),
        "seeding": lambda: template.with_manifest(seeding="consecutive"),
        # False recipe: trained for more steps than stated.
        "steps": lambda: with_recipe(template.with_manifest(steps=256), steps=256),
    }
    folder = claims[what]().write(tmp_path / "s")
    board = tmp_path / "board"
    board.mkdir()
    before = fingerprint(board)
    with pytest.raises(SubmissionError) as caught:
        verify(folder, board, SETTINGS, retrain=True)
    assert caught.value.code == "retrain-mismatch", str(caught.value)
    assert fingerprint(board) == before
    assert verify(folder, board, SETTINGS).trained_again is None  # without it, nobody sees


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"processor": {**processor(), "numba": "generic"}},
            f"(the processor's numba was generic and is {processor()['numba']})",
        ),
        # The processor's numpy, which is the same, is another thing than the package.
        (
            {"versions": {**package_versions(), "numpy": "1.0"}},
            f"(numpy was 1.0 and is {package_versions()['numpy']})",
        ),
    ],
    ids=["processor", "version"],
)
def test_other_weights_are_refused_with_the_differences_that_may_explain_them(
    changes, line, template, tmp_path
):
    other = with_recipe(noisy(template), **changes).write(tmp_path / "s")
    with pytest.raises(SubmissionError, match=re.escape(line)) as caught:
        verify(other, tmp_path / "board", SETTINGS, retrain=True)
    assert caught.value.code == "retrain-mismatch"


def test_stored_rows_get_only_the_retraining_mark(template, tmp_path):
    board = tmp_path / "board"
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    verify(noisy(template).with_manifest(seed=1).write(tmp_path / "n"), board, SETTINGS)
    honest, edited = list_rows(board)
    results = list(retrain_rows(board))
    assert [result.problem is None for result in results] == [True, False]
    assert results[0].same == "the same weights"
    assert "other weights came" in str(results[1])
    after = list_rows(board)
    assert after[0].trained_again is not None
    assert replace(after[0], trained_again=None) == honest
    assert after[1] == edited
    assert check_board(board) == ()


def test_a_row_without_a_recipe_cannot_be_trained_again(template, tmp_path, monkeypatch):
    board = tmp_path / "board"
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    edit_row(board, recipe=None)
    # It counts as one of native numerics, which has a process of its own.
    for module in ("stored_rows", "retraining"):
        monkeypatch.setattr(f"snn_gym.leaderboard.{module}.numerics", lambda: "native")
    (result,) = retrain_rows(board)
    assert "has no recipe" in str(result)
    older = template.with_manifest(seed=4, recipe=None).write(tmp_path / "t")
    with pytest.raises(SubmissionError, match="no recipe beside 512 training steps") as caught:
        verify(older, board, SETTINGS)
    assert caught.value.code == "recipe"


def test_samples_are_drawn_by_seed(tmp_path):
    """The rows' weights are not theirs, so that each row fails at once, by its name."""
    # Of other numerics they would be trained in processes of their own.
    recipe = replace(make_row().recipe, numerics=numerics())
    again = (None, AGAIN)
    rows = (make_row(seed=k, recipe=recipe, trained_again=again[k % 2]) for k in range(20))
    board = fill(tmp_path, *rows)

    def drawn(**options):
        return [x.name for x in retrain_rows(board, **options) if x.problem]

    assert len(drawn()) == 20
    assert [len(set(drawn(share=share))) for share in (0.25, 0.001)] == [5, 1]
    assert drawn(share=0.25) == drawn(share=0.25, seed=0) == sorted(drawn(share=0.25), key=seed_of)
    assert len({tuple(drawn(share=0.25, seed=seed)) for seed in range(5)}) == 5
    assert [seed_of(name) % 2 for name in drawn(missing=True)] == [0] * 10
    assert drawn(agents=["ppo-lif"]) == drawn() == drawn(environments=["CartPole-v1"])


def test_rows_of_an_environment_are_trained_again(tmp_path):
    rows = make_row(), make_row(environment="Acrobot-v1")
    board = fill(tmp_path, *rows)
    assert [x.name for x in retrain_rows(board, environments=["Acrobot-v1"])] == [rows[1].name]
    with pytest.raises(ValueError, match="no row of 'Acrobot'; did you mean 'Acrobot-v1'"):
        list(retrain_rows(board, environments=["Acrobot"]))


def seed_of(name):
    return int(name.split()[-1])
