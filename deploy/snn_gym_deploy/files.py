"""Names, titles and files of exports."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Container, Mapping
from pathlib import Path

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NO_TITLE = re.compile(r"[^A-Za-z0-9 _.,:;()/+=%'-]")
_MAX_TITLE = 300


def check_identifier(name: str, reserved: Container[str], described: str) -> None:
    """Refuse the name of exported functions or a module, and ``reserved`` ones, so described."""
    if not _IDENTIFIER.fullmatch(name) or name in reserved:
        raise ValueError(
            f"name {name!r} must be at most 32 lower-case letters, digits and underscores, a "
            f"letter first, and {described}; such as 'agent'"
        )


def safe_title(text: str) -> str:
    """Return at most 300 characters of a text with single spaces for whitespace.

    All others become ``_``, except for ASCII letters, digits and ``.,:;()/+=%'-``.
    """
    # A stranger's title can't end a comment in C or begin a line of its own.
    return _NO_TITLE.sub("_", " ".join(text.split()))[:_MAX_TITLE]


def write_files(contents: Mapping[Path, str | bytes]) -> None:
    """Write files, each whole or not at all, into folders that are made."""
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        try:
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as place:
                partial = Path(place, path.name)
                partial.write_bytes(data)
                os.replace(partial, path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
