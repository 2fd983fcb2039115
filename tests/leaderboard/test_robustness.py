"""Tests of returns with faults in rows: kept, dropped, and never claimed."""

from dataclasses import fields, replace

import pytest

from snn_gym.leaderboard import (
    SubmissionError,
    reevaluate,
    stored_rows,
    verify,
)
from snn_gym.leaderboard.manifest import FaultMeans, Robustness
from snn_gym.leaderboard.results import list_rows, replace_row
from tests.leaderboard.helpers import SETTINGS

NAMES = [field.name for field in fields(FaultMeans)]
NONE = dict.fromkeys(NAMES)


def earned(**means):
    """Return mean returns with some faults; other faults are undefined."""
    return Robustness(means=FaultMeans(**{**NONE, **means}), date="2026-01-03T00:00:00Z")


@pytest.fixture
def board(board, monkeypatch):
    monkeypatch.setattr(stored_rows, "OFFICIAL_EPISODES", 3)
    return board


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
