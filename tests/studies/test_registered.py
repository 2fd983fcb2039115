"""Rows of registered questions have the registered seeds, and the table the registered margin."""

import datetime as dt
import re
import tomllib
from pathlib import Path

import pytest

from snn_gym._base.names import parse_seeds
from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.results import list_rows

ROOT = Path(__file__).parents[2]
TABLES = tomllib.loads((ROOT / "studies" / "registered.toml").read_text(encoding="utf-8"))[
    "registered"
]
REQUIRED = {
    "name",
    "date",
    "question",
    "agents",
    "environments",
    "seeds",
    "measure",
    "rule",
    "page",
}
OPTIONAL = {"steps", "margin", "test", "families", "expected", "prices", "context", "replaces"}
OF_ROWS = [entry for entry in TABLES if entry["measure"] == "rows of the results table"]
REPLACED = {question for entry in TABLES for question in entry.get("replaces", ())}
ROWS = list_rows(ROOT / "leaderboard")


def _rows(agent, environment):
    return [row for row in ROWS if (row.agent, row.environment) == (agent, environment)]


def _name(entry):
    return f"{entry['name']}-{'-'.join(entry['agents'])}-{entry['environments'][0]}"


@pytest.mark.parametrize("entry", TABLES, ids=_name)
def test_an_entry_prints_its_run_before_the_start(entry):
    assert REQUIRED <= set(entry) <= REQUIRED | OPTIONAL
    assert isinstance(entry["date"], dt.date)
    assert parse_seeds(entry["seeds"])
    assert entry["agents"]
    assert entry["environments"]
    assert len(entry["rule"]) > 5
    earlier = [x["question"] for x in TABLES if x["name"] == entry["name"]]
    assert set(entry.get("replaces", ())) <= set(earlier[: earlier.index(entry["question"])])


@pytest.mark.parametrize("entry", OF_ROWS, ids=_name)
def test_rows_have_only_the_registered_seeds_and_are_younger(entry):
    seeds = parse_seeds(entry["seeds"]) or ()
    for agent in entry["agents"]:
        for environment in entry["environments"]:
            rows = _rows(agent, environment)
            if not rows:
                continue  # still to be run
            # Some may still be to come.
            assert {row.seed for row in rows} <= set(seeds), (agent, environment)
            day = entry["date"].isoformat()
            assert min(row.created for row in rows) >= day, (agent, environment)
            if "steps" in entry and entry["question"] not in REPLACED:
                # A run ends with a whole rollout.
                assert all(0 <= row.steps - entry["steps"] < 20_000 for row in rows)


def _margin(entry):
    """Return the registered share of the range, from its key or the words of the rule."""
    said = re.search(r"(\d+) % of the range from random play to solved", entry["rule"])
    return entry.get("margin", int(said[1]) / 100 if said else None)


def test_the_registered_margin_is_that_of_the_results_table():
    margins = {margin for entry in OF_ROWS if (margin := _margin(entry)) is not None}
    assert margins == {MARGIN}
    # Whatever has no margin of its own refers to an entry that has one.
    for entry in OF_ROWS:
        assert _margin(entry) is not None or entry["rule"].startswith("As "), entry["question"]
