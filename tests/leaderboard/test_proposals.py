"""Tests of proposals: tried on a copy of the leaderboard, and retrained if fast."""

import json

import pytest

from snn_gym.leaderboard import SubmissionError
from snn_gym.leaderboard.proposals import main, try_proposals
from snn_gym.leaderboard.results import list_rows
from tests.leaderboard.helpers import SETTINGS, fingerprint

pytestmark = pytest.mark.usefixtures("in_process")


def test_all_submissions_are_tried_and_a_refusal_fails(template, tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    before = fingerprint(board)
    template.write(tmp_path / "s" / "a-good")
    (tmp_path / "s" / "b-file").write_text("")
    # Its returns are its weights', but no training with this seed gave them.
    template.with_manifest(seed=1).write(tmp_path / "s" / "c-again")
    found = try_proposals(tmp_path / "s", board, tmp_path / "scratch", SETTINGS)
    good, line, file, again, summary = (next(found) for _ in range(5))
    with pytest.raises(SubmissionError, match="refused: b-file, c-again;"):
        next(found)
    assert "a-good: verified, trained again; re-run with" in good
    shown = json.loads(good[good.index("{") :])
    assert (shown["agent"], shown["trained_again"]["same"]) == ("ppo-lif", "weights")
    mean = sum(template.manifest["score"]["returns"]) / len(SETTINGS.seeds)
    # A short run, whose line of the table says why it does not rank.
    assert f"| {mean:.6g} | checkpoint interval none, expected 10,000 |" in line.splitlines()[2]
    assert "[not-a-folder]" in file
    assert "[duplicate-weights]" in again
    assert summary.endswith(": 3, refused 2")
    (row,) = list_rows(tmp_path / "scratch")
    assert row.content_sha256 == shown["content_sha256"]
    assert fingerprint(board) == before


@pytest.mark.slow
def test_weights_of_another_training_are_refused(template, tmp_path, capfd):
    template.with_manifest(seed=1).write(tmp_path / "s" / "one")
    (tmp_path / "board").mkdir()
    found = try_proposals(tmp_path / "s", tmp_path / "board", tmp_path / "scratch", SETTINGS)
    assert "refused: training it again ended with status 1" in next(found)
    assert "[retrain-mismatch]" in capfd.readouterr().err


def test_a_long_training_is_left_to_the_maintainer(template, tmp_path):
    template.write(tmp_path / "s" / "one")
    (tmp_path / "board").mkdir()
    # Importing torch takes longer.
    found = try_proposals(
        tmp_path / "s", tmp_path / "board", tmp_path / "scratch", SETTINGS, cpu_seconds=1
    )
    assert "not trained again, as that takes more than 1 s of processor time" in next(found)
    (row,) = list_rows(tmp_path / "scratch")
    assert row.trained_again is None


def test_the_command_reports_missing_and_existing_folders(tmp_path, capsys, monkeypatch):
    (tmp_path / "board").mkdir()
    words = [str(tmp_path / name) for name in ("submissions", "board", "scratch")]
    monkeypatch.setattr("sys.argv", ["proposals", *words])
    assert main() == 0
    assert "submissions: 0, refused 0" in capsys.readouterr().out
    assert main() == 2
    assert "scratch" in capsys.readouterr().err
