"""Folders that a process has to itself: made, locked, tried for writing, swept."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snn_gym.storage import PARTIAL_SUFFIX


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock; the kernel frees it when the process ends, however that happens.

    Args:
        folder: Existing folder. The lock is on the folder itself and leaves no file.
        wait: Whether to wait for whoever holds it.

    Raises:
        ValueError: Somebody holds it, and is not waited for.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is in use by another process; wait until it ends, or use another folder"
            ) from error
        yield
    finally:
        os.close(descriptor)


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
    written = "|".join(re.escape(name) for name in names)
    # As tempfile.mkstemp makes names.
    partial = re.compile(rf"\.(?:{written})\.[a-z0-9_]{{8}}{re.escape(PARTIAL_SUFFIX)}")
    return [path for path in folder.iterdir() if partial.fullmatch(path.name) and path.is_file()]


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Remove what `partial_files` returns; the caller keeps other writers of these files away.

    Args:
        folder: Folder to look in, without its subfolders.
        names: Files that killed writers wrote.
    """
    for file in partial_files(folder, names):
        file.unlink(missing_ok=True)
