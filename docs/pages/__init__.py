"""Pages that are written from cards, TOML files, docstrings and rows whenever the site is built."""

from __future__ import annotations

from pathlib import Path

from pages.copied import copied_pages
from pages.gallery import gallery_pages
from pages.reference import reference_pages
from pages.results import result_pages

GENERATED = ("environments", "agents", "results", "reference", "project")
"""Folders of the site's source that hold nothing but written pages; git ignores them."""


def write_pages(site: Path) -> None:
    """Write every generated page; one whose text did not change keeps its time.

    Args:
        site: The folder with conf.py.
    """
    root = site.parent
    cards = copied_pages(root)
    texts = {
        **cards,
        **gallery_pages(root, cards),
        **reference_pages(root),
        **result_pages(root, site),
    }
    for folder in GENERATED:
        for page in (site / folder).rglob("*.*"):
            if page.suffix in (".md", ".rst") and page.relative_to(site).as_posix() not in texts:
                page.unlink()
    for name, text in texts.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
