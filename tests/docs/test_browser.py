"""Tests of the site in Chromium: phone and desktop, light and dark, opened as files."""

import pytest

from tests.docs.browsing import LOOKS, axe_problems, screen_problems

pytestmark = pytest.mark.slow

PAGES = (
    *("index", "how-it-works", "tutorials/spikes", "guide/commands", "results/index"),
    *("environments/CueAccumulation-v0", "agents/index", "agents/ppo-lif"),
    *("results/snn-CueAccumulation-v0", "reference/snn_gym.spiking"),
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("page", [LOOKS[0], LOOKS[3]], ids=["desktop", "phone"], indirect=True)
def test_pages_fit_the_screen_and_load_no_foreign_files(page, address, site):
    page.goto((site / f"{address}.html").as_uri())
    assert screen_problems(page) == []


@pytest.mark.parametrize(
    ("page", "darkest", "lightest"), [(LOOKS[0], 200, 255), (LOOKS[1], 0, 60)], indirect=["page"]
)
def test_the_background_follows_the_colour_scheme(page, darkest, lightest, site):
    page.goto((site / "index.html").as_uri())
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, colour.strip("rgba()").split(",")[:3])) / 3
    assert darkest <= lightness <= lightest


QUERIES = {
    "install": "Install", "NetworkConfig": "snn_gym.spiking.NetworkConfig",
    "hidden platform": "WaterMaze-v0", "custom neuron": "FAQ", "gpu": "FAQ",
    "notebook": "Notebooks", "hub": "Sharing", "fine-tune": "FAQ", "tensorboard": "FAQ",
    "snntorch": "FAQ", "loihi": "FAQ", "reproducible": "FAQ",
    "memory": "Memory in membranes and thresholds",
}  # fmt: skip
"""What people type, and the beginning of a title that should be among the first five results."""


@pytest.mark.parametrize("query", QUERIES)
def test_search_finds_what_people_type(page, query, site):
    page.goto(f"{(site / 'search.html').as_uri()}?q={query.replace(' ', '+')}")
    page.wait_for_selector("ul.search li a")
    page.wait_for_timeout(500)  # results come one by one
    titles = page.locator("ul.search li a").all_inner_texts()[:5]
    assert any(title.startswith(QUERIES[query]) for title in titles), titles
    assert page.problems == []


@pytest.mark.parametrize("address", PAGES)
def test_axe_reports_no_violation(page, address, axe, site):
    page.goto((site / f"{address}.html").as_uri())
    assert axe_problems(page, axe) == []


def test_the_headings_of_a_table_sort_it(page, site):
    page.goto((site / "results" / "CartPole-v1.html").as_uri())
    table = page.locator("table.sortable").first
    heading = table.locator("th", has_text="Operations")
    column = heading.evaluate("cell => cell.cellIndex")
    orders = {}
    for direction in ("descending", "ascending"):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == direction
        cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        orders[direction] = [float(x.strip("() °").replace(",", "")) for x in cells if x != "–"]
    assert orders["ascending"] == sorted(orders["ascending"])
    assert orders["descending"] == orders["ascending"][::-1]
