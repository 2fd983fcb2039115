"""Tests of the fault table on pages of environments and agents."""

import pytest

from snn_gym.leaderboard.headings import FAULT_COLUMNS
from snn_gym.leaderboard.site.environments import environment
from snn_gym.leaderboard.site.files import agent
from snn_gym.leaderboard.site.layout import Site
from snn_gym.leaderboard.table import summaries
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_robustness import earned
from tests.leaderboard.test_table import make_row

SITE = Site(frozenset({"ppo-lif"}))
KEPT_HALF = {"spike_loss": 248.325, "dead_neurons": 475.0}


@pytest.fixture
def sources():
    """Give two agents on CartPole (random score 21.65), one with fault results."""
    return (
        make_row(seed=0, returns=(475.0, 475.0), robustness=earned(**KEPT_HALF)),
        make_row("ppo-mlp", seed=0, returns=(475.0, 475.0)),
        make_row(seed=0, environment="Acrobot-v1", returns=(-90.0, -90.0)),
    )


def test_an_environments_page_has_fault_retention(sources):
    rows = [row for row in summaries(sources) if row.environment == "CartPole-v1"]
    page = Parsed(environment(SITE, rows, sources))
    (table,) = (x for x in page.tables if "Spike loss" in x[0])
    assert table == [
        ["Agent", "Kind", *FAULT_COLUMNS],
        ["ppo-lif", "spiking", "475.0", "475.0", "1", "–", "0.50", "1.00", "–", "–"],
    ]
    classes = [x.get("class") for x in page.attributes("table")]
    assert classes.count("sortable") == 3
    assert "../agents/ppo-lif.html" in {x.get("href") for x in page.attributes("a")}
    assert "for the same weights in the same episodes" in "".join(page.said)


def test_agent_pages_list_environments_with_fault_results(sources):
    rows = [row for row in summaries(sources) if row.agent == "ppo-lif"]
    page = Parsed(agent(SITE, rows, rows, sources))
    (table,) = (x for x in page.tables if "Spike loss" in x[0])
    assert [line[0] for line in table[1:]] == ["CartPole-v1"]
    assert "0.5" in [x.get("data-value") for x in page.attributes("td")]  # the sort key
    assert table[1][2:] == ["475.0", "475.0", "1", "–", "0.50", "1.00", "–", "–"]


def test_pages_without_fault_results_have_no_fault_table(sources):
    rows = [row for row in summaries(sources) if row.environment == "Acrobot-v1"]
    assert "With faults" not in environment(SITE, rows, sources)
    assert "With faults" not in agent(SITE, rows, rows, sources)
