"""The results' site in the system's Chromium: sorting, filtering, links, drawings, keyboard."""

import json
import re

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard import table_rows, write_site
from tests.docs.browsing import (
    LOOK_NAMES,
    LOOKS,
    SCREENS,
    axe_problems,
    screen_problems,
)
from tests.leaderboard.site.test_learning import CURVE
from tests.leaderboard.test_robustness import earned
from tests.leaderboard.test_table import fill, make_row

pytestmark = pytest.mark.slow

BOARD = checkout_root() / "leaderboard"
POLE = "environments/CartPole-v1.html"
NOT_DRAWN = """[...document.querySelectorAll('svg')].flatMap(svg => {
  const all = svg.getBoundingClientRect();
  const inside = box => box.left >= all.left - 1 && box.right <= all.right + 1
    && box.top >= all.top - 1 && box.bottom <= all.bottom + 1;
  const parts = [...svg.querySelectorAll('circle:not(.target), rect, path, line')];
  const lost = parts.filter(part => !inside(part.getBoundingClientRect()));
  return all.width > 0 && all.height > 0 && parts.length ? lost.map(x => x.outerHTML) : ['none'];
})"""
"""What of the drawings of a page is empty, or lies outside."""


MISSED = """all => all.filter(a => {
  const dot = a.querySelector('.dot');
  dot.scrollIntoView({block: 'center'});
  const box = dot.getBoundingClientRect();
  return !a.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
}).map(a => a.getAttribute('aria-label'))"""
"""Names of links whose dot leads elsewhere, or nowhere, at its centre."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_site(BOARD, tmp_path_factory.mktemp("results")).parent


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    """Write the site of rows with learning curves; return the page of their environment."""
    root = tmp_path_factory.mktemp("curved")
    agents = ("ppo-lif", "ppo-mlp")
    rows = [make_row(name, seed=seed, curve=CURVE) for name in agents for seed in (0, 1)]
    return write_site(fill(root / "board", *rows), root / "site").parent / POLE


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Write the site of rows that were played with faults; return the page of their environment."""
    root = tmp_path_factory.mktemp("faulty")
    dead = {"dqsn": 475.0, "ppo-lif": 21.65, "ppo-mlp": 248.0, "dqn-mlp": None}
    rows = [make_row(x, robustness=earned(dead_neurons=mean)) for x, mean in dead.items()]
    return write_site(fill(root / "board", *rows), root / "site").parent / POLE


@pytest.fixture
def pole(page, results):
    page.goto((results / POLE).as_uri())
    return page


def pole_rows():
    rows = table_rows(BOARD)
    return [
        row for row in rows if (row.environment, row.budget_class) == ("CartPole-v1", "gradient")
    ]


def learned(page, what="Results"):
    """Return a part of the page on those that learn by gradients."""
    return page.get_by_role("region", name=f"{what}, Version 1, budget class gradient", exact=True)


def names(page):
    """Return the agents that this table shows, in its order."""
    return learned(page).locator("tbody tr:visible th").all_inner_texts()


@pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
def test_every_page_fits_its_screen_and_every_figure_is_drawn(page, results):
    for path in sorted(results.rglob("*.html")):
        page.goto(path.as_uri())
        assert screen_problems(page) == [], path
        assert page.evaluate(NOT_DRAWN) == [], path


@pytest.mark.parametrize("page", LOOKS[:2], ids=LOOK_NAMES[:2], indirect=True)
def test_axe_finds_nothing_against_any_page(page, axe, results):
    for path in sorted(results.rglob("*.html")):
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(x => x.open = true)")
        assert axe_problems(page, axe) == [], path


def test_a_dot_for_every_seed_and_a_point_for_every_agent(pole):
    rows = pole_rows()
    assert learned(pole).locator("svg.seeds circle").count() == sum(len(row.seeds) for row in rows)
    points = learned(pole, "Score against operations").locator("svg a")
    labels = points.evaluate_all("all => all.map(x => x.getAttribute('aria-label'))")
    assert sorted(x.split(":")[0] for x in labels) == sorted(row.name for row in rows)


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_a_heading_sorts_and_sorts_the_other_way(pole, by):
    button = learned(pole).get_by_role("button", name="Worst seed")
    press = button.click if by == "click" else lambda: button.press("Enter")
    worst = {row.name: min(row.seed_means) for row in pole_rows()}
    press()
    header = pole.locator("th[aria-sort]")
    assert header.get_attribute("aria-sort") == "descending"
    assert names(pole) == sorted(names(pole), key=lambda agent: -worst[agent])
    assert len(names(pole)) == len(worst)
    press()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(pole) == sorted(names(pole), key=worst.__getitem__)
    learned(pole).get_by_role("button", name="Agent").click()
    assert names(pole) == sorted(worst)
    assert pole.locator("th[aria-sort]").count() == 1


def test_what_is_not_known_is_last_either_way(page, results):
    page.goto((results / "index.html").as_uri())
    table = page.get_by_role("region", name="Normalised scores, budget class gradient, other tasks")
    button = table.get_by_role("button", name=re.compile(r"^Pendulum-v1"))  # and its arrow
    place = button.evaluate("x => x.closest('th').cellIndex + 1")
    column = table.locator(f"tbody tr > :nth-child({place})")
    for _ in range(2):
        button.click()
        known = [text != "–" for text in column.all_inner_texts()]
        assert known == sorted(known, reverse=True)
        assert any(known)
        assert not all(known)


