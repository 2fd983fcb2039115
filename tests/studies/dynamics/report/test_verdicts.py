"""Sentences follow from where an interval lies: each of the outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.dynamics.groups import read_groups
from studies.dynamics.report import verdicts
from studies.dynamics.statistics import Estimate, rank_correlation
from tests.studies.dynamics.runs import write_runs

FEW, MANY, ALL_FAILED = np.arange(10.0), np.arange(10.0) + 20, np.full(10, np.inf)
NONE = np.zeros(0)


def compare(values: np.ndarray, others: np.ndarray) -> str:
    return verdicts.pairwise("a", values, "b", others, verdicts.EPISODES)


def test_pairs() -> None:
    assert compare(FEW, MANY) == (
        "`a` needs fewer episodes than `b`: in 100 % (100 to 100 %) of pairs of runs."
    )
    assert compare(ALL_FAILED, MANY).startswith("`a` needs more episodes than `b`")
    assert compare(FEW, FEW).startswith("`a` and `b`: the data show no difference; the former")
    assert compare(ALL_FAILED, ALL_FAILED).startswith("`a` and `b`: the data show no difference")
    assert compare(FEW, NONE) == "`a` and `b` can't be compared yet: runs are missing."


def test_the_best_of_several() -> None:
    def judge(values: np.ndarray, **others: np.ndarray) -> str:
        return verdicts.best_of("a", values, others, verdicts.EPISODES, "It is best")

    assert judge(FEW, b=MANY, c=ALL_FAILED) == (
        "It is best: **yes in these data.** `a` needs fewer episodes than `b` and `c`."
    )
    assert judge(MANY, b=FEW, c=ALL_FAILED, d=NONE) == (
        "It is best: **not in these data.** `a` needs more episodes than `b`."
    )
    assert judge(FEW, b=FEW, c=MANY) == (
        "It is best: **the data do not show it.** It needs fewer episodes than `c`, but no "
        "difference is seen to `b`."
    )
    assert judge(FEW, b=FEW, c=FEW, d=FEW) == (
        "It is best: **the data do not show it.** No difference is seen to `b`, `c` and `d`."
    )
    assert judge(FEW, b=NONE) == judge(NONE, b=FEW) == "It is best: runs are missing."


def test_differences() -> None:
    def say(low: float, high: float, *, up: bool) -> str:
        return verdicts.difference("x", Estimate(1.0, (low, high)), 1, higher_is_better=up)

    assert say(0.5, 2.0, up=True) == "x: 1.0 (95 % interval 0.5 to 2.0), **better**."
    assert say(0.5, 2.0, up=False) == "x: 1.0 (95 % interval 0.5 to 2.0), **worse**."
    assert say(-2.0, -0.5, up=False).endswith("(95 % interval −2.0 to −0.5), **better**.")
    assert say(-2.0, 0.0, up=True).endswith(", no difference that these data show.")
    one = verdicts.difference("x", Estimate(1.0, None), 0, higher_is_better=True)
    assert one == "x: 1, of one seed only."


def test_trends() -> None:
    rising = rank_correlation([1, 2], [FEW, MANY])
    assert verdicts.trend("It", "size", rising).startswith("It rises with size")
    falling = rank_correlation([1, 2], [MANY, FEW])
    assert verdicts.trend("It", "size", falling).startswith("It falls with size")
    level = rank_correlation([1, 2], [FEW, FEW])
    assert verdicts.trend("It", "size", level).startswith("It shows no trend over size")


def test_targets_say_how_many_seeds_they_are_judged_on(tmp_path: Path) -> None:
    labels = ("CartPole-v1", "history")
    write_runs(tmp_path, "presets", labels, [1.0] * 7)
    some = read_groups("presets", tmp_path)[labels]
    assert verdicts.target("Goal", True, some) == "Goal: **met** (so far: 7 of 10 seeds)."
    write_runs(tmp_path, "presets", labels, [1.0] * 10)
    every = read_groups("presets", tmp_path)[labels]
    assert verdicts.target("Goal", False, every) == "Goal: **missed**."
