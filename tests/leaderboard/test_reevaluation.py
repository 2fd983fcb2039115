"""Tests of rows of an earlier evaluator: evaluated again, rewritten or named."""

import json
from dataclasses import fields, replace

import pytest

from snn_gym._base.storage import dump_tensors, parse_tensors
from snn_gym.cli import main
from snn_gym.leaderboard import SubmissionError, reevaluate, retrain_rows, stored_rows
from snn_gym.leaderboard.batches import join_seeds
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.limited_process import rerun_here
from snn_gym.leaderboard.manifest import FaultMeans, Robustness
from snn_gym.leaderboard.results import list_rows, replace_row, verified_weights, write_row
from tests.leaderboard.helpers import SETTINGS, edit_row, fingerprint, stored_row, weights_file

NEW_COSTS = (
    "neuron_updates_per_decision", "messages_per_decision", "parameter_bytes_per_decision",
    "state_bytes_per_decision", "synapses",
)  # fmt: skip


@pytest.fixture(autouse=True)
def calls(in_process, monkeypatch):
    played = []

    def counted(request, weights):
        played.append(request)
        return rerun_here(request, weights)

    monkeypatch.setattr(stored_rows, "rerun_here", counted)
    return played


@pytest.fixture
def board(board):
    """Give a leaderboard with one row of the first evaluator."""
    costs = {name: x for name, x in stored_row(board)["costs"].items() if name not in NEW_COSTS}
    edit_row(board, evaluator_version=1, costs=costs)
    return board


def add_seeds(board, template, *seeds):
    (row,) = list_rows(board)
    for seed in seeds:
        write_row(board, replace(row, seed=seed, content_sha256=f"{seed:064d}"), template.weights)


def test_rows_get_new_costs_and_keep_their_returns(board, calls):
    (before,) = list_rows(board)
    assert before.costs.synapses == {}
    (result,) = reevaluate(board, seeds=SETTINGS.seeds)
    assert (result.problem, result.same) == (None, "the same returns")
    (after,) = list_rows(board)
    # 4-64-64-2 over 8 time steps.
    assert after.costs.neuron_updates_per_decision == {"hidden_1": 8 * 64, "hidden_2": 8 * 64}
    assert after.costs.synapses == {"hidden_1": 64 * 64, "hidden_2": 64 * 2}
    assert after.evaluator_version == EVALUATOR_VERSION
    kept = ("score", "lengths", "steps", "seed", "created", "parameters", "content_sha256")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    # Finished rows are skipped.
    calls.clear()
    assert list(reevaluate(board, seeds=SETTINGS.seeds)) == []
    assert calls == []


# From random play to `solved` of CartPole-v1 there are 453.1, of which 1 % is the tolerance of a
# mean of three episodes.
@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.5e-6, "returns within the tolerance"),
        (13.0, "other returns in 1 episodes, mean "),
        (-14.0, "other returns in 1 of 3 episodes"),
    ],
)
def test_returns_have_to_agree_but_for_rounding(difference, words, template, board):
    score = json.loads(json.dumps(template.manifest["score"]))
    score["returns"][1] += difference
    score["returns"] = " ".join(map(repr, score["returns"]))
    score["mean"] += difference / 3
    edit_row(board, score=score)
    before = fingerprint(board)
    (result,) = reevaluate(board, seeds=SETTINGS.seeds)
    assert words in str(result)
    if abs(difference) < 14.0:
        assert result.problem is None
        assert list_rows(board)[0].score.returns == tuple(template.manifest["score"]["returns"])
    else:
        assert result.problem is not None
        assert fingerprint(board) == before


def test_an_interrupted_reevaluation_continues(template, board, calls):
    add_seeds(board, template, 1, 2, 3)
    going = reevaluate(board, seeds=SETTINGS.seeds)
    next(going)
    going.close()
    done = sum(row.evaluator_version == EVALUATOR_VERSION for row in list_rows(board))
    assert done == len(calls) == 1
    assert len(list(reevaluate(board, seeds=SETTINGS.seeds))) == 3


@pytest.mark.slow
def test_rows_are_played_by_several_processes(template, board, calls):
    add_seeds(board, template, 1)
    results = list(reevaluate(board, seeds=SETTINGS.seeds, processes=2))
    assert [result.same for result in results] == ["the same returns"] * 2
    assert [row.evaluator_version for row in list_rows(board)] == [EVALUATOR_VERSION] * 2
    assert calls == []  # none of them in this one


def test_weights_of_another_row_are_named(board, calls):
    (row,) = list_rows(board)
    tensors, _ = parse_tensors(verified_weights(board, row), where="weights")
    next(iter(tensors.values())).add_(1.0)
    weights_file(board).write_bytes(join_seeds({0: dump_tensors(tensors)}))
    (result,) = reevaluate(board, seeds=SETTINGS.seeds)
    assert "has weights of seed 0 with the SHA-256" in str(result.problem)
    assert calls == []


def test_command_names_every_row_and_fails_on_a_difference(board, capsys):
    assert main(["verify", "--again", "--leaderboard", str(board)]) == 2
    captured = capsys.readouterr()
    assert "seed 0: returns of 3 episodes, expected 100" in captured.out
    assert "0 rows written, 1 left as they were" in captured.out
    assert main(["verify", "--leaderboard", str(board)]) == 2
    assert (
        "takes a submission's folder, or for the rows there are one of --check"
        in capsys.readouterr().err
    )


def test_edited_rows_are_not_rewritten(board):
    edit_row(board, sealed=False, steps=7)
    before = fingerprint(board)
    for play in (reevaluate, retrain_rows):
        with pytest.raises(SubmissionError, match="line 1 is not as it was verified"):
            list(play(board))
    assert fingerprint(board) == before


@pytest.mark.parametrize("difference", [0.0, 0.5e-6])
def test_fault_results_are_dropped_when_returns_change(difference, board):
    (row,) = list_rows(board)
    one, two, three = row.score.returns
    score = replace(
        row.score, returns=(one, two + difference, three), mean=row.score.mean + difference / 3
    )
    names = [field.name for field in fields(FaultMeans)]
    robustness = Robustness(means=FaultMeans(**dict.fromkeys(names)), date="2026-01-03T00:00:00Z")
    replace_row(board, row, evaluator_version=1, score=score, robustness=robustness)
    (result,) = reevaluate(board, seeds=SETTINGS.seeds)
    assert result.problem is None
    (after,) = list_rows(board)
    assert after.robustness == (None if difference else robustness)
