"""Verdicts on made-up agents are those worked by hand, and tests those of SciPy."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from snn_gym.leaderboard.comparison import inferiority_p
from studies.pays.question import OTHER
from studies.pays.tables import times
from studies.pays.verdicts import (
    DO_NOT_PAY,
    NOT_SIGNIFICANT,
    OPEN,
    PAY,
    factor_of,
    judge,
    keeping,
)
from studies.rows import RowName
from tests.studies.pays.made import OTHER_TASK, QUESTION, TASK, contender, field

FULL = (100, 101, 99, 100, 100)


def verdict(*contenders, **kwargs):
    return judge(QUESTION, {TASK: field(*contenders, **kwargs)})[TASK, "operations"]


def spiking(prices=(100,) * 5, returns=FULL, agent="lif", **kwargs):
    return contender(agent, returns, prices, spiking=True, **kwargs)


def ann(prices=(10,) * 5, returns=FULL, agent="mlp", **kwargs):
    return contender(agent, returns, prices, spiking=False, **kwargs)


def test_the_factor_of_constant_prices_is_exact():
    found = factor_of((100.0,) * 5, (10.0,) * 5)
    assert found.value == pytest.approx(10.0)
    assert (found.low, found.high) == (pytest.approx(10.0), pytest.approx(10.0))
    assert found.p == 0.0
    assert factor_of((3.0, 4.0), (3.0, 4.0)).p == 1.0


@pytest.mark.parametrize("swapped", [False, True])
def test_the_factor_is_tested_by_welch_of_logarithms(swapped):
    one, other = [90.0, 100.0, 120.0, 80.0, 101.0], [60.0, 70.0, 100.0, 75.0, 99.0]
    if swapped:
        one, other = other, one
    expected = stats.ttest_ind(np.log(one), np.log(other), equal_var=False)
    found = factor_of(one, other)
    low, high = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.value == pytest.approx(stats.gmean(one) / stats.gmean(other))
    assert (found.low, found.high) == (pytest.approx(np.exp(low)), pytest.approx(np.exp(high)))


def test_cheaper_ann_means_that_spikes_do_not_pay():
    found = verdict(spiking(), ann())
    assert found.words == DO_NOT_PAY
    assert found.factor is not None
    assert found.factor.value == pytest.approx(10.0)


def test_cheaper_spiking_agent_means_that_spikes_pay():
    assert verdict(spiking((1,) * 5), ann()).words == PAY


@pytest.mark.parametrize(("proven", "words"), [(0, OPEN), (1, OPEN), (2, PAY)])
def test_hand_made_prices_decide_nothing(proven, words):
    """Weights that nobody trained again may be written by hand, at next to no cost."""
    found = verdict(spiking((1,) * 5, trained_again=proven), ann())
    assert (found.words, found.unproven) == (words, 2 - proven)
    assert verdict(spiking(), spiking((200,) * 5, trained_again=0), ann()).words == DO_NOT_PAY


def test_the_factor_of_a_single_seed_has_no_interval():
    found = factor_of((20.0,), (10.0, 10.0))
    assert (found.value, found.low, found.high, found.p) == (pytest.approx(2.0), 0.0, np.inf, 1.0)
    assert times(found) == "2"


def test_prices_that_overlap_are_not_significant():
    found = verdict(spiking((5, 10, 20, 10, 9)), ann((6, 9, 19, 12, 8)))
    assert found.words == NOT_SIGNIFICANT


def test_an_inferior_agent_is_not_chosen_though_it_is_cheap():
    poor = ann((1,) * 5, returns=(50, 52, 48, 50, 50), agent="linear")
    found = verdict(spiking(), poor, ann())
    assert found.ann is not None
    assert found.ann.row.agent == "mlp"


def test_nothing_is_compared_where_no_spiking_agent_keeps_the_return():
    found = verdict(spiking(returns=(10, 90, 50, 20, 40)), ann())
    assert found.spiking is None
    assert found.words == NOT_SIGNIFICANT


def test_a_missing_row_leaves_the_verdict_open():
    found = verdict(spiking(), ann(), missing=[RowName("linear", TASK, 0)])
    assert found.words == OPEN
    assert verdict().words == OPEN


def test_agents_of_no_family_are_neither_best_nor_candidates():
    other = ann((1,) * 5, returns=(110,) * 5, agent="sac", family=OTHER)
    tried = field(spiking(), ann(), other)
    assert tried.best is not None
    assert tried.best.row.mean == 100.0
    assert set(keeping(tried, 0.05)) == set(tried.contenders[:2])


def test_returns_of_one_teacher_are_paired_by_seed():
    teacher = ann(returns=(90, 95, 100, 105, 110), agent="teacher")
    student = ann(returns=(88, 94, 99, 102, 109), agent="student", teacher="teacher")
    differences = np.subtract(student.row.seed_means, teacher.row.seed_means)
    expected = stats.ttest_1samp(differences, -5.0, alternative="greater").pvalue
    assert inferiority_p(student.row, teacher.row, 0.05) == pytest.approx(expected)
    second = spiking(returns=(89, 95, 98, 103, 110), agent="second", teacher="teacher")
    differences = np.subtract(second.row.seed_means, student.row.seed_means)
    expected = stats.ttest_1samp(differences, -5.0, alternative="greater").pvalue
    assert inferiority_p(second.row, student.row, 0.05) == pytest.approx(expected)


def test_returns_of_different_teachers_are_not_paired():
    one, two = ann(returns=(90, 95, 100, 105, 110)), spiking(returns=(91, 92, 101, 104, 108))
    shifted = np.add(two.row.seed_means, 5.0)
    expected = stats.ttest_ind(shifted, one.row.seed_means, equal_var=False, alternative="greater")
    assert inferiority_p(two.row, one.row, 0.05) == pytest.approx(expected.pvalue)


def test_only_the_cheaper_agent_must_be_shown_to_keep_the_return():
    unsure = spiking(returns=(97, 104, 96, 103, 100))
    found = verdict(unsure, ann(returns=(100.1,) * 5))
    assert found.spiking is unsure
    assert found.p == 0.0  # the best agent, at a constant price


def test_p_values_are_adjusted_for_verdicts_that_are_still_open():
    tasks = dataclasses.replace(QUESTION, tasks=(TASK, OTHER_TASK))
    one = spiking((100, 110, 90, 105, 95))
    fields = {
        TASK: field(one, ann((60, 62, 61, 100, 90))),
        OTHER_TASK: field(task=OTHER_TASK),
    }
    found = judge(tasks, fields)[TASK, "operations"]
    assert found.adjusted == pytest.approx(2 * found.p)
    context = dataclasses.replace(QUESTION, context=(OTHER_TASK,))
    assert judge(context, fields)[TASK, "operations"].adjusted == pytest.approx(found.p)
