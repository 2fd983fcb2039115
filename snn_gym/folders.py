"""Folders that a process has to itself: made, locked, tried for writing, swept."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snn_gym.storage import PARTIAL_SUFFIX

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
