"""Tests of links from agents and environments to the drawn results."""

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard import table_rows
from tests.docs.scripts import load_pages

drawn = load_pages("drawn")
LINK = '<a href="../leaderboard/{}.html">{}</a>'
POLE = [("environments/CartPole-v1", "CartPole-v1")]
POLE += [("environments/snn__CartPole-v1", "snn/CartPole-v1")]


@pytest.mark.parametrize(
    ("page", "links"),
    [
        ("agents/ppo-lif.md", [("agents/ppo-lif", "ppo-lif")]),
        ("environments/CartPole-v1.md", POLE),
        ("agents/none.md", []),
    ],
)
def test_a_line_of_links_stands_below_the_title(page, links):
    line = f"Drawn results: {', '.join(LINK.format(*link) for link in links)}.\n\n" if links else ""
    shown = drawn.with_drawn_results(checkout_root(), {page: "# A\n\nText.\n"})
    assert shown == {page: f"# A\n\n{line}Text.\n"}


def test_the_page_of_results_leads_to_the_drawn_results():
    page = {"results/index.md": "# Results\n\nThis file.\n\n## One\n"}
    shown = drawn.with_drawn_results(checkout_root(), page)["results/index.md"]
    first, rest = shown.split("\n\n")[1:3]
    assert LINK.format("index", "the results, drawn") in first
    assert rest == "This file."


def test_agents_and_environments_of_the_table_have_one_link_each():
    rows = table_rows(checkout_root() / "leaderboard")
    lines = "\n".join(drawn.drawn_results(rows).values())
    for name in {row.agent for row in rows} | {row.environment for row in rows}:
        assert lines.count(f">{name}</a>") == 1
