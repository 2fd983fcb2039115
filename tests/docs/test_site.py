"""The built site is whole, small and asks no other host for anything."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages.test_reference import DOCUMENTED
from tests.docs.site import site  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

LOADED = {"href": ("link",), "src": ("img", "script", "iframe", "source", "video", "audio")}
MEGABYTE = 2**20


class Page(HTMLParser):
    """The addresses that a page loads, those that it links to, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        for key, tags in LOADED.items():
            if tag in tags and values.get(key) and values.get("rel") != "canonical":
                self.loaded.append(values[key])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def pages(site):  # noqa: F811 - the fixture
    found = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    assert len(found) > 60
    return found


def test_no_page_asks_another_host(pages, site):  # noqa: F811 - the fixture
    foreign = {
        (path.name, address)
        for path, page in pages.items()
        for address in page.loaded
        if urlsplit(address).scheme not in ("", "data") or urlsplit(address).netloc
    }
    assert foreign == set()
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//", text) == [], sheet


def test_everything_that_a_page_loads_or_links_to_is_there(pages):
    missing = []
    for path, page in pages.items():
        for address in page.loaded + page.links:
            parts = urlsplit(address)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                missing.append((path.name, address))
    assert missing == []


def test_every_public_name_has_its_place(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    assert len(DOCUMENTED) > 400
    assert [name for name in DOCUMENTED if name not in anchors] == []


def test_the_site_is_small(site):  # noqa: F811 - the fixture
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * MEGABYTE
