"""Pages that are written from cards, TOML files, docstrings and rows whenever the site is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pages.copied import copied_pages
from pages.drawn import shell_pages, with_drawn_results
from pages.gallery import gallery_pages
from pages.reference import reference_pages

GENERATED = ("environments", "agents", "leaderboard", "results", "reference", "project")
"""Folders of the site's source that hold nothing but written pages; git ignores them."""


def write_pages(site: Path, folders: Sequence[str]) -> None:
    """Write every generated page anew.

    A page whose text is as before keeps its time, so that a second build reads only what changed.

    Args:
        site: The folder with conf.py.
        folders: The folders below it that belong to the generated pages alone.

    Raises:
        ValueError: If a page would be written outside of the folders.
    """
    root = site.parent
    cards = copied_pages(root)
    pages = {**cards, **gallery_pages(root, cards), **reference_pages(root), **shell_pages()}
    texts = with_drawn_results(root, pages)
    for name in texts:
        if name.split("/")[0] not in folders:
            raise ValueError(f"generated pages belong in one of {', '.join(folders)}: {name}")
    for folder in folders:
        for page in [*(site / folder).rglob("*.md"), *(site / folder).rglob("*.rst")]:
            if page.relative_to(site).as_posix() not in texts:
                page.unlink()
    for name, text in texts.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
