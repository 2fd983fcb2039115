"""Folders that a process has to itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snn_gym._base.folders import locked, make_writable, partial_files
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


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with (
            pytest.raises(ValueError, match="in use by another process"),
            locked(tmp_path, wait=False),
        ):
            pass
        holder.kill()
    with locked(tmp_path, wait=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_who_holds_a_lock_too_long_is_named(tmp_path: Path) -> None:
    """Who only reads can hold it, too: nothing of it is written."""
    command = [sys.executable, "-c", READER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        said = rf"in use by another process \(number {holder.pid}\) for 0.2 s; wait until"
        with pytest.raises(ValueError, match=said), locked(tmp_path, seconds=0.2):
            pass
        holder.kill()


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; expected a folder"):
        make_writable(tmp_path / "file")
    # Nobody can make files here, root neither.
    for folder in (tmp_path / "file" / "run", Path("/proc/self"), Path("/proc/nothing")):
        with pytest.raises(ValueError, match=r"can't be written \(.+\); use another folder"):
            make_writable(folder)


def test_what_killed_writers_left_is_found_and_nothing_else(
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
