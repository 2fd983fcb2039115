"""The page on locomotion: its text is that of today's rows, and evaluations of runs by hand."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.table import table_rows
from snn_gym.training.logs import EVALUATIONS_FILE
from studies.locomotion.curves import COLUMNS, collect_runs, read_curves
from studies.locomotion.report import DOCS, PAGE, is_dead, page
from studies.rows import LEADERBOARD, RowName
from tests.leaderboard.test_table import fill, make_row

TASK = "Hopper-v5"


@pytest.fixture(scope="module")
def lines():
    return {(x.agent, x.environment): x for x in table_rows(LEADERBOARD)}


@pytest.fixture
def line(tmp_path):
    """The line of five seeds of an agent, as if it were on Hopper."""
    made = [make_row(seed=seed) for seed in range(5)]
    (found,) = table_rows(fill(tmp_path, *made))
    reference = load_environment_spec(TASK).reference
    return replace(found, environment=TASK, reference=reference)


def with_means(line, agent, *means):
    return replace(line, agent=agent, seed_means=means, seeds=tuple(range(len(means))))


def test_the_page_is_of_todays_rows(lines):
    written = (DOCS / PAGE).read_text()
    assert written == page(lines, read_curves())


def test_a_seed_is_dead_below_a_tenth_of_the_way(line):
    low, high = line.reference.random, line.reference.solved
    bound = low + 0.1 * (high - low)
    assert [is_dead(line, bound + x) for x in (-1.0, 1.0)] == [True, False]


def test_every_seed_of_td3_stands_with_both_returns(lines, line):
    known = {("td3-mlp", TASK): with_means(line, "td3-mlp", 100.0, 2000.0)}
    curves = {RowName("td3-mlp", TASK, 1): [(10_000, 900.0), (20_000, 2500.0), (30_000, 2000.0)]}
    text = page({**lines, **known}, curves)
    assert f"| {TASK} | `td3-mlp` | 0 | 100.0 | – | – | **yes** |" in text
    assert f"| {TASK} | `td3-mlp` | 1 | 2,000.0 | 2,500.0 | 0.80 | no |" in text


def test_the_ratio_is_of_seeds_that_both_have(lines, line):
    own = with_means(replace(line, synops_per_decision=9000.0), "td3-lif-pt", 500.0, 1000.0)
    twin = with_means(line, "td3-mlp", 1000.0, 2000.0, 9000.0)
    known = {("td3-lif-pt", TASK): own, ("td3-mlp", TASK): twin}
    text = " ".join(page({**lines, **known}, {}).split())
    words = "earns 0.50 of the mean return of `td3-mlp` over the seeds that both have (0-1; too few"
    assert f"On {TASK} `td3-lif-pt` {words}" in text
    twins = line.operations_per_decision
    own_costs = twins - line.synops_per_decision + 9000.0
    assert f"at {own_costs:,.0f} and {twins:,.0f} operations a decision." in text


def test_evaluations_are_collected_once_from_runs_with_rows(tmp_path):
    board = fill(tmp_path / "board", make_row("td3-mlp", 2, environment=TASK))
    for seed in (2, 3):  # seed 3 has no row
        run = tmp_path / "runs" / "td3-mlp" / TASK / str(seed)
        run.mkdir(parents=True)
        arrays = {"timesteps": [10, 20], "results": [[1.0, 2.0], [3.0, 6.0]]}
        np.savez(run / EVALUATIONS_FILE, **arrays, ep_lengths=[[1, 1], [1, 1]])
    path = tmp_path / "evaluations.csv"
    name = RowName("td3-mlp", TASK, 2)
    assert collect_runs(tmp_path / "runs", path, board) == [name]
    assert path.read_text().splitlines() == [
        ",".join(COLUMNS),
        f"td3-mlp,{TASK},2,10,1.5",
        f"td3-mlp,{TASK},2,20,4.5",
    ]
    assert read_curves(path) == {name: [(10, 1.5), (20, 4.5)]}
    assert collect_runs(tmp_path / "runs", path, board) == []
    with pytest.raises(ValueError, match="none is no folder; expected the runs of"):
        collect_runs(tmp_path / "none", path, board)
