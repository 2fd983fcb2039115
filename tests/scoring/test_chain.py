"""The chain of digests: by hand, after every kind of change, and beside other writers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.scoring import SubmissionError
from snn_gym.scoring.chain import DIGESTS_NAME, add_link, begin_chain, read_chain
from snn_gym.scoring.evaluation import EVALUATOR_VERSION
from snn_gym.scoring.manifest import dump_json
from snn_gym.scoring.results import replace_row
from tests.scoring.test_table import fill, make_row


def sha(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_line_by_hand(tmp_path: Path) -> None:
    row = make_row()
    fill(tmp_path, row)
    digests = f"{sha(dump_json(row))} {sha('weights')} results/ppo-lif/CartPole-v1/0.json"
    first = sha(f"{'0' * 64} {digests}")
    assert (tmp_path / DIGESTS_NAME).read_text() == f"{first} {digests}\n"
    fill(tmp_path, make_row(seed=1))
    (_, second) = read_chain(tmp_path)
    assert second.chain == sha(f"{first} {second.row} {second.weights} {second.place}")


def test_a_row_that_is_evaluated_again_has_a_further_line(tmp_path: Path) -> None:
    fill(tmp_path, make_row(evaluator_version=1))
    replace_row(tmp_path, make_row(), evaluator_version=EVALUATOR_VERSION)
    before, after = read_chain(tmp_path)
    assert (before.place, before.weights) == (after.place, after.weights)
    assert after.row == sha(dump_json(make_row()))


def test_rows_that_are_older_than_the_chain_are_its_beginning(tmp_path: Path) -> None:
    fill(tmp_path, make_row(seed=4), make_row(seed=3))
    (tmp_path / DIGESTS_NAME).unlink()
    fill(tmp_path, make_row(seed=1))
    places = [link.place for link in read_chain(tmp_path)]
    assert [Path(place).stem for place in places] == ["3", "4", "1"]


def test_a_chain_is_begun_once(tmp_path: Path) -> None:
    assert read_chain(tmp_path) == ()
    fill(tmp_path, make_row())
    whole = (tmp_path / DIGESTS_NAME).read_bytes()
    with pytest.raises(ValueError, match="exists; it is only ever added to"):
        begin_chain(tmp_path)
    (tmp_path / DIGESTS_NAME).unlink()
    begin_chain(tmp_path)
    assert (tmp_path / DIGESTS_NAME).read_bytes() == whole


@given(data=st.data())
def test_no_line_is_changed_left_out_or_moved_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    board = tmp_path_factory.mktemp("board")
    for seed in range(4):
        add_link(board, board / f"results/a/b/{seed}.json", bytes([seed]), b"w")
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
        add_link(board, board / "results/a/b/9.json", b"", b"")
    assert path.read_bytes() == before
