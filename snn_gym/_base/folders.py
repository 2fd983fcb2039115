"""Content folders, folder locks, and left-overs of interrupted writes.

Content (environments, agents, results) is data and lives beside the code: at the root of a
checkout, or under ``snn_gym/_content/`` in a wheel.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# ---- content -------------------------------------------------------------------------------------
CONTENT_FOLDERS = ("envs", "agents", "leaderboard")

_PACKAGE = Path(__file__).resolve().parent.parent


def checkout_root() -> Path | None:
    """Return the root of the checkout that this package runs from; None outside a checkout."""
    # A wheel carries its content inside the package. Asking for that first keeps a
    # user's own pyproject.toml and envs/ apart from ours after `pip install --target .`.
    if (_PACKAGE / "_content").is_dir():
        return None
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() else None


def content_path(folder: str) -> Path:
    """Return the path of one of ``CONTENT_FOLDERS``, which need not exist; else ValueError."""
    if folder not in CONTENT_FOLDERS:
        known = ", ".join(CONTENT_FOLDERS)
        raise ValueError(f"content folder {folder!r} is unknown; known folders: {known}")
    return (checkout_root() or _PACKAGE / "_content") / folder


def read_toml(path: Path, where: str) -> dict[str, Any]:
    """Read a TOML file; if it is invalid, raise ValueError, which begins with ``where``."""
    return parse_toml(path.read_bytes(), where)


def parse_toml(data: bytes, where: str) -> dict[str, Any]:
    """Return the content of a TOML file, given as its bytes.

    Raises:
        ValueError: The bytes are not valid TOML. The message begins with ``where``.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError(f"{where}: not valid TOML: nested too deeply") from error
    except ValueError as error:  # of bytes that are no text and of endless numbers, too
        raise ValueError(f"{where}: not valid TOML: {error}") from error


# ---- folders -------------------------------------------------------------------------------------
PARTIAL_SUFFIX = ".partial"
"""End of the names of files that are being written."""
LOCK_SECONDS = 300.0
"""Longest wait for a folder's lock."""
_PAUSE_SECONDS = 0.05


@contextmanager
def locked(folder: Path, *, wait: bool = True, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a folder's lock; ValueError if it is in use at once, or with ``wait`` for ``seconds``.

    The lock is on the folder itself and leaves no file; the kernel frees it when the process ends.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + (seconds if wait else 0.0)
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                waited = f" for {seconds:g} s" if wait else ""
                raise ValueError(
                    f"{folder} is in use by another process{waited}; wait "
                    "until it ends, or use another folder"
                )
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_writable(folder: Path) -> None:
    """Make a folder and its parents, unless it exists; ValueError if no file can be written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; expected a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{folder} can't be written ({error.strerror}); use another folder"
        ) from error


def partial_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the paths of ``.partial`` files that killed writes of ``names`` left in a folder."""
    left_overs = _partial_names(folder, names)
    return [folder / name for name in left_overs if (folder / name).is_file()]


def _partial_names(folder: Path | int, names: Iterable[str]) -> list[str]:
    written = "|".join(re.escape(name) for name in names)
    # Names as `staged` makes them; earlier versions had any of [a-z0-9_] in place of the digits.
    partial = re.compile(rf"\.(?:{written})\.[a-z0-9_]{{8}}{re.escape(PARTIAL_SUFFIX)}")
    return [entry for entry in os.listdir(folder) if partial.fullmatch(entry)]


def remove_partial_files(folder: Path | int, names: Iterable[str]) -> None:
    """Remove the left-overs of killed writes of ``names`` in a folder (path or descriptor).

    Call it only while nobody else writes these files.
    """
    at, descriptor = (Path(), folder) if isinstance(folder, int) else (folder, None)
    for name in _partial_names(folder, names):
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(at / name, dir_fd=descriptor)