def test_a_filter_shows_the_rows_that_have_all_words(pole):
    spiking = [row.name for row in pole_rows() if row.spiking]
    field = pole.get_by_label("Show rows with").nth(1)  # beneath that of another class
    field.fill("Spiking")
    assert names(pole) == spiking
    output = pole.locator("output").nth(1)
    assert output.inner_text().strip() == f"{len(spiking)} of {len(pole_rows())}"
    field.fill("spiking ppo-mlp")
    both = [row.name for row in pole_rows() if row.spiking and row.twin == "ppo-mlp"]
    assert 0 < len(both) < len(spiking)
    assert names(pole) == both
    field.fill("")
    assert len(names(pole)) == len(pole_rows())
    assert output.inner_text() == ""


def test_links_lead_from_the_overview_to_environment_and_agent_and_back(page, results):
    page.goto((results / "index.html").as_uri())
    page.locator(f"a[href='{POLE}#gradient-1']").first.click()
    assert page.url.endswith(f"{POLE}#gradient-1")
    page.locator("tbody a", has_text="ppo-lif").first.click()
    assert page.locator("h1").inner_text() == "ppo-lif"
    assert "snn-gym train ppo-lif CartPole-v1" in page.locator("pre").all_inner_texts()[1]
    page.get_by_role("link", name="All results").click()
    assert page.locator("h1").inner_text() == "Results"


def test_points_are_reached_and_followed_by_keyboard_alone(pole):
    pole.get_by_role("region", name="Score against operations").first.focus()
    pole.keyboard.press("Tab")
    reached = "document.activeElement"
    label = pole.evaluate(f"{reached}.getAttribute('aria-label')")
    shown = pole.evaluate(f"getComputedStyle({reached}.querySelector('.label')).visibility")
    assert shown == "visible"
    pole.keyboard.press("Enter")
    pole.wait_for_url("**/agents/*.html")
    assert label.startswith(f"{pole.locator('h1').inner_text()}:")


def test_every_point_is_reached_at_its_centre(page, results):
    for path in sorted((results / "environments").glob("*.html")):
        page.goto(path.as_uri())
        points = page.locator(".score-against-operations a")
        missed = points.evaluate_all(MISSED)
        assert missed == [], path


def test_a_row_is_shown_as_it_was_verified(page, results):
    page.goto((results / "agents/ppo-lif.html").as_uri())
    page.locator("a[href='../rows/ppo-lif/CartPole-v1/0.json']").click()
    page.wait_for_url("**/0.json")
    stored = BOARD / "results" / "ppo-lif" / "CartPole-v1" / "0.json"
    assert json.loads(page.locator("pre").inner_text()) == json.loads(stored.read_text())


@pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
def test_learning_curves_fit_every_screen(page, curved):
    for path in (curved, curved.parents[1] / "agents" / "ppo-lif.html"):
        page.goto(path.as_uri())
        assert screen_problems(page) == []
        assert page.evaluate(NOT_DRAWN) == []
        steps, time = (x.bounding_box() for x in page.locator(".panels svg").all())
        is_wide = page.viewport_size["width"] == SCREENS["desktop"][0]
        assert (steps["y"] == time["y"]) == is_wide
        assert (steps["x"] == time["x"]) != is_wide
        # Of each agent two thin lines in each panel, and a thick one over steps.
        assert page.locator(".panels .curves path").count() == 10


@pytest.mark.parametrize("page", LOOKS[:2], ids=LOOK_NAMES[:2], indirect=True)
def test_lines_of_spiking_agents_and_anns_are_told_apart(page, axe, curved):
    page.goto(curved.as_uri())
    assert axe_problems(page, axe) == []
    styles = page.locator(".panels .overall").evaluate_all(
        "all => all.map(getComputedStyle).map(x => [x.stroke, x.strokeDasharray, x.strokeWidth])"
    )
    lif, mlp = styles
    assert lif[0] != mlp[0]
    assert (lif[1], mlp[1]) == ("none", "6px, 5px")
    thin = page.locator(".panels .curves path:not(.overall)").first
    assert thin.evaluate("x => getComputedStyle(x).fill") == "none"
    assert float(lif[2][:-2]) > float(thin.evaluate("x => getComputedStyle(x).strokeWidth")[:-2])


def test_the_table_of_faults_sorts_and_filters_as_the_others(page, faulty):
    page.goto(faulty.as_uri())
    region = page.get_by_role("region", name="With faults")
    shown = region.locator("tbody tr:visible th")
    button = region.get_by_role("button", name="Dead neurons")
    button.click()
    assert shown.all_inner_texts() == ["dqsn", "ppo-mlp", "ppo-lif", "dqn-mlp"]
    button.click()  # what is not known stays last
    assert shown.all_inner_texts() == ["ppo-lif", "ppo-mlp", "dqsn", "dqn-mlp"]
    page.get_by_label("Show rows with").last.fill("spiking")
    assert shown.all_inner_texts() == ["ppo-lif", "dqsn"]


@pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
def test_the_table_of_faults_fits_every_screen(page, faulty):
    for path in (faulty, faulty.parents[1] / "agents" / "dqsn.html"):
        page.goto(path.as_uri())
        assert screen_problems(page) == [], path
