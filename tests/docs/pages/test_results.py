"""Tests of the pages of results: lines, links and figures equal the rows."""

import re

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


def test_the_overview_names_the_best_agents(pages):
    text = pages["results/index.md"].split("## Tasks")[1].split("\n## ")[0]
    lines = [line.split(" | ") for line in re.findall(r"^\| \[.*$", text, re.M)]
    tasks = {row.environment for row in ROWS if row.budget_class == "gradient"}
    assert [cells[0] for cells in lines] == [
        f"| [{name}]({results.page_of(name).removeprefix('results/')})" for name in sorted(tasks)
    ]
    (acrobot,) = [x for x in lines if x[0].startswith("| [Acrobot-v1]")]
    for place, spiking in ((1, True), (2, False)):
        own = [x for x in ROWS if section(x) == ("Acrobot-v1", 1, "gradient")]
        best = max((x for x in own if x.spiking == spiking), key=lambda row: row.mean)
        expected = f"[{best.name}](../agents/{best.agent}.md) {best.mean:.1f}"
        assert acrobot[place].removesuffix(" |") == expected


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
