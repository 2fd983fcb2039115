"""Write the site into a folder."""

from __future__ import annotations

import importlib.resources
import itertools
from collections.abc import Sequence
from pathlib import Path

from snn_gym.folders import make_writable
from snn_gym.scoring.site.layout import (
    BEGINNING,
    INDEX_NAME,
    SCRIPT_NAME,
    STYLE_NAME,
    environment_page,
)
from snn_gym.scoring.site.pages import environment, overview
from snn_gym.scoring.table import TableRow, table_rows
from snn_gym.storage import write_text_atomic


def write_site(leaderboard: str | Path, folder: str | Path) -> Path:
    """Write a leaderboard as a site of static pages; equal rows give equal files.

    Pages work from a file address and from any static host, and ask no other one for anything.

    Args:
        leaderboard: Existing folder of the leaderboard.
        folder: Where to write: an empty folder, an absent one, or one with a site written before,
            whose pages are replaced, those of rows that are gone removed.

    Returns:
        Path of the first page.

    Raises:
        ValueError: The leaderboard is missing, the folder holds something else or cannot be
            written, or as in ``table_rows``.
    """
    leaderboard, folder = Path(leaderboard), Path(folder)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    texts = site_files(table_rows(leaderboard))
    make_writable(folder)
    if any(folder.iterdir()) and not _is_page(folder / INDEX_NAME):
        raise ValueError(
            f"{folder} is not empty and holds no site that `snn-gym table` wrote; name another "
            "folder"
        )
    for path in folder.rglob("*.html"):
        if path.relative_to(folder).as_posix() not in texts and _is_page(path):
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        write_text_atomic(path, text)
    return folder / INDEX_NAME


def site_files(rows: Sequence[TableRow]) -> dict[str, str]:
    """Return the text of every file of the site by its path.

    Args:
        rows: The whole results table, in its order.
    """
    package = importlib.resources.files(__package__)
    texts = {name: (package / name).read_text("utf-8") for name in (STYLE_NAME, SCRIPT_NAME)}
    texts[INDEX_NAME] = overview(rows)
    for name, group in itertools.groupby(rows, key=lambda row: row.environment):
        texts[environment_page(name)] = environment(list(group))
    return texts


def _is_page(path: Path) -> bool:
    """Return whether a file is a page of a site written before."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING.encode()
