"""Inventories for links to other projects' pages, from a file instead of from the network."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Mapping
from pathlib import Path


def inventory(project: str, names: Mapping[str, tuple[str, str]]) -> bytes:
    """Return an inventory as Sphinx reads it (``objects.inv``, version 2).

    Args:
        project: Name of the project.
        names: Role and address below the project's own of each Python name.
    """
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{name} py:{role} 1 {address} -\n" for name, (role, address) in names.items()]
    return head.encode() + zlib.compress("".join(lines).encode())


def inventories(source: Path, target: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory for each project of a TOML file.

    Args:
        source: The file: for each project its ``address`` and its ``names``.
        target: The folder to write to.

    Returns:
        Each project's address and the file of its inventory, as ``intersphinx_mapping`` has them.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = {}
    for project, entry in tomllib.loads(source.read_text(encoding="utf-8")).items():
        path = target / f"{project}.inv"
        path.write_bytes(inventory(project, entry["names"]))
        found[project] = (entry["address"], str(path))
    return found
