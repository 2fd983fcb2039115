"""The built site is whole, small and asks no other host for anything."""

import re

import pytest

from tests.docs.addresses import foreign_addresses, missing_targets, read_pages
from tests.docs.pages.test_reference import DOCUMENTED

pytestmark = pytest.mark.slow

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def pages(site):
    found = read_pages(site)
    assert len(found) > 60
    return found


def test_no_page_asks_another_host(pages, site):
    assert foreign_addresses(pages) == set()
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//", text) == [], sheet


def test_everything_that_a_page_loads_or_links_to_is_there(pages):
    assert missing_targets(pages) == []


def test_every_public_name_has_its_place(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    assert len(DOCUMENTED) > 400
    assert [name for name in DOCUMENTED if name not in anchors] == []


def test_the_site_is_small(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * MEGABYTE


def test_the_results_are_there_as_a_site_of_their_own(pages, site):
    assert "../leaderboard/index.html" in pages[site / "results" / "index.html"].links
    assert "../../agents/ppo-lif.html" in pages[site / "leaderboard/agents/ppo-lif.html"].links


def test_every_page_leads_to_the_drawn_results(pages, site):
    assert "leaderboard/index.html" in pages[site / "index.html"].links
    assert "../leaderboard/index.html" in pages[site / "guide" / "agents.html"].links
    assert "../leaderboard/agents/ppo-lif.html" in pages[site / "agents/ppo-lif.html"].links
    card = pages[site / "environments" / "CartPole-v1.html"].links
    assert "../leaderboard/environments/snn__CartPole-v1.html" in card


def test_the_reference_shows_no_annotations_and_no_addresses_in_memory(site):
    for path in (site / "reference").rglob("*.html"):
        text = re.sub("<[^>]*>", "", path.read_text(encoding="utf-8"))
        assert re.findall(r"~?typing\.Annotated|0x7[0-9a-f]{8,}", text) == [], path
