"""Tests of fault results: played, stored and shown."""

from dataclasses import fields, replace

import pytest

from snn_gym.leaderboard import (
    SubmissionError,
    reevaluate,
    reevaluation,
    render_table,
    table_rows,
    verify,
)
from snn_gym.leaderboard.manifest import FaultMeans, Robustness
from snn_gym.leaderboard.results import list_rows, replace_row
from tests.leaderboard.helpers import SETTINGS
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


@pytest.mark.parametrize("difference", [0.0, 0.5e-6])
def test_fault_results_are_dropped_when_returns_change(board, difference):
    (row,) = list_rows(board)
    one, two, three = row.score.returns
    score = replace(
        row.score, returns=(one, two + difference, three), mean=row.score.mean + difference / 3
    )
    replace_row(board, row, evaluator_version=1, score=score, robustness=earned(spike_loss=1.0))
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
