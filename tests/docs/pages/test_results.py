"""Tests of the pages of results: lines, links and figures equal the rows."""

import re
from dataclasses import replace

import pytest

from snn_gym.leaderboard import COLUMNS, table_rows
from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.table import section, summaries
from tests.docs.scripts import DOCS, load_pages
from tests.leaderboard.test_table import make_row

results = load_pages("results")
ROWS = table_rows(DOCS.parent / "leaderboard")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "draw_section", lambda *_: None)  # figures are drawn below
        return results.result_pages(DOCS.parent, tmp_path_factory.mktemp("site"))


def test_every_line_of_the_table_stands_on_its_environments_page(pages):
    assert set(pages) == {results.page_of(row.environment) for row in ROWS} | {"results/index.md"}
    for row in ROWS:
        text = pages[results.page_of(row.environment)]
        assert f"| {' | '.join(row.cells())} |" in text
        kind = "spiking" if row.spiking else "ANN"
        start = f"| [{row.name}](../agents/{row.agent}.md) | {kind} | {len(row.seeds)} |"
        assert start in text


def test_the_overview_names_agents_that_keep_the_return(pages):
    text = pages["results/index.md"].split("## Tasks")[1].split("\n## ")[0]
    lines = [line.split(" | ") for line in re.findall(r"^\| \[.*$", text, re.M)]
    tasks = {row.environment for row in ROWS if row.budget_class == "gradient"}
    assert [cells[0] for cells in lines] == [
        f"| [{name}]({results.page_of(name).removeprefix('results/')})" for name in sorted(tasks)
    ]
    (cartpole,) = [x for x in lines if x[0].startswith("| [CartPole-v1]")]
    cheapest = min(
        (x for x in ROWS if section(x) == ("CartPole-v1", 1, "gradient") and x.name in cartpole[3]),
        key=lambda row: row.operations_per_decision,
    )
    cost = f"{cheapest.operations_per_decision:,.0f}"
    assert cartpole[3] == f"[{cheapest.name}](../agents/{cheapest.agent}.md) {cost}"


def test_sections_and_definitions_are_not_lost(pages):
    source = (DOCS.parent / "leaderboard" / "README.md").read_text()
    assert set(COLUMNS[:1]) <= set(re.findall(r"^\| ([\w ]+) \|", source, re.M))
    headings = re.findall(r"^## (\S+), (version .*)$", source, re.M)
    for environment, words in headings:
        assert f"\n## V{words[1:]}\n" in pages[results.page_of(environment)]
    for heading in set(re.findall(r"^## (.+)$", source, re.M)) - set(map(", ".join, headings)):
        assert f"\n## {heading}\n" in pages["results/index.md"]


def test_a_figure_shows_seeds_means_the_front_and_curves():
    curve = LearningCurve(steps=(1_000, 4_000), returns=(10.0, 30.0), episodes=(9, 3))
    rows = [make_row(name, k, curve=curve) for name in ("ppo-lif", "ppo-mlp") for k in range(5)]
    lines = summaries(rows)
    figure = results.draw_section(lines, results._curves(rows))
    front, curves = figure.axes
    means = [x.get_xydata().tolist() for x in front.lines if x.get_marker() in "os"]
    assert sorted(means) == sorted([[line.operations_per_decision, line.mean]] for line in lines)
    seeds = [x for x in front.lines if x.get_marker() == "."]
    assert [len(x.get_xdata()) for x in seeds] == [5, 5]
    named = [x.get_text() for x in curves.get_legend().get_texts()]
    assert named == [f"{line.name} (5)" for line in lines]
    assert curves.lines[-1].get_ydata()[[0, -1]].tolist() == pytest.approx([10.0, 30.0])


def test_a_section_without_costs_and_curves_has_no_figure():
    assert results.draw_section(summaries([make_row()]), {}) is None


def test_the_front_rises_with_the_price():
    points = [(3.0, 1.0), (1.0, 1.0), (1.0, 0.5), (2.0, 4.0), (5.0, 4.0), (6.0, 5.0)]
    assert results.front(points) == [(1.0, 1.0), (2.0, 4.0), (6.0, 5.0)]
    assert results.front([]) == []


def test_the_cheapest_is_chosen_among_agents_that_keep_the_return():
    (row,) = summaries([make_row(seed=seed) for seed in range(5)])[:1]
    margin = row.reference.loss(0.05)

    def line(agent, *means, **changes):
        return replace(row, agent=agent, seed_means=means, seeds=tuple(range(5)), **changes)

    best = line("ppo-mlp", 300.0, 340.0, 380.0, 420.0, 460.0)
    # Each seed loses half of the margin, which is far less than seeds differ by.
    losses = [x - margin / 2 - 0.01 * seed for seed, x in enumerate(best.seed_means)]
    taught = line("ppo-relu-8", *losses, derived=True, origin="ppo-mlp")
    other = line("ppo-lif", *losses)
    one_seed = replace(line("dqsn", *losses), seeds=(0,), seed_means=(900.0,))
    assert results.not_inferior([best, taught, other, one_seed]) == [best, taught]
    assert results.not_inferior([one_seed]) == []
