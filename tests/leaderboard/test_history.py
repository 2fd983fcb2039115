"""Tests of the check that no verified line or batch changes, over a small history."""

import runpy
import subprocess

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard.results import replace_row
from tests.leaderboard.helpers import edit_row, row_file, weights_file
from tests.leaderboard.test_table import AGAIN, fill, make_row

CHANGES = {
    "another return": (lambda board: edit_row(board, seed=0, steps=5), "seed 0: was changed"),
    "a row removed": (lambda board: row_file(board).write_text(""), "seed 0: is gone"),
    "the file removed": (lambda board: row_file(board).unlink(), "seed 0: is gone"),
    "other weights": (lambda board: weights_file(board).write_bytes(b""), "0.safetensors: was"),
    "weights removed": (lambda board: weights_file(board).unlink(), "0.safetensors: was changed"),
    "a further row": (lambda board: fill(board, make_row(seed=1)), ""),
    "a later finding": (lambda board: replace_row(board, make_row(), trained_again=AGAIN), ""),
}


def git(folder, *words):
    name = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True)


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=list(CHANGES))
def test_changed_lines_and_batches_are_named(change, said, tmp_path):
    board = fill(tmp_path / "leaderboard", make_row(trained_again=None))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "rows")
    change(board)
    git(tmp_path, "add", ".")
    changed_rows = runpy.run_path(str(checkout_root() / ".ci" / "rows.py"))["changed_rows"]
    problems = changed_rows(tmp_path, "HEAD")
    assert len(problems) == bool(said)
    assert all(said in problem for problem in problems)
