"""The built site, the system's Chromium, and the checker of accessibility."""

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

MAKEFILE = DOCS.parent / "Makefile"
HTML = DOCS / "_build" / "html"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


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


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, request):
    (width, height), scheme = getattr(request, "param", (SCREENS["desktop"], "light"))
    screen = {"width": width, "height": height}
    context = browser.new_context(viewport=screen, color_scheme=scheme)
    made = context.new_page()
    made.asked, made.problems = [], []
    made.on("request", lambda request: made.asked.append(request.url))
    made.on("console", lambda said: said.type == "error" and made.problems.append(said.text))
    made.on("pageerror", lambda error: made.problems.append(str(error)))
    yield made
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """Fetch axe-core, the checker, by npm; skip where that cannot be."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "pack", "axe-core@4", "--silent"]
    fetched = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=120)
    packed = list(folder.glob("axe-core-*.tgz"))
    if fetched.returncode or not packed:
        pytest.skip("npm can't fetch axe-core")
    with tarfile.open(packed[0]) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()
