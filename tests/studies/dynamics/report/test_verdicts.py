"""Verdicts against shares and p-values worked by hand: each of the outcomes."""

import numpy as np
import pytest

from studies.dynamics.report import markdown, verdicts
from studies.dynamics.report.verdicts import Verdict, judge

FEW, MANY, ALL_FAILED = np.arange(4.0), np.arange(4.0) + 20, np.full(4, np.inf)
NONE = np.zeros(0)


def test_one_comparison_by_hand():
    # One of the 70 splits of four and four is as extreme, at either end.
    assert judge({"a": [(FEW, MANY)]}) == {"a": Verdict(1.0, pytest.approx(2 / 70))}
    assert judge({"a": [(ALL_FAILED, MANY)]}) == {"a": Verdict(0.0, pytest.approx(2 / 70))}
    assert judge({"a": [(ALL_FAILED, ALL_FAILED)]}) == {"a": Verdict(0.5, 1.0)}


def test_a_share_is_of_pairs_of_runs():
    # Pairs: 1 beats all three; 2 ties with 2 and beats the other two.
    (found,) = judge({"a": [(np.array([1.0, 2.0]), np.array([2.0, 3.0, np.inf]))]}).values()
    assert found.share == 5.5 / 6


def test_p_values_are_corrected_for_the_number_of_comparisons():
    found = judge({"a": [(FEW, MANY)], "b": [(FEW, FEW)], "c": [(FEW, NONE)]})
    assert found.keys() == {"a", "b"}
    assert found["a"].p == pytest.approx(2 * 2 / 70)
    assert (found["a"].side, found["b"].side) == ("open", "open")


def test_strata_are_taken_together_and_empty_ones_left_out():
    (found,) = judge({"a": [(FEW, MANY), (MANY, FEW + 50), (NONE, FEW)]}).values()
    assert found == Verdict(1.0, pytest.approx(2 / 70**2))


@pytest.mark.parametrize(
    ("share", "p", "side"),
    [(0.9, 0.05, "better"), (0.1, 0.05, "worse"), (0.9, 0.051, "open"), (0.1, 0.051, "open")],
)
def test_sides(share, p, side):
    assert Verdict(share, p).side == side


def test_verdicts_in_words_and_cells():
    assert str(Verdict(0.375, 0.0461)) == "38 % of pairs of runs, p = 0.046"
    found = {"a": Verdict(1.0, 0.00049, 0.00012, 4)}
    assert str(found["a"]) == "100 % of pairs of runs, p < 0.001"
    assert verdicts.cells(found, "a") == ["100 %", "< 0.001 (< 0.001 of 4)"]
    assert verdicts.cells(found, "b") == ["–", "–"]


def test_numbers():
    assert markdown.number(-1234.5, 1) == "−1,234.5"
    assert markdown.spread(np.array([5.0, np.inf, 1.0])) == "5 (1 to > budget)"
    assert markdown.spread(np.array([1.0, np.inf, np.inf])) == "> budget (1 to > budget)"
    assert markdown.spread(np.array([7.0])) == markdown.median(np.array([7.0])) == "7"
    assert markdown.spread(NONE) == markdown.median(NONE) == "–"
    assert markdown.names(["a"]) == "`a`"
    assert markdown.not_run(["a", "b", "c"], 2) == ["`a`, `b` and `c`: not run", "–", "–"]
