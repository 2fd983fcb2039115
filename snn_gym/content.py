"""Locate the content folders, environments, agents and results, and read their TOML files.

Content is data and lives beside the code: at the root of a checkout, or under
``snn_gym/_content/`` in a wheel.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

CONTENT_FOLDERS = ("envs", "agents", "leaderboard")
"""Names of the folders that hold content."""

_PACKAGE = Path(__file__).resolve().parent


def checkout_root() -> Path | None:
    """Find the checkout that this package is run from.

    Returns:
        The folder that holds ``snn_gym/`` and ``pyproject.toml``, or None when the
        package is installed from a wheel.
    """
    # A wheel carries its content inside the package. Asking for that first keeps a
    # user's own pyproject.toml and envs/ apart from ours after `pip install --target .`.
    if (_PACKAGE / "_content").is_dir():
        return None
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() else None


def content_path(folder: str) -> Path:
    """Return the path of a content folder, whether or not it exists yet.

    Args:
        folder: One of ``CONTENT_FOLDERS``.

    Raises:
        ValueError: The folder is no content folder.
    """
    if folder not in CONTENT_FOLDERS:
        known = ", ".join(CONTENT_FOLDERS)
        raise ValueError(f"content folder {folder!r} is unknown; known folders: {known}")
    return (checkout_root() or _PACKAGE / "_content") / folder


def read_toml(path: Path, where: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: The file.
        where: What to call it in an error.

    Raises:
        ValueError: The file is not valid TOML.
    """
    return parse_toml(path.read_bytes(), where)


def parse_toml(data: bytes, where: str) -> dict[str, Any]:
    """Return the content of a TOML file's bytes.

    Args:
        data: Content of the file.
        where: What to call it in an error.

    Raises:
        ValueError: It is not valid TOML.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError(f"{where}: not valid TOML: nested too deeply") from error
    except ValueError as error:  # also of bytes that are no text, and of endless numbers
        raise ValueError(f"{where}: not valid TOML: {error}") from error
