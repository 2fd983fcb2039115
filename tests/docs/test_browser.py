"""The site in the system's Chromium: phone and desktop, light and dark, opened as files."""

import pytest

from tests.docs.browsing import (
    LOOK_NAMES,
    LOOKS,
    axe_problems,
    screen_problems,
)

pytestmark = pytest.mark.slow

PAGES = (
    "index.html",
    "tutorials/spikes.html",
    "environments/index.html",
    "environments/CueAccumulation-v0.html",
    "agents/index.html",
    "agents/ppo-lif.html",
    "guide/commands.html",
    "results/index.html",
    "leaderboard/index.html",
    "leaderboard/environments/snn__CueAccumulation-v0.html",
    "leaderboard/agents/ppo-lif.html",
    "lean-study.html",
    "how-it-works.html",
    "reference/snn_gym.spiking.html",
    "reference/modules/snn_gym.leaderboard.html",
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("page", LOOKS, ids=LOOK_NAMES, indirect=True)
def test_a_page_fits_its_screen_and_asks_nobody(page, address, site):
    page.goto((site / address).as_uri())
    assert screen_problems(page) == []


def test_the_ground_is_dark_where_that_is_wished(browser, site):
    lightness = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        made = context.new_page()
        made.goto((site / "index.html").as_uri())
        colour = made.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness[scheme] = sum(map(int, colour.strip("rgba()").split(",")[:3])) / 3
        context.close()
    assert lightness["light"] > 200
    assert lightness["dark"] < 60


@pytest.mark.parametrize(
    ("word", "found"), [("NetworkConfig", "NetworkConfig"), ("hidden platform", "WaterMaze-v0")]
)
def test_search_works_from_a_file(page, word, found, site):
    page.goto(f"{(site / 'search.html').as_uri()}?q={word.replace(' ', '+')}")
    page.wait_for_selector("ul.search li a")
    assert any(found in text for text in page.locator("ul.search li").all_inner_texts())
    assert page.problems == []


@pytest.mark.parametrize("address", PAGES)
def test_axe_finds_nothing_against_a_page(page, address, axe, site):
    page.goto((site / address).as_uri())
    assert axe_problems(page, axe) == []
