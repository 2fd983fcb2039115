"""Tests of the results site in Chromium: sorting, filters, links, drawings, keyboard."""

import gzip
import json
import re

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard import table_rows, write_site
from snn_gym.leaderboard.comparison import not_inferior
from snn_gym.leaderboard.site.front import ranks
from snn_gym.program.prices import PRICES
from tests.docs.browsing import LOOK_NAMES, LOOKS, SCREENS, axe_problems, screen_problems
from tests.leaderboard.site.test_learning import CURVE
from tests.leaderboard.test_robustness import earned
from tests.leaderboard.test_table import fill, make_row

pytestmark = pytest.mark.slow

BOARD = checkout_root() / "leaderboard"
POLE = "environments/CartPole-v1.html"
# Parts of drawings that are empty or lie outside.
NOT_DRAWN = """[...document.querySelectorAll('svg')].flatMap(svg => {
  const all = svg.getBoundingClientRect();
  const inside = box => box.left >= all.left - 1 && box.right <= all.right + 1
    && box.top >= all.top - 1 && box.bottom <= all.bottom + 1;
  // Points without the chosen price wait outside, and other prices' axes are not drawn.
  const seen = (part, box) => box.width + box.height > 0
    && !(part.closest('.point') && box.right < all.left);
  const parts = [...svg.querySelectorAll('circle:not(.target), rect, path, line')]
    .filter(part => seen(part, part.getBoundingClientRect()));
  const lost = parts.filter(part => !inside(part.getBoundingClientRect()));
  return all.width > 0 && all.height > 0 && parts.length ? lost.map(x => x.outerHTML) : ['none'];
})"""
on_every_screen = pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
on_desktop = pytest.mark.parametrize("page", LOOKS[:2], ids=LOOK_NAMES[:2], indirect=True)


def written(tmp_path_factory, *rows):
    """Write the site of some rows; return its folder."""
    root = tmp_path_factory.mktemp("results")
    return write_site(fill(root / "board", *rows) if rows else BOARD, root / "site").parent


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return written(tmp_path_factory)


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    agents = [(name, seed) for name in ("ppo-lif", "ppo-mlp") for seed in (0, 1)]
    rows = [make_row(name, seed=seed, curve=CURVE) for name, seed in agents]
    return written(tmp_path_factory, *rows)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    dead = {"dqsn": 475.0, "ppo-lif": 21.65, "ppo-mlp": 248.0, "dqn-mlp": None}
    rows = [make_row(x, robustness=earned(dead_neurons=mean)) for x, mean in dead.items()]
    return written(tmp_path_factory, *rows)


@pytest.fixture
def pole(page, results):
    page.goto((results / POLE).as_uri())
    return page


@pytest.fixture(scope="module")
def rows():
    key = ("CartPole-v1", "gradient")
    return [row for row in table_rows(BOARD) if (row.environment, row.budget_class) == key]


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach(x => x.open = true)")


def region(page, heading="Seeds"):
    """Return a part of the page about gradient-trained agents."""
    name = f"{heading}, Version 1, budget class gradient"
    return page.get_by_role("region", name=name, exact=True)


def names(page):
    """Return the visible agents of a table in order."""
    return region(page).locator("tbody tr:visible th").all_inner_texts()


@on_every_screen
def test_every_page_fits_its_screen_and_every_figure_is_drawn(page, results, faulty):
    own = [faulty / POLE, faulty / "agents/dqsn.html"]
    for path in [*sorted(results.rglob("*.html")), *own]:
        page.goto(path.as_uri())
        assert screen_problems(page) == [], path
        assert path in own or page.evaluate(NOT_DRAWN) == [], path


@on_desktop
def test_axe_reports_no_violation_on_any_page(page, axe, results):
    for path in sorted(results.rglob("*.html")):
        page.goto(path.as_uri())
        unfold(page)
        assert axe_problems(page, axe) == [], path


