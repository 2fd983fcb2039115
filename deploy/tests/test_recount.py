"""Counts of instructions in a leaderboard, counted again."""

import re
import shutil

import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.leaderboard import check_board
from snn_gym_deploy import count_instructions
from tests.leaderboard.helpers import stored_row
from tests.leaderboard.test_check import counted


def test_verify_says_what_it_could_not_count_again(board, capsys, monkeypatch):
    counted(board, "20000.5")
    monkeypatch.setenv("PATH", "")
    assert main(["verify", "--leaderboard", str(board), "--recount"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "with seed 0: host not counted again: cc is not installed, and counting" in lines[0]
    assert lines[1:] == ["1 rows hold or were not counted again, 0 do not hold"]


needs_valgrind = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("valgrind") is None,
    reason="a compiler or valgrind is not installed",
)


@needs_valgrind
@pytest.mark.slow
def test_verify_counts_instructions_again(board, capsys):
    row = stored_row(board)
    model = load_pretrained(row["agent"], row["environment"], row["seed"], leaderboard=board)
    honest = count_instructions(model, row["environment"], "host").per_decision
    for factor, status in ((1.0, 0), (0.7, 2)):
        counted(board, f"{factor * honest:.9g}")
        assert check_board(board) == ()
        assert main(["verify", "--leaderboard", str(board), "--recount"]) == status
        said = capsys.readouterr().out
        shown, stored = re.search(r"host: ([0-9.]+) counted, ([0-9.]+) stored", said).groups()
        assert float(shown) == pytest.approx(honest)
        assert float(stored) == pytest.approx(factor * honest)
