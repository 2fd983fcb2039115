"""Tests of rows that go on from another row: trained again with it, marked, and never ranked."""

import pytest

from snn_gym.leaderboard import (
    SubmissionError,
    check_board,
    render_table,
    retrain_rows,
    submit,
    table_rows,
    verify,
)
from snn_gym.leaderboard.manifest import parse_manifest
from snn_gym.leaderboard.pretrained import find_trained, load_pretrained
from snn_gym.leaderboard.results import list_rows
from snn_gym.training import train
from snn_gym.zoo import make_agent, read_manifest, save_agent
from tests.leaderboard.helpers import SETTINGS, fingerprint
from tests.leaderboard.test_retraining import read

pytestmark = pytest.mark.usefixtures("in_process")

FIRST, MORE = 600, 300
AGENT, ENV = "ppo-lif", "CartPole-v1"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run from nothing."""
    folder = tmp_path_factory.mktemp("first") / "run"
    train(AGENT, ENV, out=folder, seed=0, steps=FIRST)
    return folder


@pytest.fixture(scope="module")
def template(first):
    return read(submit(first, first.parent / "s", seeds=SETTINGS.seeds))


@pytest.fixture(scope="module")
def further(first, tmp_path_factory):
    """Submission of a run that goes on from it, as another seed."""
    folder = tmp_path_factory.mktemp("further") / "run"
    train(AGENT, ENV, out=folder, seed=5, steps=MORE, parent=first)
    return read(submit(folder, seeds=SETTINGS.seeds))


@pytest.fixture
def board(template, tmp_path):
    verify(template.write(tmp_path / "p"), tmp_path / "board", SETTINGS)
    return tmp_path / "board"


def test_the_recipe_names_the_row_and_counts_its_own_steps(first, template, further):
    done = read_manifest(first).num_timesteps
    recipe = further.manifest["recipe"]
    assert recipe["parent"] == {
        "weights_sha256": template.manifest["weights_sha256"],
        "steps": done,
    }
    assert recipe["steps"] == MORE
    assert MORE <= further.manifest["steps"] < MORE + 256
    assert further.manifest["curve"] is None


def test_it_is_trained_again_with_its_parent_and_does_not_rank(further, board, tmp_path):
    verify(further.write(tmp_path / "f"), board, SETTINGS, retrain=True)
    row = next(row for row in list_rows(board) if row.seed == 5)
    assert row.trained_again.same == "weights"
    assert check_board(board) == ()
    assert [again.problem for again in retrain_rows(board, seeds=SETTINGS.seeds)] == [None, None]
    reasons = {x.row.seed: x.reason for x in find_trained(AGENT, ENV, board).unranked}
    assert reasons[5] == "goes on from ppo-lif, seed 0, after 768 steps"
    assert all(5 not in line.seeds for line in table_rows(board))
    (line,) = (x for x in render_table(board).splitlines() if "goes on from" in x)
    assert "ppo-lif |" in line
    assert "◊" not in line
    assert load_pretrained(AGENT, ENV, 5, leaderboard=board).num_timesteps == row.steps
    assert row.recipe.start_sha256


def test_one_from_the_pretrained_agent_is_trained_again(board, tmp_path):
    parent = load_pretrained(AGENT, ENV, 0, leaderboard=board)
    train(AGENT, ENV, out=tmp_path / "run", seed=6, steps=MORE, parent=parent)
    submit(tmp_path / "run", tmp_path / "s", seeds=SETTINGS.seeds)
    verify(tmp_path / "s", board, SETTINGS, retrain=True)
    row = next(row for row in list_rows(board) if row.seed == 6)
    assert row.trained_again.same == "weights"


def with_recipe(template, **changes):
    return template.with_manifest(recipe={**template.manifest["recipe"], **changes})


CLAIMS = {
    "not trained again": ({}, "parent", "verify it with --retrain"),
    "other critics": ({"start_sha256": "0" * 64}, "parent", "goes on from other critics"),
    "made lean": ({"start_sha256": None}, "parent", "so that a training counts as one seed"),
    "no parent": ({"parent": None}, "manifest-schema", "start_sha256 needs a parent and a"),
    "no checkpoints": ({"checkpoint_interval": None}, "manifest-schema", "a checkpoint interval"),
    "fresh weights": (
        {"start_sha256": None, "parent": None},
        "retrain-mismatch",
        "other weights came",
    ),
}


@pytest.mark.parametrize("name", list(CLAIMS))
def test_false_claims_are_refused(name, further, board, tmp_path):
    changes, code, message = CLAIMS[name]
    before = fingerprint(board)
    folder = with_recipe(further, **changes).write(tmp_path / "s")
    with pytest.raises(SubmissionError, match=message) as caught:
        verify(folder, board, SETTINGS, retrain=name != "not trained again")
    assert caught.value.code == code
    assert fingerprint(board) == before


def test_one_without_a_row_to_go_on_from_is_refused(further, tmp_path):
    with pytest.raises(SubmissionError, match=r"which no row has; .* submit and verify that one"):
        verify(further.write(tmp_path / "s"), tmp_path / "board", SETTINGS, retrain=True)


def test_the_parents_place_is_taken(first, board, tmp_path):
    train(AGENT, ENV, out=tmp_path / "run", steps=MORE, parent=first)
    assert read_manifest(tmp_path / "run").seed == 0
    submit(tmp_path / "run", tmp_path / "s", seeds=SETTINGS.seeds)
    with pytest.raises(SubmissionError, match=r"exists already; .* train another seed"):
        verify(tmp_path / "s", board, SETTINGS, retrain=True)


def test_saved_agents_that_go_on_are_submitted_with_their_own_steps(tmp_path):
    save_agent(make_agent(AGENT, ENV, seed=0).learn(256), tmp_path / "saved")
    train(AGENT, ENV, out=tmp_path / "run", steps=256, parent=tmp_path / "saved")
    folder = submit(tmp_path / "run", seeds=SETTINGS.seeds)
    claim = parse_manifest((folder / "manifest.json").read_bytes())
    assert (claim.steps, claim.recipe.steps_before) == (256, 256)
