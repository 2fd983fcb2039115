"""Tests of the files of rows and weights: by hand, after changes, and on a full disk."""

import hashlib
import json
import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import StorageError
from snn_gym.leaderboard import SubmissionError, table_rows
from snn_gym.leaderboard.batches import file_of_seed, join_seeds
from snn_gym.leaderboard.results import (
    dump_line,
    list_rows,
    parse_line,
    sound_rows,
    verified_weights,
    write_row,
)
from tests.leaderboard.helpers import line_of, row_file, weights_file
from tests.leaderboard.test_table import WEIGHTS, fill, make_row


def test_a_line_by_hand(tmp_path):
    row = make_row(returns=(500.0, 500.0, 0.1 + 0.2, -0.0), environment="snn/CartPole-v1")
    fill(tmp_path, row)
    path = tmp_path / "results" / "snn__CartPole-v1.jsonl"
    text, digest = path.read_text().removesuffix('"}\n').split(',"sha256":"')
    assert digest == hashlib.sha256(f"{text}}}".encode()).hexdigest()
    content = json.loads(f"{text}}}")
    assert content["score"]["returns"] == "500*2 0.30000000000000004 -0"
    assert content["lengths"] == "1*4"
    assert content["seed"] == 0
    batch = tmp_path / "weights" / "ppo-lif" / "snn__CartPole-v1" / "0.safetensors"
    assert file_of_seed(batch.read_bytes(), 0) == WEIGHTS


@given(
    returns=st.lists(
        st.floats(-1e12, 1e12) | st.sampled_from([500.0, 0.0, -0.0]), min_size=1, max_size=30
    )
)
def test_rows_round_trip_exactly(returns):
    row = make_row(returns=tuple(returns))
    line = dump_line(row)
    again = parse_line(line, "here")
    assert repr(again) == repr(row)
    assert dump_line(again) == line


def test_a_new_row_is_one_further_line_in_its_place(tmp_path):
    rows = [make_row(agent, seed) for agent in ("dqsn", "ppo-lif") for seed in (2, 10)]
    fill(tmp_path, *rows)
    before = row_file(tmp_path).read_bytes().splitlines()
    files = {path: path.read_bytes() for path in (tmp_path / "weights").rglob("*.safetensors")}
    new = make_row("ppo-lif", 3)
    fill(tmp_path, new)
    assert row_file(tmp_path).read_bytes().splitlines() == [*before[:3], dump_line(new), before[3]]
    assert list_rows(tmp_path) == (*rows[:3], new, rows[3])
    assert all(path.read_bytes() == data for path, data in files.items())
    assert len(list((tmp_path / "weights").rglob("*.safetensors"))) == len(files) + 1


def with_digest(row):
    """Return a row with the digest of `WEIGHTS`."""
    return make_row(seed=row, weights_sha256=hashlib.sha256(WEIGHTS).hexdigest())


def test_weights_are_found_in_the_smallest_batch_with_their_seed(tmp_path):
    fill(tmp_path, *map(with_digest, range(3)))
    folder = weights_file(fill(tmp_path / "one", with_digest(0))).parent
    assert folder.name == "CartPole-v1"
    whole = tmp_path / "weights" / "ppo-lif" / "CartPole-v1"
    for path in whole.iterdir():
        path.unlink()
    with pytest.raises(SubmissionError, match=r"are not in .*a checkout of snn_gym has those"):
        verified_weights(tmp_path, with_digest(1))
    (whole / "0-2.safetensors").write_bytes(join_seeds(dict.fromkeys(range(3), WEIGHTS)))
    (whole / "notes.safetensors").write_bytes(b"")
    assert verified_weights(tmp_path, with_digest(1)) == WEIGHTS
    (whole / "1.safetensors").write_bytes(join_seeds({2: WEIGHTS}))
    with pytest.raises(SubmissionError, match="has weights of seed 1 with the SHA-256"):
        verified_weights(tmp_path, with_digest(1))


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 40, (2).to_bytes(8, "little") + b"[]"])
def test_a_damaged_batch_is_refused_in_one_line(data, tmp_path):
    board = fill(tmp_path, with_digest(0))
    weights_file(board).write_bytes(data)
    with pytest.raises(SubmissionError) as caught:
        verified_weights(board, with_digest(0))
    assert "weights/ppo-lif/CartPole-v1" in str(caught.value)
    assert "\n" not in str(caught.value)


FORMS = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "an empty line": lambda text: text + "\n",
    "a space": lambda text: text.replace("}\n", "} \n", 1),
    "Arabic digits": lambda text: text.replace("100000", "\u0661\u0660\u0660\u0660\u0660\u0660", 1),
    "swapped": lambda text: "".join(text.splitlines(keepends=True)[::-1]),
    "twice": lambda text: 2 * text,
}


@pytest.mark.parametrize("change", FORMS.values(), ids=list(FORMS))
def test_lines_have_one_valid_form(change, tmp_path):
    board = fill(tmp_path, make_row(seed=0), make_row(seed=1))
    row_file(board).write_bytes(change(row_file(board).read_text()).encode())
    with pytest.raises(SubmissionError, match=r"results/CartPole-v1.jsonl, line \d"):
        list_rows(board)


@given(data=st.data())
def test_a_flipped_letter_of_a_line_is_detected(data):
    line = dump_line(make_row()).decode()
    k = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.sampled_from('0123456789abcdefx "{}').filter(line[k].__ne__))
    with pytest.raises(SubmissionError, match="here is not as it was verified"):
        parse_line(f"{line[:k]}{other}{line[k + 1 :]}".encode(), "here")


@given(text=st.text(max_size=30))
def test_texts_of_numbers_are_read_or_refused(text):
    content = json.loads(dump_line(make_row()))
    del content["sha256"]
    content["lengths"] = text
    line = line_of(content).encode().removesuffix(b"\n")
    with suppress(SubmissionError):
        row = parse_line(line, "here")
        assert all(type(x) is int and x > 0 for x in row.lengths)


@pytest.mark.parametrize("is_first", [True, False])
def test_full_disk_leaves_no_partial_row(is_first, tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    if not is_first:
        fill(board, make_row(seed=0))
    before = sorted(board.rglob("*.*"))
    row = make_row(seed=1, returns=tuple(range(500)))  # alone larger than a file may be
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_row(board, row, WEIGHTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(board.rglob("*.*")) == before
    assert sound_rows(board)[1] == ()
    fill(board, make_row(seed=1))
    assert len(list_rows(board)) == 1 + (not is_first)


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
@pytest.mark.parametrize("name", ["Acrobot-v1.jsonl", "notes.txt", "a\nb\udcff.jsonl"])
def test_strange_files_are_named_without_waiting(put, name, tmp_path):
    fill(tmp_path, make_row(seed=0))
    put(tmp_path / "results" / name)
    rows, (problem,) = sound_rows(tmp_path)
    assert rows == (make_row(seed=0),)
    assert problem.startswith("results/")
    assert problem.isprintable()


LINKS = ["results", "weights", "weights/ppo-lif", "weights/ppo-lif/CartPole-v1"]


@pytest.mark.parametrize("name", LINKS)
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
    row_file(board).rename(tmp_path / "elsewhere")
    (board / "results" / "CartPole-v1.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SubmissionError, match=r"CartPole-v1.jsonl is a symbolic link"):
        list_rows(board)
    with pytest.warns(UserWarning, match=r"set aside: .*CartPole-v1.jsonl is a symbolic link"):
        assert table_rows(board) == ()
