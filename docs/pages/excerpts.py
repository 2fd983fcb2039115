"""Excerpts for the search page, which may not fetch other pages when it is opened as a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

SCRIPTS = ("texts.js", "excerpts.js")
"""Scripts of the search page alone: every page's text, and what shows a part of it."""
# Excerpts of these would be lists of names; the search shows their titles.
_WITHOUT = ("reference/", "leaderboard/", "project/changelog", "index")


def page_text(document: nodes.document) -> str:
    """Return the words of a page's paragraphs, without tables."""
    parts = [node.astext() for node in document.findall(nodes.paragraph) if not _within_table(node)]
    return re.sub(r"\s+", " ", " ".join(parts)).strip()


def _within_table(node: nodes.Node) -> bool:
    """Return whether a node stands in a table."""
    while node.parent is not None and not isinstance(node, nodes.table):
        node = node.parent
    return isinstance(node, nodes.table)


def write_texts(environment: BuildEnvironment, folder: Path) -> None:
    """Write the script that holds the pages' texts by their addresses."""
    texts = {
        f"{name}.html": page_text(environment.get_doctree(name))
        for name in sorted(environment.found_docs)
        if not name.startswith(_WITHOUT)
    }
    content = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    (folder / SCRIPTS[0]).write_text(f"const PAGE_TEXTS = {content};\n", encoding="utf-8")


def add_scripts(app: Sphinx, page: str, _template: str, _context: Any, _document: Any) -> None:
    """Load the scripts on the search page."""
    if page == "search":
        for name in SCRIPTS:
            app.add_js_file(name, loading_method="defer")
