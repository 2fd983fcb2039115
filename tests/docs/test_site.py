"""Tests of the built site: complete, small, and without files from other hosts."""

import re

import pytest

from tests.docs.addresses import foreign_addresses, missing_targets, read_pages
from tests.docs.pages.test_reference import DOCUMENTED

pytestmark = pytest.mark.slow

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def pages(site):
    pages = read_pages(site)
    assert len(pages) > 60
    return pages


def test_pages_load_no_foreign_files(pages, site):
    assert foreign_addresses(pages) == set()
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//", text) == [], sheet


def test_every_loaded_and_linked_target_exists(pages):
    assert missing_targets(pages) == []


def test_every_public_name_has_its_anchor(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    assert len(DOCUMENTED) > 400
    assert [name for name in DOCUMENTED if name not in anchors] == []


def test_the_site_is_small(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * MEGABYTE


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("index", "leaderboard/index.html"),
        ("results/index", "../leaderboard/index.html"),
        ("guide/agents", "../leaderboard/index.html"),
        ("agents/ppo-lif", "../leaderboard/agents/ppo-lif.html"),
        ("environments/CartPole-v1", "../leaderboard/environments/snn__CartPole-v1.html"),
        ("leaderboard/agents/ppo-lif", "../../agents/ppo-lif.html"),
    ],
)
def test_pages_and_drawn_results_link_to_each_other(page, link, pages, site):
    assert link in pages[site / f"{page}.html"].links


def test_the_reference_shows_no_annotations_and_no_memory_addresses(site):
    for path in (site / "reference").rglob("*.html"):
        text = re.sub("<[^>]*>", "", path.read_text(encoding="utf-8"))
        assert re.findall(r"~?typing\.Annotated|0x7[0-9a-f]{8,}", text) == [], path
