"""Addresses that HTML pages load and link to."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LOADED = {"href": ("link",), "src": ("img", "script", "iframe", "source", "video", "audio")}


class Page(HTMLParser):
    """Loaded addresses, links and anchors of a page."""

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


def read_pages(folder):
    """Return each page below a folder by its path."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def foreign_addresses(pages):
    """Return the addresses that pages load from other hosts."""
    loaded = {(path.name, address) for path, page in pages.items() for address in page.loaded}
    return {
        (name, address)
        for name, address in loaded
        if urlsplit(address).scheme not in ("", "data") or urlsplit(address).netloc
    }


def missing_targets(pages):
    """Return the addresses of missing files and anchors."""
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
    return missing
