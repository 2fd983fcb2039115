"""What the theme's pages lack for readers without eyes or mouse, added to the built HTML."""

from __future__ import annotations

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


def accessible(html: str) -> str:
    """Return a page with levels of headings, names of regions, and reachable scrolling parts."""
    for before, after in CHANGES.items():
        html = html.replace(before, after)
    return html


def make_accessible(folder: Path) -> None:
    """Change all pages of a built site."""
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(accessible(text), encoding="utf-8")