def test_seeds_have_dots_and_agents_have_points(pole, rows):
    assert region(pole).locator("svg.seeds circle").count() == sum(len(row.seeds) for row in rows)
    points = region(pole, "Score against cost").locator("svg a.point")
    labels = points.evaluate_all("all => all.map(x => x.getAttribute('aria-label'))")
    assert sorted(x.split(":")[0] for x in labels) == sorted(row.name for row in rows)


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_a_heading_sorts_in_both_directions(pole, by, rows):
    unfold(pole)
    table = region(pole, "Results")
    button = table.get_by_role("button", name="Worst seed")
    press = button.click if by == "click" else lambda: button.press("Enter")
    worst = {row.name: min(row.seed_means) for row in rows}
    header = table.locator("th[aria-sort]")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        press()
        assert header.get_attribute("aria-sort") == direction
        shown = table.locator("tbody th").all_inner_texts()
        assert shown == sorted(shown, key=lambda agent: sign * worst[agent])
        assert len(shown) == len(worst)
    table.get_by_role("button", name="Agent").click()
    assert table.locator("tbody th").all_inner_texts() == sorted(worst)
    assert header.count() == 1


def test_unknown_values_are_last_in_both_directions(page, results):
    page.goto((results / "index.html").as_uri())
    unfold(page)
    table = page.get_by_role("region", name="Normalised scores, budget class gradient, other tasks")
    button = table.get_by_role("button", name=re.compile(r"^Pendulum-v1"))  # and its arrow
    place = button.evaluate("x => x.closest('th').cellIndex + 1")
    column = table.locator(f"tbody tr > :nth-child({place})")
    for _ in range(2):
        button.click()
        known = [text != "–" for text in column.all_inner_texts()]
        assert known == sorted(known, reverse=True)
        assert set(known) == {True, False}


def test_one_field_filters_tables_and_rankings(pole, rows):
    spiking = sorted(row.name for row in rows if row.spiking)
    assert 0 < len(spiking) < len(rows)
    field, output = pole.get_by_label("Show rows with"), pole.locator("output")
    field.fill("Spiking")
    assert sorted(names(pole)) == spiking
    assert " of " in output.inner_text()
    field.fill("lif dynamics")
    both = sorted(x for x in (row.name for row in rows) if "lif" in x and "dynamics" in x)
    assert sorted(names(pole)) == both != []
    entries = region(pole, "Ranking, CartPole-v1").locator("li:visible a").all_inner_texts()
    assert sorted(entries) == both
    field.fill("")
    assert len(names(pole)) == len(rows)
    assert output.inner_text() == ""


def shown_entries(page):
    """Return the agents of the first ranking in the order in which they are seen."""
    entries = region(page, "Ranking, CartPole-v1").locator("li a").all()
    return [x.inner_text() for x in sorted(entries, key=lambda x: x.bounding_box()["y"])]


def test_the_chosen_price_moves_points_and_orders_rankings(pole, rows):
    points = region(pole, "Score against cost").locator("svg a.point")
    across = "all => all.map(x => x.getBoundingClientRect().x)"
    before, first = points.evaluate_all(across), shown_entries(pole)
    axis = region(pole, "Score against cost").locator("svg .by:visible text")
    assert "operations of a decision" in axis.all_text_contents()
    pole.get_by_role("radio", name="loihi").check()
    assert "operations of a decision" not in axis.all_text_contents()
    assert points.evaluate_all(across) != before
    prices = {row.name: PRICES["loihi"].of(row) for row in rows}
    kept = {row.name for row in not_inferior([row for row in rows if ranks(row)])}
    cheap = sorted(kept, key=prices.get)
    assert shown_entries(pole)[: len(cheap)] == cheap
    assert sorted(first) == sorted(shown_entries(pole))


