"""Links from pages to the drawn results, and the look in which these are written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pages.copied import RESULTS, below_title
from snn_gym.leaderboard import TableRow, table_rows
from snn_gym.leaderboard.site.layout import (
    INDEX_NAME,
    SHELL_BODY,
    SHELL_TITLE,
    agent_page,
    environment_page,
)

RESULTS_FOLDER = "leaderboard"
"""Folder of the built site that has the results."""
_SHELLS = {"": "index", "../": "agents/index"}
_ALL = "To sort and filter, to see the seeds, and scores against costs: {}."


def shell_pages() -> dict[str, str]:
    """Return pages without content, in whose look the results are written."""
    text = f"# {SHELL_TITLE}\n\n{SHELL_BODY[3:-4]}\n"
    return {f"{RESULTS_FOLDER}/{name}.md": text for name in _SHELLS.values()}


def take_shells(folder: Path) -> dict[str, str]:
    """Remove the results' folder with the built shells; return these by path to that folder."""
    shells = {up: (folder / f"{name}.html").read_text("utf-8") for up, name in _SHELLS.items()}
    shutil.rmtree(folder)  # with the results of an earlier build
    return shells


def link(address: str, text: str) -> str:
    """Return a link to a page of the drawn results, from a page in a folder of the site.

    It is HTML, for a link in Markdown would have to lead to a page that Sphinx writes.

    Args:
        address: Of the page, from the results' folder.
        text: What it says.
    """
    return f'<a href="../{RESULTS_FOLDER}/{address}">{text}</a>'


def drawn_results(rows: Sequence[TableRow]) -> dict[str, str]:
    """Return the line that leads to the drawn results, by the page of an agent or environment.

    Args:
        rows: The whole results table.
    """
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        agent = link(agent_page(row.agent), row.agent)
        found.setdefault(f"agents/{row.agent}.md", {})[agent] = None
        environment = link(environment_page(row.environment), row.environment)
        found.setdefault(f"environments/{row.card}.md", {})[environment] = None
    return {page: f"Drawn results: {', '.join(links)}." for page, links in found.items()}


def with_drawn_results(root: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return pages with a line below their titles that leads to the drawn results.

    Args:
        root: The folder that holds the results table.
        texts: Every page by its path on the site; those without rows stay as they are.
    """
    lines = drawn_results(table_rows(root / "leaderboard"))
    lines[RESULTS] = _ALL.format(link(INDEX_NAME, "the results, drawn"))
    return {
        page: below_title(text, lines[page]) if page in lines else text
        for page, text in texts.items()
    }
