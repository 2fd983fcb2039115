"""Tests of killed writers: repeated, they give the same result as without a kill."""

import functools
import os
from collections.abc import Callable

import pytest

from snn_gym.leaderboard import check_board, submit, verify, write_table
from snn_gym.leaderboard.rendering import render_table
from snn_gym.leaderboard.results import list_rows, replace_row, sound_rows
from tests.leaderboard.helpers import SETTINGS

pytestmark = pytest.mark.usefixtures("in_process")

Write = Callable[[], object]


class Killed(BaseException):
    """Stand-in for a signal, which the tested code does not catch."""


def killed_everywhere(write):
    """Run a writer repeatedly, killed each time before or after a later file is written.

    Yields:
        After each kill, until the writer finishes.
    """
    moments = ((number, after) for number in range(100) for after in (False, True))
    for number, after in moments:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", _deadly(number, after))
            patch.setattr(os, "unlink", lambda *_, **__: None)  # nobody cleans up
            try:
                write()
            except Killed:
                pass
            else:
                return
        yield


def _deadly(number, after):
    rename, calls = os.replace, iter(range(1000))

    def deadly(source, target, **folders):
        call = next(calls)
        if call < number or after:
            rename(source, target, **folders)
        if call == number:
            raise Killed

    return deadly


def names(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_killed_submit(run_folder, tmp_path):
    write = functools.partial(submit, run_folder, tmp_path / "s", seeds=SETTINGS.seeds)
    kills = 0
    for _ in killed_everywhere(write):
        kills += 1
        write()
        assert names(tmp_path / "s") == {"manifest.json", "weights.safetensors"}
        assert verify(tmp_path / "s", tmp_path / f"board{kills}", SETTINGS).seed == 0
    assert kills == 4


def test_killed_row_writer(template, tmp_path):
    other = template.with_manifest(seed=1).write(tmp_path / "s")
    board = tmp_path / "board"
    write = functools.partial(verify, other, board, SETTINGS)
    kills = 0
    for _ in killed_everywhere(write):
        kills += 1
        if not list_rows(board):  # with all files in place it is written, and only that
            write()
        assert len(list_rows(board)) == 1
        assert names(board) == {"CartPole-v1.jsonl", "1.safetensors"}
        assert check_board(board) == ()
        for path in sorted(board.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert kills == 4


def test_killed_row_reevaluation(template, tmp_path):
    board = tmp_path / "board"
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    kills = 0

    def write():
        (row,) = list_rows(board)
        replace_row(board, row, verified=f"2026-01-01T00:00:0{kills}Z")

    for _ in killed_everywhere(write):
        kills += 1
        # Either as it was or as it was to be, and never a row that is set aside.
        assert len(sound_rows(board)[0]) == 1
        write()
        assert check_board(board) == ()
        assert names(board) == {"CartPole-v1.jsonl", "0.safetensors"}
    assert kills == 2


def test_killed_table_writer(template, tmp_path):
    board = tmp_path / "board"
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    write = functools.partial(write_table, board)
    kills = 0
    for _ in killed_everywhere(write):
        kills += 1
        write()
        assert (board / "README.md").read_text() == render_table(board)
        assert names(board) == {"CartPole-v1.jsonl", "README.md", "0.safetensors"}
    assert kills == 2