def test_rows_are_cards_on_a_phone(browser, results):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((results / POLE).as_uri())
    cell = region(page).locator("tbody td").nth(2)
    label = cell.evaluate("x => getComputedStyle(x, '::before').content")
    assert label == '"Mean"'
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


def test_links_lead_from_the_overview_to_environment_agent_and_row_and_back(page, results):
    page.goto((results / "index.html").as_uri())
    page.locator(f"a[href='{POLE}#gradient-1']").first.click()
    assert page.url.endswith(f"{POLE}#gradient-1")
    page.locator("tbody a", has_text="ppo-lif").first.click()
    page.wait_for_url("**/agents/*.html")
    assert page.locator("h1").inner_text() == "ppo-lif"
    commands = "\n".join(page.locator("pre").all_inner_texts())
    assert "snn-gym train ppo-lif CartPole-v1" in commands
    with page.expect_download() as download:
        page.locator("a[href='../rows/ppo-lif/CartPole-v1.json.gz']").click()
    first, *_ = json.loads(gzip.decompress(download.value.path().read_bytes()))
    stored = BOARD / "results" / "ppo-lif" / "CartPole-v1" / "0.json"
    assert first == json.loads(stored.read_text())
    page.get_by_role("link", name="All results").click()
    assert page.locator("h1").inner_text() == "Results"


def test_the_keyboard_reaches_and_follows_points(pole):
    pole.get_by_role("region", name="Score against cost").first.focus()
    pole.keyboard.press("Tab")
    label = pole.evaluate("document.activeElement.getAttribute('aria-label')")
    pole.keyboard.press("Enter")
    pole.wait_for_url("**/agents/*.html")
    assert label.startswith(f"{pole.locator('h1').inner_text()}:")


@on_every_screen
def test_learning_curves_fit_every_screen(page, curved):
    for path in (curved / POLE, curved / "agents/ppo-lif.html"):
        page.goto(path.as_uri())
        unfold(page)
        assert screen_problems(page) == page.evaluate(NOT_DRAWN) == []
        drawn = page.locator(".panels:not(.means) svg").all()
        steps, time = (x.bounding_box() for x in drawn)
        is_wide = page.viewport_size["width"] == SCREENS["desktop"][0]
        assert (steps["y"] == time["y"], steps["x"] != time["x"]) == (is_wide, is_wide)
        # Two thin lines for each agent in each panel, and a thick line over steps.
        assert page.locator(".panels:not(.means) .curves path").count() == 10


@on_desktop
def test_lines_of_spiking_agents_and_anns_differ(page, axe, curved):
    page.goto((curved / POLE).as_uri())
    unfold(page)
    assert axe_problems(page, axe) == []
    style = "x => (s => [s.stroke, s.strokeDasharray, s.strokeWidth, s.fill])(getComputedStyle(x))"
    lif, mlp = (line.evaluate(style) for line in page.locator(".panels:not(.means) .overall").all())
    thin = page.locator(".panels:not(.means) .curves path:not(.overall)").first.evaluate(style)
    assert lif[0] != mlp[0]
    assert (lif[1], mlp[1], thin[3]) == ("none", "6px, 5px", "none")
    assert float(lif[2][:-2]) > float(thin[2][:-2])


def test_the_table_of_faults_sorts_and_filters(page, faulty):
    page.goto((faulty / POLE).as_uri())
    unfold(page)
    table = page.get_by_role("region", name="With faults")
    shown = table.locator("tbody tr:visible th")
    button = table.get_by_role("button", name="Dead neurons")
    button.click()
    assert shown.all_inner_texts() == ["dqsn", "ppo-mlp", "ppo-lif", "dqn-mlp"]
    button.click()  # unknown values stay last
    assert shown.all_inner_texts() == ["ppo-lif", "ppo-mlp", "dqsn", "dqn-mlp"]
    page.get_by_label("Show rows with").fill("spiking")
    assert shown.all_inner_texts() == ["ppo-lif", "dqsn"]
