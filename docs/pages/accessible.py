"""What the theme's pages lack for readers without eyes or mouse, added to the built HTML."""

from __future__ import annotations

import re
from pathlib import Path

CHANGES = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    # What scrolls can be reached by the keyboard.
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper ': '<div tabindex="0" class="table-wrapper ',
    # A heading without words is none.
    '<th class="head"><p></p></th>': "<td></td>",
}

# Sphinx writes a signature of several lines as a list of definitions that lacks the terms.
_SIGNATURE = re.compile(r'<dl>\n(<dd><em class="sig-param">.*?)\n</dl>', re.DOTALL)


def accessible(html: str) -> str:
    """Return a page with levels of headings, names of regions, and reachable scrolling parts."""
    for before, after in CHANGES.items():
        html = html.replace(before, after)
    return _SIGNATURE.sub(_as_lines, html)


def _as_lines(signature: re.Match[str]) -> str:
    """Return the parameters of a signature as lines, which `site.css` sets apart."""
    return signature[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")


def make_accessible(folder: Path) -> None:
    """Change all pages of a built site."""
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(accessible(text), encoding="utf-8")
