"""Verdicts on made-up agents are those worked by hand, and tests those of SciPy."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from snn_gym.leaderboard.comparison import LESS, MORE, UNKNOWN, cost_ratio
from studies.pays.question import OTHER
from studies.pays.verdicts import inferiority_p, judge, keeping, ratio_p
from studies.rows import RowName
from tests.studies.pays.made import OTHER_TASK, QUESTION, TASK, contender, field

FULL = (100, 101, 99, 100, 100)


def verdict(*contenders, **kwargs):
    return judge(QUESTION, {TASK: field(*contenders, **kwargs)})[TASK, "operations"]


def spiking(prices=(100,) * 5, returns=FULL, agent="lif", **kwargs):
    return contender(agent, returns, prices, spiking=True, **kwargs)


def ann(prices=(10,) * 5, returns=FULL, agent="mlp", **kwargs):
    return contender(agent, returns, prices, spiking=False, **kwargs)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_ratio_is_tested_by_welch_of_logarithms(swapped):
    one, other = [90.0, 100.0, 120.0, 80.0, 101.0], [60.0, 70.0, 100.0, 75.0, 99.0]
    if swapped:
        one, other = other, one
    expected = stats.ttest_ind(np.log(one), np.log(other), equal_var=False)
    assert ratio_p(one, other) == pytest.approx(expected.pvalue)
    assert ratio_p((3.0, 4.0), (3.0, 4.0)) == 1.0
    assert ratio_p((100.0,) * 5, (10.0,) * 5) == 0.0


def test_a_cheaper_ann_means_that_spikes_cost_more():
    found = verdict(spiking(), ann())
    assert found.costs == "costs more: 10 (10 to 10)"
    assert (found.words, found.kind) == (MORE, MORE)


def test_a_cheaper_spiking_agent_means_that_spikes_cost_less():
    assert verdict(spiking((1,) * 5), ann()).words == LESS


@pytest.mark.parametrize(("proven", "kind"), [(0, UNKNOWN), (1, UNKNOWN), (2, LESS)])
def test_hand_made_prices_decide_nothing(proven, kind):
    """Weights that nobody trained again may be written by hand, at next to no cost."""
    found = verdict(spiking((1,) * 5, trained_again=proven), ann())
    assert (found.kind, found.unproven) == (kind, 2 - proven)
    assert verdict(spiking(), spiking((200,) * 5, trained_again=0), ann()).kind == MORE


def test_the_ratio_of_a_single_seed_has_no_interval():
    found = cost_ratio((20.0,), (10.0, 10.0))
    assert found == (pytest.approx(2.0), 0.0, np.inf)
    assert str(found) == "2"
    assert ratio_p((20.0,), (10.0, 10.0)) == 1.0


def test_prices_that_overlap_cannot_be_told_apart():
    found = verdict(spiking((5, 10, 20, 10, 9)), ann((6, 9, 19, 12, 8)))
    assert found.kind == "cannot be told"
    welch = stats.ttest_ind(np.log((5, 10, 20, 10, 9)), np.log((6, 9, 19, 12, 8)), equal_var=False)
    low, high = np.exp(welch.confidence_interval(0.95))
    reason = f"the interval reaches from {low:.3g} to {high:.3g}"
    assert found.words == f"cannot be told, because {reason}"


def test_returns_that_need_more_seeds_do_not_hide_a_difference_of_costs():
    # The ANN's loss is within the margin, at a p that an adjustment for two tests doubles.
    unsure = ann(returns=(94, 104, 95.5, 105, 101))
    tasks = dataclasses.replace(QUESTION, tasks=(TASK, OTHER_TASK))
    fields = {TASK: field(spiking(), unsure), OTHER_TASK: field(task=OTHER_TASK)}
    found = judge(tasks, fields)[TASK, "operations"]
    assert found.p < 0.05 < found.adjusted
    assert found.costs == "costs more: 10 (10 to 10)"


def test_an_inferior_agent_is_not_chosen_though_it_is_cheap():
    poor = ann((1,) * 5, returns=(50, 52, 48, 50, 50), agent="linear")
    found = verdict(spiking(), poor, ann())
    assert found.ann is not None
    assert found.ann.row.agent == "mlp"


def test_nothing_is_compared_where_no_spiking_agent_keeps_the_return():
    found = verdict(spiking(returns=(10, 90, 50, 20, 40)), ann())
    assert found.spiking is None
    assert found.words == "cannot be told, because no spiking agent is shown to keep the return"


def test_nothing_is_told_while_rows_are_missing():
    found = verdict(spiking(), ann(), missing=[RowName("linear", TASK, 0)])
    assert found.words == "cannot be told, because rows or prices are missing (1)"
    assert verdict().words == "cannot be told, because no agent has 5 seeds"


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
    fields = {TASK: field(one, ann((60, 62, 61, 100, 90))), OTHER_TASK: field(task=OTHER_TASK)}
    found = judge(tasks, fields)[TASK, "operations"]
    assert found.adjusted == pytest.approx(2 * found.p)
    context = dataclasses.replace(QUESTION, context=(OTHER_TASK,))
    assert judge(context, fields)[TASK, "operations"].adjusted == pytest.approx(found.p)
