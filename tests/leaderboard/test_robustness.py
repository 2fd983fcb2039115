"""Tests of fault results: played, stored and shown."""

from dataclasses import fields, replace

import numpy as np
import pytest

from snn_gym.cli import main
from snn_gym.leaderboard import (
    SubmissionError,
    add_robustness,
    check_board,
    evaluate,
    reevaluate,
    reevaluation,
    render_table,
    table_rows,
    verify,
    write_table,
)
from snn_gym.leaderboard.faults import Faults
from snn_gym.leaderboard.headings import FAULT_COLUMNS
from snn_gym.leaderboard.manifest import FaultMeans, Robustness
from snn_gym.leaderboard.results import list_rows, replace_row
from snn_gym.zoo import build_policy
from tests.leaderboard.helpers import SETTINGS, edit_row
from tests.leaderboard.test_table import fill, make_row

NAMES = [field.name for field in fields(FaultMeans)]
NONE = dict.fromkeys(NAMES)


def earned(**means):
    """Return mean returns with some faults; other faults are undefined."""
    return Robustness(means=FaultMeans(**{**NONE, **means}), date="2026-01-03T00:00:00Z")


@pytest.fixture
def board(board, monkeypatch):
    monkeypatch.setattr(reevaluation, "OFFICIAL_EPISODES", 3)
    return board


def test_every_fault_of_the_table_has_a_name_a_column_and_an_amount():
    assert list(reevaluation.FAULTS) == NAMES
    assert list(FAULT_COLUMNS)[:3] == ["Mean", "Worst 5 %", "Seeds"]
    assert len(FAULT_COLUMNS) == 3 + len(NAMES)
    assert all(faults != Faults() for faults in reevaluation.FAULTS.values())


def test_fault_retention_by_hand(tmp_path):
    # Random play earns 21.65. Seeds 0 to 2 earn 475, 321.65 and 121.65 without faults, that is
    # 453.35, 300 and 100 more; with noise they keep 1, 0 and 0.5, with 4 bits 1.1, 0.9 and 0.1.
    rows = (
        make_row(seed=0, returns=(475.0,), robustness=earned(
            observation_noise=475.0, dead_neurons=21.65, weights_4_bits=520.335)),
        make_row(seed=1, returns=(321.65,), robustness=earned(
            observation_noise=21.65, dead_neurons=321.65, weights_4_bits=291.65)),
        make_row(seed=2, returns=(121.65,), robustness=earned(
            observation_noise=71.65, dead_neurons=0.0, weights_4_bits=31.65)),
        make_row(seed=3, returns=(500.0,)),
    )  # fmt: skip
    (row,) = table_rows(fill(tmp_path, *rows))
    assert row.faulted == 3
    assert row.kept == pytest.approx((0.5, None, 0.0, None, 0.9))
    # The worst episode of four is the one that earned 121.65.
    assert row.fault_cells() == ("354.6", "121.7", "3", "0.50", "–", "0.00", "–", "0.90")
    text = render_table(tmp_path)
    line = "| CartPole-v1 | ppo-lif | 3 | 354.6 | 0.50 | – | 0.00 | – | 0.90 |"
    assert f"\n{line}\n" in text
    assert text.count("| Spike loss |") == 2  # with what it means


def test_retention_is_1_without_loss_and_0_at_random_play(tmp_path):
    same = earned(**dict.fromkeys(NAMES, 450.0))
    none = earned(**{**dict.fromkeys(NAMES, 21.65), "spike_loss": 21.0})  # which is -0.0015
    rows = make_row(seed=0, robustness=same), make_row("ppo-mlp", seed=0, robustness=none)
    shown = [row.fault_cells()[3:] for row in table_rows(fill(tmp_path, *rows))]
    assert shown == [("1.00",) * 5, ("0.00",) * 5]


def test_agents_near_random_play_have_no_retention(tmp_path):
    # A tenth of the way from 21.65 to 475 ends at 66.985.
    rows = (
        make_row(seed=0, returns=(66.98,), robustness=earned(spike_loss=9000.0)),
        make_row(seed=1, returns=(66.99,), robustness=earned(spike_loss=66.99)),
    )
    both = table_rows(fill(tmp_path / "both", *rows))[0]
    assert both.kept == (None, pytest.approx(1.0), None, None, None)
    assert both.faulted == 2
    assert both.fault_cells()[3:] == ("–", "1.00", "–", "–", "–")
    third = make_row(seed=2, returns=(66.98,), robustness=earned(spike_loss=66.98))
    most = table_rows(fill(tmp_path / "most", *rows, third))[0]
    assert most.kept == (None,) * 5  # one of three
    alone = table_rows(fill(tmp_path / "alone", rows[0]))[0]
    assert alone.fault_cells()[2:] == ("1", "–", "–", "–", "–", "–")


def test_removed_tasks_have_no_scale(tmp_path):
    gone = make_row(environment_version=99, robustness=earned(spike_loss=1.0))
    assert table_rows(fill(tmp_path, gone))[0].kept == ()


def test_tables_without_faults_have_no_fault_column(tmp_path):
    assert "Spike loss" not in render_table(fill(tmp_path, make_row()))


