"""Tests of the built site: complete, and without files from other hosts."""

import re

import pytest

import snn_gym
from tests.docs.addresses import foreign_addresses, missing_targets, read_pages

pytestmark = pytest.mark.slow


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


def test_every_public_name_of_the_package_has_its_anchor(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    names = [f"snn_gym.{name}" for name in snn_gym.__all__ if not name.startswith("_")]
    assert len(names) > 10
    assert [name for name in names if name not in anchors] == []


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("index", "results/index.html"),
        ("guide/agents", "../results/index.html"),
        ("agents/ppo-lif", "../results/CartPole-v1.html"),
        ("environments/CartPole-v1", "../results/CartPole-v1.html"),
        ("results/CartPole-v1", "../agents/ppo-lif.html"),
        ("results/CartPole-v1", "../environments/CartPole-v1.html"),
    ],
)
def test_results_tasks_and_agents_link_to_each_other(page, link, pages, site):
    assert link in pages[site / f"{page}.html"].links
