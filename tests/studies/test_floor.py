"""Tests of the page of floors: its searches, verdicts by hand, and whether it is up to date."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces

from snn_gym.learners.students import FAMILIES, SPIKING
from snn_gym.program import Head, Normaliser, Program
from snn_gym.program.layers import LeakyLayer
from snn_gym.program.prices import PRICES
from snn_gym_deploy import to_integer
from studies.floor.instructions import Counted, IntegerPolicy
from studies.floor.rate import CONTENDERS, RATES, Rate
from studies.floor.search import (
    COUNTED_PREFIX,
    DOCS_NAME,
    RATE_PREFIX,
    STUDY,
    Search,
    pages,
    plan,
    summary,
    verdicts,
)
from studies.floor.tasks import GROWTH, TASKS
from studies.runs import DOCS, Runs
from tests.made import DISCRETE, ZERO, row

ENV = "CartPole-v1"


def searched(operations, mean_return=500.0):
    """Return a search that found a network, or with no operations none."""
    if operations is None:
        return Search(477.0, None, None, {}, 0, 10.0)
    costs = {"operations": operations, "cmos45": 3 * operations, "loihi": 9 * operations}
    return Search(477.0, mean_return, 1, costs, 8, 10.0)


def page(tmp_path, spiking, linear, mean_return=500.0):
    """Return verdicts and page of searches on CartPole, a seed for each number of operations."""
    runs = Runs(tmp_path / "runs.jsonl")
    for seed, (one, other) in enumerate(zip(spiking, linear, strict=True)):
        for family in TASKS[ENV].families:
            cost = {"lif": one, "linear": other}.get(family, 50.0)
            runs.add(f"{ENV}/{family}/{seed}", searched(cost, mean_return))
    return verdicts(runs) + pages(runs)[DOCS_NAME]


def verdict(text):
    # The first table; the next is of agents that learn by reward.
    line = next(x for x in text.splitlines() if x.startswith(f"| {ENV} |"))
    return line.split(" | ")[3]


def test_the_plan_has_each_search_once_and_seed_by_seed():
    names = [x.name for x in plan(Runs(Path("none.jsonl")))]
    searches = sum(len(x.families + x.later) * len(x.seeds) for x in TASKS.values())
    rates = len(CONTENDERS) * len(RATES) * 5
    assert len(names) == len(set(names)) == searches + rates
    assert [int(x.rpartition("/")[2]) for x in names] == sorted(
        int(x.rpartition("/")[2]) for x in names
    )
    searched_names = [x for x in names if not x.startswith(RATE_PREFIX)]
    assert {x.split("/")[-2] for x in searched_names} <= set(FAMILIES)


def test_instructions_are_counted_of_the_cheapest_networks_that_keep_the_return(tmp_path):
    runs = Runs(tmp_path / "runs.jsonl")
    form, seeds = "fixed point", range(5)
    for seed in seeds:
        for family in TASKS[ENV].families:
            cost = {"lif": None if seed == 4 else 3.5, "linear": 3.0}.get(family, 50.0)
            runs.add(f"{ENV}/{family}/{seed}", searched(cost))
    names = [x.name for x in plan(runs) if x.name.startswith(COUNTED_PREFIX)]
    expected = {f"instructions/{ENV}/{x}/{y}" for x in ("lif", "linear") for y in seeds}
    assert set(names) == expected - {f"instructions/{ENV}/lif/4"}
    for name in names:
        # Of seed 0 the spiking network loses the return with 8 bits, so its ratio does not count.
        spiking, seed = "lif" in name, int(name[-1])
        earned = 476.0 if spiking and seed == 0 else 500.0
        runs.add(name, Counted(477.0, earned, 90.0 if spiking else 60.0, form))
    part = pages(runs)[DOCS_NAME].partition("## Instructions")[2]
    line = next(x for x in part.splitlines() if x.startswith(f"| {ENV} |"))
    assert line == f"| {ENV} | 4 of 4; 3 of 4 | 60; 90 | 1.50, 1.50, 1.50 (too few seeds) |"


def test_a_family_that_was_searched_later_changes_no_verdict(tmp_path):
    runs, env_id = Runs(tmp_path / "runs.jsonl"), "snn/CueAccumulation-v0"
    for seed in range(5):
        for family in (*TASKS[env_id].families, "gru"):
            # One GRU is cheaper than all other ANNs, and one keeps nothing.
            gru = {0: 4.0, 1: None}.get(seed, 9.0)
            cost = {"lif": 4.0, "leaky": 8.0, "gru": gru}.get(family, 50.0)
            runs.add(f"{env_id}/{family}/{seed}", searched(cost))
    text = pages(runs)[DOCS_NAME]
    line = next(x for x in verdicts(runs).splitlines() if x.startswith(f"| {env_id} |"))
    assert "costs less: 0.5 (0.5 to 0.5)" in line
    # Ratios 1 and four times 0.5: logarithms of mean -0.5545 and standard error 0.1386.
    told = " ".join(text.partition("no part of them. ")[2].split())
    assert told.startswith(
        f"{env_id}: `gru` found a network on 4 of 5 seeds, and a cheaper one than all other ANNs "
        "on 1; with it, costs less: 0.574 (0.391 to 0.844)."
    )


def test_an_integer_policy_carries_its_state_until_an_episode_ends():
    layer = LeakyLayer(row(1.0), ZERO, ZERO + 0.5)
    program = Program(
        inputs=1, encoder="constant", normalisers=(Normaliser(ZERO, ZERO + 1.0, 5.0),),
        layers=(layer,), time_steps=1, decoder=None, stateful=True, choice=DISCRETE,
        head=Head(np.array([[1.0], [0.0]], np.float32), np.array([0.0, 1.4], np.float32)),
    )  # fmt: skip
    box = spaces.Box(-5.0, 5.0, (1,), np.float32)
    like = SimpleNamespace(observation_space=box, action_space=spaces.Discrete(2))
    policy = IntegerPolicy(to_integer(program, [2.0]), like)
    ones = np.ones((2, 1), np.float32)
    # States 1 and 1.5: the first output exceeds 1.4 from the second decision on.
    actions, state = policy.predict(ones)
    assert actions.tolist() == [1, 1]
    actions, _ = policy.predict(ones, state, np.array([False, True]))
    assert actions.tolist() == [0, 1]


def test_seeds_without_a_network_leave_it_open_and_the_others_are_shown(tmp_path):
    found = verdict(page(tmp_path, [1.0, 2.0, 2.0, 4.0, None], [2.0] * 5))
    # Logarithms -ln 2, 0, 0, ln 2: the standard error is ln 2 / sqrt(6), t of 3 degrees 3.1824.
    low, high = (math.exp(x * 3.1824 * math.log(2) / math.sqrt(6)) for x in (-1, 1))
    assert found == (
        "cannot be told, because of 5 seeds 1 found no spiking network; "
        f"4 others: 1 ({low:.3g} to {high:.3g})"
    )


def test_a_ratio_has_the_interval_of_its_logarithms(tmp_path):
    # Ratios 2, 4, 2, 4, 2: the mean logarithm is 1.4 ln 2, its standard error 0.245 ln 2.
    found = verdict(page(tmp_path, [4.0, 8.0, 4.0, 8.0, 4.0], [2.0] * 5))
    half = 2.7764 * math.sqrt(0.3 / 5) * math.log(2)
    low, high = (math.exp(1.4 * math.log(2) + x) for x in (-half, half))
    # t = 1.4 / 0.245: p = 0.0046, times 24 answers, of which 21 have no ratio
    assert found == f"costs more: 2.64 ({low:.3g} to {high:.3g}); p = 0.11"


@pytest.mark.parametrize(
    ("spiking", "linear", "words"),
    [
        ([1.0, 1.1, 1.0, 1.1, 1.0], [2.0] * 5, "costs less: 0.519 ("),
        ([2.0, 2.1, 1.9, 2.1, 1.9], [2.0] * 5, "costs the same within 25 %: 0.999 (0.939 to 1.06)"),
        ([1.0, 4.0, 1.0, 4.0, 2.0], [2.0] * 5, "cannot be told, because the interval reaches"),
        ([1.0, None, 1.0, 1.0, 1.0], [2.0] * 5, "cannot be told, because of 5 seeds 1 found no"),
        ([1.0, 4.0, None], [2.0] * 3, "0.50, 2.00, no network (too few seeds)"),
        ([], [], "not searched yet"),
    ],
)  # fmt: skip
def test_verdicts(tmp_path, spiking, linear, words):
    assert verdict(page(tmp_path, spiking, linear)).startswith(words)


def test_the_sentence_names_the_tasks_of_each_verdict(tmp_path):
    text = page(tmp_path, [1.0, None, 1.2, 1.1, 1.0], [2.0] * 5)
    assert f"| {ENV} | 5 | 2.0; 1.1 (pilot 2.0; 3.5) |" in text
    page(tmp_path / "less", [1.0, 1.1, 1.2, 1.1, 1.0], [2.0] * 5)
    found = summary(Runs(tmp_path / "less" / "runs.jsonl"))
    assert found.startswith("The cheapest spiking network that a search finds, beside the cheapest")
    # Ratios 0.5, 0.55, 0.6, 0.55 and 0.5, by any price: of their logarithms the mean is -0.619, and
    # the standard error 0.0343, of which t of 4 degrees is 2.776.
    less = f"costs less on {ENV} (0.539 (0.49 to 0.593) times; by `cmos45`, an energy: costs less: "
    assert less in found
    assert "; cannot be told yet on Acrobot-v1, Pendulum-v1" in found
    # p of -0.619 / 0.0343 with 4 degrees is 5.6e-5, times 24 still far below 0.05.
    told = "all 24 answers, of which a third are by `operations`, it costs more on no task and less"
    assert f"{told} on {ENV}." in found


def test_networks_that_lose_the_return_in_fresh_episodes_have_no_price(tmp_path):
    text = page(tmp_path, [4.0] * 3, [2.0] * 3, mean_return=470.0)
    (row,) = [x for x in text.splitlines() if x.startswith("| `lif` |")]
    assert row.split(" | ")[1:6] == ["3 of 3", "0", "–", "–", "470"]
    assert verdict(text) == "no network, no network, no network (too few seeds)"


@pytest.mark.parametrize("lost", [None, 3])
def test_ratios_that_halve_as_the_number_doubles_have_a_slope_of_a_half(tmp_path, lost):
    """A seed that lacks a network somewhere has no slope, and under five seeds there is no test."""
    runs = Runs(tmp_path / "runs.jsonl")
    for env_id, grown in GROWTH.items():
        for number, task in grown.items():
            for seed in task.seeds:
                for family in task.families:
                    # Ratios of 4 / number, 10 % more or less by the seed
                    cost = (1.1 ** (seed - 3) * 40.0 / number) if family == "lif" else 10.0
                    cost = 100.0 if family == "recurrent_lif" else cost
                    earned = 0.9 if (seed, number) == (lost, 4) and family in SPIKING else 0.99
                    run = Search(0.95, earned, 1, dict.fromkeys(PRICES, cost), 9, 1.0)
                    runs.add(f"{env_id} {number}/{family}/{seed}", run)
    text = " ".join(pages(runs)[DOCS_NAME].split())
    words = "twice as much to remember multiplies the ratio by 0.50 (0.50 to 0.50; p < 0.001)"
    assert text.count(words) == (0 if lost else 3)


def test_ratios_of_events_are_of_seeds_that_keep_both_returns(tmp_path):
    runs = Runs(tmp_path / "runs.jsonl")
    for seed in range(6):
        for contender, cost in (("relu held", 8.0), ("relu events", 4.0 + 0.1 * seed)):
            earned = -300.0 if (seed, contender) == (5, "relu held") else -170.0
            runs.add(f"{RATE_PREFIX}{contender} 4/{seed}", Rate(-188.0, earned, cost, 2, None))
    lines = pages(runs)[DOCS_NAME].splitlines()
    (kept,) = [x for x in lines if x.startswith("| 4 | relu held |")]
    assert kept.split(" | ")[2:4] == ["5 of 6", "8.0 (8.0 to 8.0)"]
    (ratios,) = [x for x in lines if x.startswith("| relu events / relu held |")]
    # 0.5 to 0.55, whose mean logarithm is that of 0.525
    assert "costs less: 0.525 (" in ratios.split(" | ")[3]
    assert "; 5 seeds; p" in ratios
    assert ratios.split(" | ")[1] == "too few seeds (0)"


def test_the_page_is_up_to_date():
    text = (DOCS / DOCS_NAME).read_text(encoding="utf-8")
    assert text == STUDY.pages(STUDY.table())[DOCS_NAME], "python -m studies.floor report"
