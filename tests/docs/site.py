"""The built site, for tests that look at it."""

import fcntl
import re
import shlex
import subprocess
import sys

import pytest

from tests.docs.scripts import DOCS

MAKEFILE = DOCS.parent / "Makefile"
HTML = DOCS / "_build" / "html"


@pytest.fixture(scope="session")
def site():
    """Build the site as `make docs` does; return the folder with the pages."""
    (DOCS / "_build").mkdir(exist_ok=True)
    (recipe,) = re.findall(r"^\t\$\(BIN\)/python (-m sphinx .*)$", MAKEFILE.read_text(), re.M)
    with open(DOCS / "_build" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, *shlex.split(recipe)]
        built = subprocess.run(
            command, cwd=DOCS.parent, capture_output=True, text=True, check=False
        )
    assert built.returncode == 0, built.stderr
    return HTML
