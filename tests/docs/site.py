"""The built site, for tests that look at it."""

import fcntl
import subprocess
import sys

import pytest

from tests.docs.scripts import DOCS

HTML = DOCS / "_build" / "html"


@pytest.fixture(scope="session")
def site():
    """Build what is not up to date, as `make docs` does; return the folder with the pages."""
    (DOCS / "_build").mkdir(exist_ok=True)
    words = ["-q", "-W", "--keep-going", "-d", "docs/_build/doctrees", "docs", "docs/_build/html"]
    with open(DOCS / "_build" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "sphinx", *words]
        built = subprocess.run(
            command, cwd=DOCS.parent, capture_output=True, text=True, check=False
        )
    assert built.returncode == 0, built.stderr
    return HTML
