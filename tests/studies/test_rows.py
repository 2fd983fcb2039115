"""Pages that quote rows of the results table are of today's rows."""

from dataclasses import replace

import pytest

from snn_gym.leaderboard.results import dump_line, find_row, list_rows
from snn_gym.program.costs import Costs
from studies.rows import LEADERBOARD, ROOT, SOURCES, RowName, moved_rows, record_rows, row_digest

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
    write(tmp_path / "board", find_row(list_rows(LEADERBOARD), *ROW))
    return tmp_path / "board"


def write(board, row):
    (board / "results").mkdir(parents=True, exist_ok=True)
    (board / "results" / "snn__CartPole-v1.jsonl").write_bytes(dump_line(row) + b"\n")


def _row(board):
    return find_row(list_rows(board), *ROW)


def test_rows_that_change_or_go_are_moved_and_other_costs_are_not(board, tmp_path):
    record_rows(tmp_path / "x.rows", [ROW, _row(board)], board)
    assert len((tmp_path / "x.rows").read_text().splitlines()) == 1
    row = _row(board)
    write(board, replace(row, costs=Costs(synops_per_decision={"hidden_1": 1.0})))
    assert moved_rows(tmp_path / "x.rows", board) == []
    before = row_digest(_row(board))
    returns = (row.score.returns[0] - 1.0, *row.score.returns[1:])
    write(board, replace(row, score=replace(row.score, returns=returns)))
    assert row_digest(_row(board)) != before
    assert moved_rows(tmp_path / "x.rows", board) == [ROW]
    (board / "results" / "snn__CartPole-v1.jsonl").unlink()
    assert moved_rows(tmp_path / "x.rows", board) == [ROW]
