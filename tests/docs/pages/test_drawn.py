"""Pages of what has rows lead to the drawn results."""

from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard import table_rows
from tests.docs.scripts import load_pages

drawn = load_pages("drawn")
ROOT = checkout_root()


def test_a_line_stands_below_the_title_where_there_are_rows():
    pages = {
        "agents/ppo-lif.md": "# ppo-lif\n\nText.\n",
        "environments/CartPole-v1.md": "# CartPole\n\nText.\n",
        "results/index.md": "# Results\n\nThis file.\n\n## One\n",
        "agents/none.md": "# none\n\nText.\n",
    }
    found = drawn.with_drawn_results(ROOT, pages)
    link = '<a href="../leaderboard/{}.html">{}</a>'
    assert found["agents/ppo-lif.md"] == (
        f"# ppo-lif\n\nDrawn results: {link.format('agents/ppo-lif', 'ppo-lif')}.\n\nText.\n"
    )
    ids = [
        link.format("environments/CartPole-v1", "CartPole-v1"),
        link.format("environments/snn__CartPole-v1", "snn/CartPole-v1"),
    ]
    assert f"\n\nDrawn results: {', '.join(ids)}.\n\n" in found["environments/CartPole-v1.md"]
    first, rest = found["results/index.md"].split("\n\n")[1:3]
    assert link.format("index", "the results, drawn") in first
    assert rest == "This file."
    assert found["agents/none.md"] == pages["agents/none.md"]


def test_every_agent_and_environment_of_the_table_has_its_line_once():
    rows = table_rows(ROOT / "leaderboard")
    lines = "\n".join(drawn.drawn_results(rows).values())
    for name in {row.agent for row in rows} | {row.environment for row in rows}:
        assert lines.count(f">{name}</a>") == 1
