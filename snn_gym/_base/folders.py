"""Folders: where content lies, and those that a process has to itself.

Content is data and lives beside the code: at the root of a checkout, or under
``snn_gym/_content/`` in a wheel.
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
# Locate the content folders, environments, agents and results, and read their TOML files.
#
# Content is data and lives beside the code: at the root of a checkout, or under
# ``snn_gym/_content/`` in a wheel.
CONTENT_FOLDERS = ("envs", "agents", "leaderboard")
"""Names of the folders that hold content."""

_PACKAGE = Path(__file__).resolve().parent.parent


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


# ---- folders -------------------------------------------------------------------------------------
PARTIAL_SUFFIX = ".partial"
"""End of the names of files that are being written."""
LOCK_SECONDS = 300.0
"""How long a writer waits for whoever holds a folder's lock."""
_PAUSE_SECONDS = 0.05
_LOCKS = Path("/proc/locks")


@contextmanager
def locked(folder: Path, *, wait: bool = True, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a folder's lock; the kernel frees it when the process ends, however that happens.

    Args:
        folder: Existing folder. The lock is on the folder itself and leaves no file.
        wait: Whether to wait for whoever holds it.
        seconds: How long to wait at most.

    Raises:
        ValueError: Somebody holds it, and was not waited for or held it longer.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + (seconds if wait else 0.0)
        while not _locks(descriptor):
            if time.monotonic() >= deadline:
                waited = f" for {seconds:g} s" if wait else ""
                raise ValueError(
                    f"{folder} is in use by another process{_holder(descriptor)}{waited}; wait "
                    "until it ends, or use another folder"
                )
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    """Return in brackets which process holds the lock, as Linux says; nothing elsewhere."""
    inode = str(os.fstat(descriptor).st_ino)
    # Such as "1: FLOCK ADVISORY WRITE 4711 08:01:393217 0 EOF"; overlays number devices otherwise.
    lines = _LOCKS.read_text().splitlines() if _LOCKS.exists() else []
    for fields in map(str.split, lines):
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            return f" (number {fields[4]})"
    return ""


def make_writable(folder: Path) -> None:
    """Make a folder if it is missing, and make sure that files can be written in it.

    Args:
        folder: Folder, whose parents may be missing too.

    Raises:
        ValueError: It cannot be made, is something else, or nothing can be written in it.
    """
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
    """Return what writers killed in the middle of an atomic write have left in a folder.

    Args:
        folder: Folder to look in, without its subfolders.
        names: Files that they wrote; what other writers left is not listed.
    """
    found = _partial_names(os.listdir(folder), names)
    return [folder / name for name in found if (folder / name).is_file()]


def _partial_names(entries: Iterable[str], names: Iterable[str]) -> list[str]:
    written = "|".join(re.escape(name) for name in names)
    # As `staged` makes names; earlier versions had any of [a-z0-9_] in place of the digits.
    partial = re.compile(rf"\.(?:{written})\.[a-z0-9_]{{8}}{re.escape(PARTIAL_SUFFIX)}")
    return [entry for entry in entries if partial.fullmatch(entry)]


def remove_partial_files(folder: Path | int, names: Iterable[str]) -> None:
    """Remove what `partial_files` returns; the caller keeps other writers of these files away.

    Args:
        folder: Folder to look in, without its subfolders, or a descriptor of it.
        names: Files that killed writers wrote.
    """
    if isinstance(folder, int):
        for name in _partial_names(os.listdir(folder), names):
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(name, dir_fd=folder)
        return
    for file in partial_files(folder, names):
        file.unlink(missing_ok=True)
