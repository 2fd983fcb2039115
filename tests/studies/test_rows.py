"""Pages that quote rows of the results table are of today's rows."""

import json
import shutil

import pytest

from snn_gym.leaderboard.results import read_row, row_path
from studies.rows import (
    LEADERBOARD,
    ROOT,
    SOURCES,
    RowName,
    moved_rows,
    record_rows,
    row_digest,
)

ROW = RowName("ppo-lif", "snn/CartPole-v1", 1)


@pytest.mark.parametrize(("page", "source"), [
    pytest.param(page, source, id=source.rows)
    for page, sources in SOURCES.items()
    for source in sources
])  # fmt: skip
def test_a_page_is_of_todays_rows(page, source):
    moved = ["/".join(map(str, name)) for name in moved_rows(ROOT / source.rows)]
    assert moved == [], (
        f"docs/{page}.md is of other rows than today's; run python -m {source.command}"
    )


def test_every_page_that_quotes_the_table_has_a_source():
    named = {
        path.stem
        for path in (ROOT / "docs").glob("*-study.md")
        if "results table's" in (text := path.read_text(encoding="utf-8"))
        or "of the results table" in text
    }
    # Of the lean study and the one of dynamics only a remark on rows of their time.
    assert named - {"lean-study", "dynamics-study"} <= set(SOURCES)


@pytest.fixture
def board(tmp_path):
    """Return a leaderboard of one row."""
    target = tmp_path / "board" / "results" / ROW.agent / "snn__CartPole-v1"
    target.mkdir(parents=True)
    shutil.copy(LEADERBOARD / "results" / ROW.agent / "snn__CartPole-v1" / "1.json", target)
    return tmp_path / "board"


def _row(board):
    path = row_path(board, *ROW)
    return read_row(board, path, path.read_bytes())


def test_rows_that_change_or_go_are_moved_and_other_costs_are_not(board, tmp_path):
    file = board / "results" / ROW.agent / "snn__CartPole-v1" / "1.json"
    record_rows(tmp_path / "x.rows", [ROW, _row(board)], board)
    assert len((tmp_path / "x.rows").read_text().splitlines()) == 1
    content = json.loads(file.read_text())
    content["synops_per_decision"] = {"hidden_1": 1.0}
    file.write_text(json.dumps(content))
    assert moved_rows(tmp_path / "x.rows", board) == []
    before = row_digest(_row(board))
    content["score"]["returns"][3] -= 1.0
    file.write_text(json.dumps(content))
    assert row_digest(_row(board)) != before
    assert moved_rows(tmp_path / "x.rows", board) == [ROW]
    file.unlink()
    assert moved_rows(tmp_path / "x.rows", board) == [ROW]
