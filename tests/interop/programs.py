"""Running other people's programs as a user would: in a process, in a folder of its own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]


def run(folder, *arguments, timeout=900):
    """Run Python with arguments in a folder; return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def program_of_tutorial(name, folder):
    """Write a program that the tutorial on other libraries shows into a folder; return its name."""
    page = (ROOT / "docs" / "tutorials" / "others.md").read_text(encoding="utf-8")
    (block,) = [block for block in load_script("run_tutorials").blocks(page) if block.file == name]
    (folder / name).write_text(block.text, encoding="utf-8")
    return name


def unpack_wheel(requirement, folder, python="3.9"):
    """Unpack a wheel of PyPI into a folder, whatever Python it asks for; skip without network."""
    fetch = [
        "download",
        requirement,
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        python,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "-q", *fetch, "-d", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"pip can't fetch {requirement}: {done.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
