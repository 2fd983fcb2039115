"""The system's Chromium, its screens, and the checker of accessibility, for tests of pages."""

import shutil
import subprocess
import tarfile

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
LOOKS = [(size, scheme) for size in SCREENS.values() for scheme in ("light", "dark")]
"""What the fixture `page` takes: a screen, and whether light or dark is wished."""
LOOK_NAMES = [f"{name}-{scheme}" for name in SCREENS for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
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


def screen_problems(page):
    """Return what is wrong with an open page: errors, other hosts asked, overhang, lost images."""
    foreign = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    broken = page.evaluate(
        "[...document.images].filter(x => x.complete && !x.naturalWidth).map(x => x.src)"
    )
    wide = [f"{too_wide} pixels too wide"] if too_wide > 0 else []
    return [*foreign, *page.problems, *wide, *broken]


def axe_problems(page, axe):
    """Return what axe-core finds against an open page."""
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]
