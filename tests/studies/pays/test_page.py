"""The page on a leaderboard of a few rows: prices of files, verdicts, and missing rows by name."""

import csv
import dataclasses
import itertools
import shutil
from types import MappingProxyType

import pytest

from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.manifest import TrainedAgain
from snn_gym.leaderboard.results import find_row, list_rows, verified_weights, write_row
from studies.pays.contenders import read_fields
from studies.pays.question import read_question
from studies.pays.report import DOCS, PAGE, page
from studies.pays.tables import Judged, family_table, read_judged, verdict_table
from studies.pays.verdicts import judge
from studies.rows import LEADERBOARD, RowName
from tests.studies.pays.made import QUESTION, TASK

AGENTS = ("ppo-lif", "ppo-lif-16", "sb3-ppo")
SEEDS = range(5)
WHOLE = dataclasses.replace(
    QUESTION,
    prices=("operations", "cortex-m4"),
    families=MappingProxyType({"spiking": AGENTS[:2], "ANN": AGENTS[2:]}),
    needed=frozenset(RowName(agent, TASK, seed) for agent in AGENTS for seed in SEEDS),
    expected=MappingProxyType({TASK: "spikes pay"}),
)


def again_of(row):
    """Return the record of a training that gave a row's weights again."""
    return TrainedAgain(
        same="weights",
        versions=row.recipe.versions,
        processor=row.recipe.processor,
        date="2026-01-03T00:00:00Z",
    )


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory):
    path = tmp_path_factory.mktemp("leaderboard")
    shutil.copy(LEADERBOARD / "plan.toml", path)
    for agent, seed in itertools.product(AGENTS, SEEDS):
        stored = find_row(list_rows(LEADERBOARD), agent, TASK, seed)
        row = dataclasses.replace(stored, trained_again=again_of(stored) if seed < 4 else None)
        write_row(path, row, verified_weights(LEADERBOARD, stored))
    return path


def write(path, head, lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *lines])
    return path


def judged(question, leaderboard, tmp_path, instructions=None, episodes=None):
    """Return verdicts, with a number for every seed of the agents of both files."""
    counted = [
        (row.weights_sha256, "cortex-m4", (instructions or {})[row.agent])
        for row in list_rows(leaderboard)
        if row.agent in (instructions or {})
    ]
    write(leaderboard / "instructions.csv", ("weights_sha256", "target", "instructions"), counted)
    driven = [
        (agent, TASK, seed, price) for agent, price in (episodes or {}).items() for seed in SEEDS
    ]
    head = ("agent", "environment", "seed", "operations")
    fields = read_fields(question, leaderboard, write(tmp_path / "episodes.csv", head, driven))
    return Judged(question, fields, judge(question, fields))


def test_the_cheapest_agents_are_those_of_the_rows(leaderboard, tmp_path):
    found = judged(WHOLE, leaderboard, tmp_path).verdicts[TASK, "operations"]
    assert (found.spiking and found.spiking.row.agent) == "ppo-lif-16"
    assert (found.ann and found.ann.row.agent) == "sb3-ppo"
    spent = [
        row.costs.operations_per_decision
        for row in list_rows(leaderboard)
        if row.agent == "ppo-lif-16" and row.seed < 4  # the last seed was not trained again
    ]
    assert found.spiking.price("operations") == pytest.approx(sum(spent) / 4)
    assert found.words == "costs less"


def test_of_a_family_that_loses_return_the_best_agent_stands_in_brackets(leaderboard, tmp_path):
    kept = family_table(judged(WHOLE, leaderboard, tmp_path), TASK).splitlines()
    assert kept[2].startswith("| spiking | `ppo-lif-16` | 500.0 | ")
    strict = dataclasses.replace(WHOLE, margin=-2.0)  # which only the best agent meets
    lost = family_table(judged(strict, leaderboard, tmp_path), TASK).splitlines()
    assert lost[2].startswith("| spiking | `ppo-lif` | 500.0 | ")
    assert lost[3] == "| ANN | (`sb3-ppo`) | (500.0) | (4,608) | – | – |"


def test_a_price_without_numbers_cannot_be_told_and_with_them_is_judged(leaderboard, tmp_path):
    without = judged(WHOLE, leaderboard, tmp_path).verdicts[TASK, "cortex-m4"]
    assert without.words == "cannot be told, because rows or prices are missing (15)"
    assert without.missing == 3 * len(SEEDS)
    some = {"ppo-lif-16": 4000, "sb3-ppo": 2000}
    assert judged(WHOLE, leaderboard, tmp_path, some).verdicts[TASK, "cortex-m4"].missing == 5
    counted = {"ppo-lif": 9000, "ppo-lif-16": 4000, "sb3-ppo": 2000}
    found = judged(WHOLE, leaderboard, tmp_path, counted).verdicts[TASK, "cortex-m4"]
    assert found.costs == "costs more: 2 (2 to 2)"


def test_event_driven_execution_counts_where_it_is_cheaper(leaderboard, tmp_path):
    events = {"ppo-lif": 1e9, "ppo-lif-16": 3.5}
    found = judged(WHOLE, leaderboard, tmp_path, episodes=events).fields[TASK]
    assert found.find("ppo-lif-16").price("operations") == 3.5
    assert found.find("ppo-lif-16").label("operations") == "`ppo-lif-16` †"
    assert found.find("ppo-lif").price("operations") < 1e6
    assert "†" not in found.find("ppo-lif").label("operations")


def test_the_page_names_missing_rows_and_gives_no_answers(leaderboard, tmp_path):
    missing = {RowName("ppo-linear", TASK, seed) for seed in (3, 4, 6)}
    question = dataclasses.replace(WHOLE, needed=WHOLE.needed | missing)
    made = judged(question, leaderboard, tmp_path)
    reason = "cannot be told, because rows or prices are missing ({})"
    cells = f"| {TASK} | yes | {reason.format(3)} | {reason.format(18)} |"
    assert cells in verdict_table(made, [TASK])
    text = page(made)
    assert f"| {TASK} | `ppo-linear` 3-4, 6 |" in text
    said = " ".join(text.split())
    assert f"**Costs less?** By `operations`: {reason.format(3)}." in said


def test_the_committed_page_is_up_to_date():
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    assert page(read_judged()) == text, "run: python -m studies.pays report"


def test_the_registered_question_is_that_of_the_project():
    question = read_question()
    assert len(question.tasks) == 12
    assert question.margin == MARGIN
    assert set(question.expected) == set(question.tasks)
    assert {row.environment for row in question.needed} == set(question.tasks)
    named = [agent for agents in question.families.values() for agent in agents]
    assert len(set(named)) == len(named)
    assert {row.agent for row in question.needed} <= set(named)
    assert [task for _, task in question.pairs] == list(question.tasks[:10])
    assert {agent for agent, _ in question.pairs} <= set(named)
