"""Locate the content folders: environments, agents and results.

Content is data and lives beside the code: at the root of a checkout, or under
``snn_gym/_content/`` in a wheel.
"""

from __future__ import annotations

from pathlib import Path

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
