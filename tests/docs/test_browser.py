"""Tests of the site in Chromium: phone and desktop, light and dark, opened as files."""

import pytest

from tests.docs.browsing import LOOK_NAMES, LOOKS, axe_problems, screen_problems

pytestmark = pytest.mark.slow

PAGES = (
    *("index", "how-it-works", "lean-study", "tutorials/spikes", "guide/commands", "results/index"),
    *("environments/index", "environments/CueAccumulation-v0", "agents/index", "agents/ppo-lif"),
    *("leaderboard/agents/ppo-lif", "leaderboard/environments/snn__CueAccumulation-v0"),
    *("leaderboard/index", "reference/snn_gym.spiking", "reference/modules/snn_gym.leaderboard"),
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
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


@pytest.mark.parametrize(
    ("word", "result"), [("NetworkConfig", "NetworkConfig"), ("hidden platform", "WaterMaze-v0")]
)
def test_search_works_from_a_file(page, word, result, site):
    page.goto(f"{(site / 'search.html').as_uri()}?q={word.replace(' ', '+')}")
    page.wait_for_selector("ul.search li a")
    assert any(result in text for text in page.locator("ul.search li").all_inner_texts())
    assert page.problems == []


@pytest.mark.parametrize("address", PAGES)
def test_axe_reports_no_violation(page, address, axe, site):
    page.goto((site / f"{address}.html").as_uri())
    assert axe_problems(page, axe) == []
