"""Tests of rows of portable numerics beside those of the results table."""

import pytest

from snn_gym.leaderboard import check_board
from snn_gym.leaderboard.plan import read_plan
from snn_gym.leaderboard.results import list_rows
from studies.portable import __main__ as portable
from studies.portable.__main__ import BOARD, PAGE, compare, page, places, written


def test_places_by_hand():
    # 2 exceeds one of three others and equals another.
    assert places([2.0, 1.0, 2.0, 5.0]) == [0.5, 0.0, 0.5, 1.0]


def test_a_test_finds_what_is_always_first_and_nothing_else():
    first = compare([[9.0, 1.0, 2.0, 3.0]] * 8, draws=20_000)
    assert first.place == 1.0
    # All eight at an end, at the same one, have a probability of 2 / 4^8.
    assert first.p <= 0.001
    middle = compare([[2.0, 1.0, 3.0]] * 8, draws=2_000)
    assert (middle.place, middle.p) == (0.5, 1.0)
    # One of four values is first: a place as far from the middle has a probability of a half.
    assert compare([[9.0, 1.0, 2.0, 3.0]], draws=20_000).p == pytest.approx(0.5, abs=0.02)


def test_the_board_is_sound_and_holds_the_planned_rows():
    assert check_board(BOARD) == ()
    planned = {x.name for x in read_plan(BOARD.parent / "plan.toml").runs()}
    rows = list_rows(BOARD)
    assert {f"{x.agent} {x.environment} seed {x.seed}" for x in rows} == planned
    assert {x.numerics for x in rows} == {"portable"}


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert written(text, page()) == text, "run: python -m studies.portable"
    assert portable.DRAWS == 100_000  # as registered
