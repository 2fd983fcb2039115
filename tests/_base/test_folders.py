"""Tests of folder locks, writable folders and temporary files of killed writers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snn_gym._base.folders import (
    locked,
    make_writable,
    partial_files,
    remove_partial_files,
)
from snn_gym._base.storage import write_text_atomic

HOLDER = """
import sys, time
from pathlib import Path
from snn_gym._base.folders import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""
READER = """
import fcntl, os, sys, time
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_SH)
print("locked", flush=True)
time.sleep(600)
"""


@contextmanager
def holding(code: str, folder: Path) -> Iterator[int]:
    """Hold the lock of a folder in another process; give its process number."""
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        yield holder.pid
        holder.kill()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    in_use = pytest.raises(ValueError, match="in use by another process")
    with holding(HOLDER, tmp_path), in_use, locked(tmp_path, wait=False):
        pass
    with locked(tmp_path, wait=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_readers_that_hold_a_lock_are_named(tmp_path: Path) -> None:
    with holding(READER, tmp_path):
        line = "in use by another process for 0.2 s; wait until"
        with pytest.raises(ValueError, match=line), locked(tmp_path, seconds=0.2):
            pass


def test_folders_are_created_empty_with_their_parents(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_unwritable_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; expected a folder"):
        make_writable(tmp_path / "file")
    # Not even root can make files here.
    for folder in (tmp_path / "file" / "run", Path("/proc/self"), Path("/proc/nothing")):
        with pytest.raises(ValueError, match=r"can't be written \(.+\); use another folder"):
            make_writable(folder)


def test_only_temporary_files_of_killed_writers_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".mine.partial", ".run.json.partial", ".other.json.abcd_123.partial"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".run.json.folder12.partial").mkdir()
    assert partial_files(tmp_path, ["run.json"]) == []
    # A writer that could neither finish nor clean up.
    monkeypatch.setattr(os, "replace", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(os, "unlink", lambda *_, **__: None)
    with pytest.raises(ZeroDivisionError):
        write_text_atomic(tmp_path / "run.json", "half")
    (left,) = partial_files(tmp_path, ["run.json"])
    assert left.read_text() == "half"
    monkeypatch.undo()
    before = set(tmp_path.iterdir())
    for folder in (tmp_path, os.open(tmp_path, os.O_RDONLY)):
        left.write_text("half")
        remove_partial_files(folder, ["run.json"])
        assert set(tmp_path.iterdir()) == before - {left}
