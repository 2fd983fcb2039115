"""Tests of README.md and the guide: blocks run, files exist, figures are current."""

import re
import subprocess
import sys
from importlib.util import find_spec

import gymnasium as gym
import pytest

import snn_gym
from snn_gym import learners
from snn_gym.cli import main
from snn_gym.leaderboard import table_rows
from snn_gym.policies.observations import EXTRACTORS
from snn_gym.program.neurons import NEURONS
from snn_gym.zoo import load_agent_spec
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.spec import _REGISTERED
from tests.readme import GUIDE, PAGES, ROOT, blocks, commands, shell, shortened

README = PAGES["README.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SPEED = (ROOT / "docs/speed.md").read_text(encoding="utf-8")


PYTHON = [
    pytest.param(block, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, block in enumerate(blocks(text, "python"))
]


@pytest.fixture
def served(request):
    """Serve the hub's API to a page that names agents of the hub."""
    text = request.node.callspec.params
    if "hf:" in PAGES.get(text.get("page"), text.get("block", "")):
        request.getfixturevalue("hub")


@pytest.fixture
def forgotten(tmp_path, monkeypatch):
    """Work in a folder, and restore registries and modules afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    tables = (gym.registry, NEURONS, _REGISTERED, EXTRACTORS)
    before, modules = [dict(table) for table in tables], set(sys.modules)
    yield
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)
    load_agent_spec.cache_clear()
    for path in tmp_path.glob("*.py"):
        if path.stem not in modules:
            sys.modules.pop(path.stem, None)


def test_the_readme_is_short_and_shows_the_three_uses():
    assert len(README.splitlines()) <= 160
    assert "In a clone of this repository:" in README
    # No placeholder such as YOUR-NAME in copied commands.
    assert [line for line in shell(README) if re.search(r"\b[A-Z]+-[A-Z]+", line)] == []
    assert len(blocks(README, "python")) >= 2
    assert any(line.startswith("snn-gym verify") for line in shell(README))
    assert all(f"**{number}. " in README for number in (1, 2, 3))


@pytest.mark.parametrize("block", PYTHON)
def test_a_python_block_runs(block, few_updates, forgotten, served, capsys):
    exec(compile(shortened(block), "README.md", "exec"), {})  # noqa: S102 - our own README
    if "print(" in block:
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "page",
    [
        page if page == "README.md" else pytest.param(page, marks=pytest.mark.slow)
        for page, text in PAGES.items()
        if commands(text)
    ],
)
def test_the_commands_run_one_after_another(page, few_updates, forgotten, served, capsys, tmp_path):
    left_out = []
    for words in commands(PAGES[page]):
        if "--onnx" in words and find_spec("onnx") is None:
            left_out.append(words)
            continue
        assert main(words) == 0, words
    assert "ppo-lif" in capsys.readouterr().out
    if "snn-gym table" in PAGES[page]:
        assert (tmp_path / "my-leaderboard" / "README.md").exists()
    if left_out:
        pytest.skip(f"all others ran; onnx, of the extra deploy, is not installed: {left_out}")


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert {"demo", "test", "check", "check-all", "wheel", "docs"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_extras_are_those_of_the_project_and_come_from_no_index():
    cells = re.findall(r"^\| ((?:`[a-z]+`(?:, )?)+) \| ", README, re.MULTILINE)
    extras = {name for cell in cells for name in re.findall("[a-z]+", cell)}
    project = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    known = set(re.findall(r"^([a-z]+) = \[", project.split("\n[")[0], re.MULTILINE))
    assert extras == known - {"dev", "bench", "docs", "interop"}
    assert f"dist/snn_gym-{snn_gym.__version__}-py3-none-any.whl" in README
    for text in (README, *PAGES.values()):
        assert re.findall(r"pip install[^\n]*\"?snn[-_]gym(?!-[\d.]+-py3)", text) == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_linked_file_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links or page == "docs/guide/networks.md"
    folder = (ROOT / page).parent
    assert [link for link in links if link and not (folder / link).exists()] == []


def test_the_guide_is_reached_from_the_readme_and_from_the_site():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for page in GUIDE:
        assert f"]({page})" in README
        assert f"\n{page.removeprefix('docs/').removesuffix('.md')}\n" in index


def test_the_map_names_every_folder_of_the_root():
    named = set(re.findall(r"^\| `([a-z_]+)/` \|", CONTRIBUTING, re.MULTILINE))
    listing = ["git", "ls-tree", "-d", "--name-only", "HEAD"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named == {folder for folder in tracked.split() if not folder.startswith(".")}
    assert all((ROOT / folder).is_dir() for folder in named)


def test_native_task_scores_equal_the_results_table():
    page = PAGES["docs/guide/environments.md"]
    pattern = r"^\| \[\w+\]\(\.\./\.\./envs/(\S+)\.md\) \| .+ \| (\S+) \|$"
    shown = re.findall(pattern, page, re.MULTILINE)
    rows = {
        row.environment: row
        for row in table_rows(ROOT / "leaderboard")
        if row.agent == "recurrent-ppo-lsnn"
    }
    assert len(shown) == 8
    for name, score in shown:
        row = rows[f"snn/{name}"]
        assert score == f"{row.normalised:.2f}", name
        assert len(row.seeds) == 5


def test_number_of_algorithms_is_current():
    stock = {name for name, x in ALGORITHMS.items() if x.library != "snn_gym.learners"}
    ours = {name for name in ALGORITHMS if hasattr(getattr(learners, name, None), "same_as")}
    spiking = {name for name in stock | ours if not name.startswith("Stock")}
    assert f"{len(spiking)} of its and sb3-contrib's algorithms" in README


def median(timed, against):
    """Return a median of docs/speed.md."""
    found = re.search(
        rf"^\| {re.escape(timed)} \| {re.escape(against)} \| ([\d.]+) × ", SPEED, re.M
    )
    return float(found[1])


def test_speed_figures_equal_the_measurements():
    best = "the best of Norse, SpikingJelly and snnTorch"
    acting = [
        median(f"acting, `{how}`, 64-64, T = 8, batch 1", best) for how in ("predict", "forward")
    ]
    the_three = "the best of the three under torch.compile"
    compiled = [
        median(f"acting, `{how}`, 64-64, T = 8, batch 1", the_three)
        for how in ("predict", "forward")
    ]
    ppo = [median("PPO environment steps/s, ppo-lif", other) for other in ("MlpPolicy", "ppo-mlp")]
    for how, fast, slower in zip(("predict", "forward"), acting, compiled, strict=True):
        assert (
            f"| by `{how}` | {fast:.0f} times as fast | {slower:.1f} times |" in README.splitlines()
        )
    text = (
        "PPO makes {:.2f} times the environment steps per second of stock `MlpPolicy`, and {:.2f} "
        "of the ANN twin"
    )
    assert text.format(*ppo) in " ".join(README.split())


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_small(page):
    folder = (ROOT / page).parent
    pictures = [folder / name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGES[page])]
    assert page != "README.md" or any(path.suffix == ".gif" for path in pictures)
    for path in pictures:
        assert path.stat().st_size <= 1_000_000, path
