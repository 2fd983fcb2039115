"""Files of the results site."""

from __future__ import annotations

import gzip
import importlib.resources
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from snn_gym._base.folders import make_writable
from snn_gym._base.storage import write_bytes_atomic
from snn_gym.leaderboard.manifest import MAX_ROW_BYTES
from snn_gym.leaderboard.results import Row, read_below, shown_rows
from snn_gym.leaderboard.site.agents import agent
from snn_gym.leaderboard.site.environments import environment, overview
from snn_gym.leaderboard.site.layout import (
    GENERATOR,
    INDEX_NAME,
    SCRIPT_NAME,
    STYLE_NAME,
    Documentation,
    Site,
    agent_page,
    environment_page,
    row_file,
)
from snn_gym.leaderboard.table import (
    TableRow,
    Unranked,
    line_of,
    mean_known,
    read_pricing,
    split_rows,
    summaries,
)
from snn_gym.program.prices import DEFAULT, MEASURED

_HEAD_BYTES = 1024


def write_site(
    leaderboard: str | Path,
    folder: str | Path,
    *,
    documentation: Documentation | None = None,
    cost: str = DEFAULT,
) -> Path:
    """Write a leaderboard as a site of static pages; equal rows give equal files.

    Pages work from a file address and from any static host, without requests to other hosts.

    Args:
        leaderboard: Existing folder of the leaderboard.
        folder: Folder to write: absent, empty, or with an earlier site, whose pages are replaced.
        documentation: Built documentation that contains the site, for links to its cards; None for
            a separate site.
        cost: Name of the price of fronts and first columns.

    Returns:
        Path of the first page.

    Raises:
        ValueError: The leaderboard is missing, the folder holds other files or cannot be written,
            or as in ``table_rows``.
    """
    leaderboard, folder = Path(leaderboard), Path(folder)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    sources = shown_rows(leaderboard)
    ranked, others = split_rows(leaderboard, sources)
    rows = summaries(ranked, sources, read_pricing(leaderboard, cost))
    measured = measured_prices(leaderboard, ranked)
    site = Site(frozenset(row.agent for row in rows), documentation, measured, cost)
    pages = site_pages(rows, sources, site, others)
    files = {name: text.encode() for name, text in pages.items()}
    for row in sources:
        content = json.loads(read_below(leaderboard, row.place, MAX_ROW_BYTES))
        text = json.dumps(content, separators=(",", ":")).encode()
        # Compressed, hundreds of rows take a quarter of the room. Equal rows give equal files.
        files[row_file(row.agent, row.environment, row.seed)] = gzip.compress(text, mtime=0)
    make_writable(folder)
    if any(folder.iterdir()) and not _is_page(folder / INDEX_NAME):
        raise ValueError(
            f"{folder} is not empty and holds no site that `snn-gym table` wrote; name another "
            "folder"
        )
    _remove_others(folder, files)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(path, data)
    return folder / INDEX_NAME


def site_pages(
    rows: Sequence[TableRow],
    sources: Sequence[Row],
    site: Site | None = None,
    others: Sequence[Unranked] = (),
) -> dict[str, str]:
    """Return the text of every page, style sheet and script by path below the site's folder.

    ``rows`` are the table's lines, ``sources`` all stored rows, ``others`` those that do not rank.
    """
    site = site or Site(frozenset(row.agent for row in rows))
    package = importlib.resources.files(__package__)
    texts = {name: (package / name).read_text("utf-8") for name in (STYLE_NAME, SCRIPT_NAME)}
    texts[INDEX_NAME] = overview(site, rows, others)
    for name in sorted({row.environment for row in rows}):
        own = [row for row in rows if row.environment == name]
        texts[environment_page(name)] = environment(site, own, sources)
    for name in sorted(site.agents):
        own = [row for row in rows if row.agent == name]
        texts[agent_page(name)] = agent(site, own, rows, sources)
    return texts


def measured_prices(leaderboard: Path, rows: Sequence[Row]) -> dict[tuple[object, ...], float]:
    """Return means of measured prices, by the price's name and the key of a line of the table."""
    groups: dict[tuple[object, ...], list[float | None]] = {}
    for name in MEASURED:
        pricing = read_pricing(leaderboard, name)
        for row in rows:
            values = groups.setdefault((name, *line_of(row)), [])
            values.append(pricing.measured.get(row.weights_sha256))
    means = {key: mean_known(values) for key, values in groups.items()}
    return {key: mean for key, mean in means.items() if mean is not None}


def _remove_others(folder: Path, names: Iterable[str]) -> None:
    """Remove pages and rows of an earlier site that are not written again."""
    expected = {folder / name for name in names}
    for path in (*folder.rglob("*.html"), *folder.glob("rows/*/*/*.json*")):
        if path not in expected and (path.suffix in (".json", ".gz") or _is_page(path)):
            path.unlink()


def _is_page(path: Path) -> bool:
    """Return whether a path is a file that begins as every page of a site."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return GENERATOR.encode() in file.read(_HEAD_BYTES)
