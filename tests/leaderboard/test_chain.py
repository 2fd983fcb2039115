"""Tests of the chain of digests: by hand, after changes, and with concurrent writers."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import StorageError
from snn_gym.leaderboard import SubmissionError, audit, table_rows
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.manifest import dump_json
from snn_gym.leaderboard.results import (
    DIGESTS_NAME,
    add_link,
    list_rows,
    read_chain,
    replace_row,
    row_path,
    sound_rows,
)
from tests.leaderboard.helpers import fingerprint
from tests.leaderboard.test_table import fill, make_row


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_line_by_hand(tmp_path):
    row = make_row()
    fill(tmp_path, row)
    digests = f"{sha(dump_json(row))} {sha('weights')} results/ppo-lif/CartPole-v1/0.json"
    first = sha(f"{'0' * 64} {digests}")
    assert (tmp_path / DIGESTS_NAME).read_text() == f"{first} {digests}\n"
    fill(tmp_path, make_row(seed=1))
    (_, second) = read_chain(tmp_path)
    assert second.chain == sha(f"{first} {second.row} {second.weights} {second.place}")


def test_a_row_that_is_evaluated_again_has_a_further_line(tmp_path):
    fill(tmp_path, make_row(evaluator_version=1))
    replace_row(tmp_path, make_row(), evaluator_version=EVALUATOR_VERSION)
    before, after = read_chain(tmp_path)
    assert (before.place, before.weights) == (after.place, after.weights)
    assert after.row == sha(dump_json(make_row()))


@pytest.mark.parametrize("forget", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_chain_is_not_created_for_existing_rows(forget, tmp_path):
    """Otherwise edited rows would get valid digests."""
    fill(tmp_path, make_row(seed=3), make_row(seed=4))
    path = row_path(tmp_path, "ppo-lif", "CartPole-v1", 3)
    path.write_text(dump_json(make_row(seed=3, synops_per_decision={"hidden_1": 0.001})))
    forget(tmp_path / DIGESTS_NAME)
    before = fingerprint(tmp_path)
    attempts = (
        lambda: fill(tmp_path, make_row(seed=1)),
        lambda: replace_row(tmp_path, make_row(seed=4), verified="2026-01-01T00:00:00Z"),
        lambda: list_rows(tmp_path),
        lambda: table_rows(tmp_path),
    )
    for attempt in attempts:
        with pytest.raises(SubmissionError, match="restore the file from its history") as caught:
            attempt()
        assert caught.value.code == "digests"
    assert fingerprint(tmp_path) == before
    (problem,) = audit(tmp_path)
    assert "has rows under results/ and no line in digests.txt" in problem


def test_a_folder_without_rows_gets_a_chain(tmp_path):
    (tmp_path / "plan.toml").write_text("")
    (tmp_path / DIGESTS_NAME).write_text("")
    assert read_chain(tmp_path) == ()
    fill(tmp_path, make_row())
    assert len(read_chain(tmp_path)) == 1


LINE_ENDS = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r", 1),
    "VT": lambda text: text.replace("\n", "\v", 1),
    "line separator": lambda text: text.replace("\n", "\u2028", 1),
    "NEL": lambda text: text.replace("\n", "\x85", 1),
    "Arabic digits": lambda text: text.replace("/0.json", "/\u0660.json"),
    "an empty line": lambda text: text + "\n",
    "two dots": lambda text: text.replace("/ppo-lif/", "/../"),
    "a name too long for a file": lambda text: text.replace("/ppo-lif/", f"/{'a' * 1500}/"),
}


@pytest.mark.parametrize("change", LINE_ENDS.values(), ids=list(LINE_ENDS))
def test_lines_have_one_valid_form(change, tmp_path):
    fill(tmp_path, make_row(seed=0), make_row(seed=1))
    path = tmp_path / DIGESTS_NAME
    changed = change(path.read_text()).encode()
    path.write_bytes(rechained(changed))
    with pytest.raises(SubmissionError, match=r"line \d of digests.txt does not follow"):
        read_chain(tmp_path)


def rechained(lines):
    """Make every line follow from the previous line."""
    before, written = "0" * 64, ""
    for line in lines.decode().splitlines(keepends=True):
        content, end = line[65:].rstrip(), line[len(line.rstrip()) :]
        before = sha(f"{before} {content}")
        written += f"{before} {content}{end}"
    return written.encode()


FULL = """
import resource, sys
from pathlib import Path
from snn_gym.leaderboard.results import write_row
from tests.leaderboard.test_table import make_row
board, episodes = Path(sys.argv[1]), int(sys.argv[2])
row = make_row(seed=1, returns=tuple(range(episodes)))
digests = (board / "digests.txt").stat().st_size if (board / "digests.txt").exists() else 0
resource.setrlimit(resource.RLIMIT_FSIZE, (digests + 1000, digests + 1000))
write_row(board, row, b"weights")
"""


@pytest.mark.parametrize("is_first", [True, False])
def test_full_disk_leaves_no_partial_row(is_first, tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    if not is_first:
        fill(board, make_row(seed=0))
    before = sorted(board.rglob("*.*"))
    command = [sys.executable, "-c", FULL, str(board), "500"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "File too large" in ended.stderr  # the row alone is larger than a file may be
    assert sorted(board.rglob("*.*")) == before
    assert sound_rows(board)[1] == ()
    fill(board, make_row(seed=1))
    assert len(list_rows(board)) == 1 + (not is_first)


def test_last_line_without_a_row_is_removed_by_the_next_writer(tmp_path):
    """Version 1.0.0 left such a line when the disk was full."""
    fill(tmp_path, make_row(seed=0), make_row(seed=1))
    left = row_path(tmp_path, "ppo-lif", "CartPole-v1", 1)
    left.unlink()
    assert [row.seed for row in list_rows(tmp_path)] == [0]
    fill(tmp_path, make_row(seed=2))
    assert not left.with_suffix(".safetensors").exists()
    assert [Path(link.place).stem for link in read_chain(tmp_path)] == ["0", "2"]
    fill(tmp_path, make_row(seed=1))
    assert len(list_rows(tmp_path)) == 3


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_folders_and_pipes_do_not_stop_readers(put, tmp_path):
    fill(tmp_path, make_row(seed=0))
    put(row_path(tmp_path, "ppo-lif", "CartPole-v1", 99))
    fill(tmp_path, make_row(seed=1))
    assert [row.seed for row in list_rows(tmp_path)] == [0, 1]


@pytest.mark.parametrize("name", ["results", "results/ppo-lif", "results/ppo-lif/CartPole-v1"])
def test_linked_folders_of_the_leaderboard_are_refused(name, tmp_path):
    board, elsewhere = tmp_path / "board", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (board / name).parent.mkdir(parents=True)
    (board / name).symlink_to(elsewhere)
    with pytest.raises(StorageError, match="is a symbolic link; expected a folder"):
        fill(board, make_row())
    assert list(elsewhere.iterdir()) == []


def test_no_row_is_read_through_a_link(tmp_path):
    board = fill(tmp_path / "board", make_row())
    folder = board / "results" / "ppo-lif"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="ppo-lif is a symbolic link"):
        list_rows(board)
    with pytest.warns(UserWarning, match="set aside: .*ppo-lif is a symbolic link"):
        assert table_rows(board) == ()


@given(data=st.data())
def test_changed_removed_or_moved_lines_are_detected(tmp_path_factory, data):
    board = tmp_path_factory.mktemp("board")
    for seed in range(4):
        add_link(board, f"results/a/b/{seed}.json", bytes([seed]), b"w")
    path = board / DIGESTS_NAME
    lines = path.read_text().splitlines(keepends=True)
    kind = data.draw(st.sampled_from(["flip", "drop", "swap", "double"]))
    # Lines left out at the end are seen by the rows that nothing accounts for.
    k = data.draw(st.integers(0, 2))
    if kind == "flip":
        column = data.draw(st.integers(0, len(lines[k]) - 2))
        other = data.draw(st.sampled_from("0123456789abcdefx ").filter(lines[k][column].__ne__))
        lines[k] = lines[k][:column] + other + lines[k][column + 1 :]
    elif kind == "drop":
        del lines[k]
    elif kind == "swap":
        lines[k], lines[k + 1] = lines[k + 1], lines[k]
    else:
        lines.insert(k, lines[k])
    path.write_text("".join(lines))
    with pytest.raises(SubmissionError, match=rf"line \d of {DIGESTS_NAME} does not follow"):
        read_chain(board)
    before = path.read_bytes()
    with pytest.raises(SubmissionError):
        add_link(board, "results/a/b/9.json", b"", b"")
    assert path.read_bytes() == before
