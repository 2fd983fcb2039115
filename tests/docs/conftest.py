"""Fixtures: the built site, Chromium, and the accessibility checker axe-core."""

import fcntl
import re
import shlex
import shutil
import subprocess
import sys
import tarfile

import pytest

from tests.docs.browsing import SCREENS
from tests.docs.scripts import DOCS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def site():
    """Build the site by the recipe of `make docs`; return its folder."""
    makefile = (DOCS.parent / "Makefile").read_text()
    (recipe,) = re.findall(r"^\t\$\(BIN\)/python (-m sphinx .*)$", makefile, re.M)
    (DOCS / "_build").mkdir(exist_ok=True)
    command, root = [sys.executable, *shlex.split(recipe)], DOCS.parent
    with open(DOCS / "_build" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    return DOCS / "_build" / "html"


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, request):
    (width, height), scheme = getattr(request, "param", (SCREENS["desktop"], "light"))
    screen = {"width": width, "height": height}
    context = browser.new_context(viewport=screen, color_scheme=scheme)
    page = context.new_page()
    page.asked, page.problems = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda said: said.type == "error" and page.problems.append(said.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """Fetch axe-core with npm, or skip the test."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "pack", "axe-core@4", "--silent"]
    fetch = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=120)
    archives = list(folder.glob("axe-core-*.tgz"))
    if fetch.returncode or not archives:
        pytest.skip("npm can't fetch axe-core")
    with tarfile.open(archives[0]) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()