def test_zero_faults_give_the_score_of_the_row(board, monkeypatch):
    monkeypatch.setattr(reevaluation, "FAULTS", dict.fromkeys(NAMES, Faults()))
    (result,) = add_robustness(board)
    assert result.problem is None
    (row,) = list_rows(board)
    assert set(vars(row.robustness.means).values()) == {row.score.mean}


def test_agents_with_dead_neurons_act_by_their_biases(board, template, monkeypatch):
    dead = dict.fromkeys(NAMES, Faults(dead_neurons=1.0))
    monkeypatch.setattr(reevaluation, "FAULTS", dead)
    list(add_robustness(board))
    (row,) = list_rows(board)
    action = int(template.tensors()["action_net.bias"].argmax())

    class Always:
        def predict(self, observation, *_, **__):
            return np.full(len(observation), action), None

    expected = evaluate(Always(), "CartPole-v1", seeds=SETTINGS.seeds).mean
    assert row.robustness.means.dead_neurons == expected


def test_command_adds_only_returns_with_faults(board, capsys):
    (before,) = list_rows(board)
    words = ["verify", "--faults", "--leaderboard", str(board)]
    assert main([*words, "--agent", "ppo-lif"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"with seed 0: mean {before.score.mean:.6g}, observation_noise " in said[0]
    assert said[1] == "1 rows played with faults, 0 were not"
    (row,) = list_rows(board)
    assert None not in vars(row.robustness.means).values()
    assert replace(row, robustness=None) == before
    write_table(board)
    assert check_board(board) == ()
    assert main(words) == 0  # nothing is left to play
    assert capsys.readouterr().out == "0 rows played with faults, 0 were not\n"
    assert main([*words, "--agent", "ppo-mlp"]) == 2
    assert "no row of 'ppo-mlp'; did you mean 'ppo-lif'?" in capsys.readouterr().err
    for other in (["--again"], ["--retrain"], ["--curves", "runs"], ["folder"]):
        assert main([*words, *other]) == 2
        assert "--salt, --curves, --faults and --recount" in capsys.readouterr().err
    assert main(["verify", "--again", "--agent", "ppo-lif", *words[2:]]) == 2
    assert "--agent is for --faults and --retrain alone" in capsys.readouterr().err


def test_equal_seeds_give_equal_means_with_faults(board):
    found = []
    for _ in range(2):
        list(add_robustness(board))
        (row,) = list_rows(board)
        found.append(row.robustness.means)
        reevaluation.replace_row(board, row, robustness=None)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("agent", "environment", "undefined"),
    [
        ("dqn-mlp", "CartPole-v1", {"spike_loss"}),
        ("ppo-mlp", "CartPole-v1", {"observation_noise", "spike_loss"}),
        ("ppo-lif", "snn/CartPole-v1", {"observation_noise"}),
        ("imported-snntorch", "CartPole-v1", {"observation_noise"}),
        ("recurrent-ppo-gru", "snn/CueAccumulation-v0", {"observation_noise", "spike_loss"}),
    ],
)
def test_faults_of_absent_parts_have_no_mean(agent, environment, undefined):
    policy = build_policy(agent, environment)
    means = vars(reevaluation.play_with_faults(policy, environment, SETTINGS.seeds, 0))
    assert {name for name, mean in means.items() if mean is None} == undefined


def test_unplayable_rows_are_named_and_kept(tmp_path):
    board = fill(tmp_path, make_row(), make_row(seed=1, evaluator_version=1))
    before = list_rows(board)
    results = list(add_robustness(board, seeds=SETTINGS.seeds[:2]))
    assert "weights" in str(results[0].problem)
    assert "evaluate it first with --again" in str(results[1].problem)
    (longer, _) = add_robustness(board, seeds=SETTINGS.seeds)
    assert longer.problem == "returns of 2 episodes, expected 3"
    assert list_rows(board) == before


def test_edited_rows_get_no_fault_results(board):
    edit_row(board, sealed=False, steps=7)
    with pytest.raises(SubmissionError, match="is not as it was verified"):
        list(add_robustness(board))


@pytest.mark.parametrize("difference", [0.0, 0.5e-6])
def test_fault_results_are_dropped_when_returns_change(board, difference):
    list(add_robustness(board))
    (row,) = list_rows(board)
    one, two, three = row.score.returns
    score = replace(
        row.score, returns=(one, two + difference, three), mean=row.score.mean + difference / 3
    )
    replace_row(board, row, evaluator_version=1, score=score)
    (before,) = list_rows(board)
    (result,) = reevaluate(board, seeds=SETTINGS.seeds)
    assert result.problem is None
    (after,) = list_rows(board)
    assert after.robustness == (None if difference else before.robustness)
    assert before.robustness is not None


def test_a_submission_cannot_claim_returns_with_faults(template, tmp_path):
    claim = {"means": dict.fromkeys(NAMES, 500.0), "date": "2026-01-03T00:00:00Z"}
    folder = template.with_manifest(robustness=claim).write(tmp_path / "s")
    with pytest.raises(SubmissionError, match="robustness") as caught:
        verify(folder, tmp_path / "board", SETTINGS)
    assert caught.value.code == "unknown-key"
    assert not (tmp_path / "board").exists()
