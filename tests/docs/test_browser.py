"""The site in the system's Chromium: phone and desktop, light and dark, opened as files."""

import shutil
import subprocess
import tarfile

import pytest

from tests.docs.site import site  # noqa: F401 - a fixture

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.slow

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
PAGES = (
    "index.html",
    "tutorials/spikes.html",
    "environments/index.html",
    "environments/CueAccumulation-v0.html",
    "agents/index.html",
    "agents/ppo-lif.html",
    "guide/commands.html",
    "results/index.html",
    "lean-study.html",
    "how-it-works.html",
    "reference/snn_gym.spiking.html",
    "reference/modules/snn_gym.scoring.html",
)


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


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize(
    "page",
    [(size, scheme) for size in SCREENS.values() for scheme in ("light", "dark")],
    ids=[f"{name}-{scheme}" for name in SCREENS for scheme in ("light", "dark")],
    indirect=True,
)
def test_a_page_fits_its_screen_and_asks_nobody(page, address, site):  # noqa: F811 - the fixture
    page.goto((site / address).as_uri())
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.problems == []
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0
    broken = "[...document.images].filter(x => x.complete && !x.naturalWidth).map(x => x.src)"
    assert page.evaluate(broken) == []


def test_the_ground_is_dark_where_that_is_wished(browser, site):  # noqa: F811 - the fixture
    lightness = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        made = context.new_page()
        made.goto((site / "index.html").as_uri())
        colour = made.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness[scheme] = sum(map(int, colour.strip("rgba()").split(",")[:3])) / 3
        context.close()
    assert lightness["light"] > 200
    assert lightness["dark"] < 60


@pytest.mark.parametrize(
    ("word", "found"), [("NetworkConfig", "NetworkConfig"), ("hidden platform", "WaterMaze-v0")]
)
def test_search_works_from_a_file(page, word, found, site):  # noqa: F811 - the fixture
    page.goto(f"{(site / 'search.html').as_uri()}?q={word.replace(' ', '+')}")
    page.wait_for_selector("ul.search li a")
    assert any(found in text for text in page.locator("ul.search li").all_inner_texts())
    assert page.problems == []


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


@pytest.mark.parametrize("address", PAGES)
def test_axe_finds_nothing_against_a_page(page, address, axe, site):  # noqa: F811 - the fixture
    page.goto((site / address).as_uri())
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
