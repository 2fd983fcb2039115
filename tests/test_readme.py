"""Tests of README.md and the guide: blocks run, files exist, figures are current."""

import inspect
import re
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest
from stable_baselines3 import PPO

from snn_gym import learners
from snn_gym.cli import main
from snn_gym.leaderboard import table_rows, verification
from snn_gym.zoo.algorithms import ALGORITHMS
from tests.leaderboard.helpers import rerun_in_process
from tests.marked import slow
from tests.readme import GUIDE, PAGES, ROOT, blocks, commands, shell, shortened

README = PAGES["README.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SPEED, INSTALL, OTHERS, PAYS = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("speed", "install", "other-systems", "where-spikes-pay")
)
CALLS = ("predict", "forward")
DEPLOYED = bool(entry_points(group="snn_gym.commands"))


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
def forgotten(own_names, tmp_path, monkeypatch):
    """Work in a folder, and forget its modules afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for path in tmp_path.glob("*.py"):
        if path.stem not in modules:
            sys.modules.pop(path.stem, None)


@pytest.fixture
def short_rollouts(monkeypatch):
    """Let Stable-Baselines3's PPO learn once from 256 steps; 10 times from 2048 take seconds."""
    few = {"n_steps": 256, "n_epochs": 1}
    signature = inspect.signature(PPO.__init__)
    given = {x.name: x.default for x in signature.parameters.values() if x.default is not x.empty}
    monkeypatch.setattr(PPO.__init__, "__defaults__", tuple({**given, **few}.values()))


def test_the_readme_is_short_and_shows_the_three_uses():
    assert len(README.split()) <= 500
    assert all(f"**{number}. " in README for number in (1, 2, 3))
    assert any(line.startswith("snn-gym verify") for line in shell(README))


@pytest.mark.check
@pytest.mark.parametrize("block", PYTHON)
def test_a_python_block_runs(block, few_updates, short_rollouts, forgotten, served, capsys):
    if "snn_gym_deploy" in block:
        pytest.importorskip("snn_gym_deploy")
    exec(compile(shortened(block), "README.md", "exec"), {})  # noqa: S102 - our own README
    if "print(" in block:
        assert capsys.readouterr().out.strip()


@pytest.mark.check
@pytest.mark.parametrize(
    "page",
    [page if page == "README.md" else slow(page) for page, text in PAGES.items() if commands(text)],
)
def test_the_commands_run_one_after_another(
    page, few_updates, forgotten, served, capsys, monkeypatch, tmp_path
):
    # In this process, not in limited ones.
    monkeypatch.setattr(verification, "rerun_limited", rerun_in_process)
    monkeypatch.setattr(verification, "check_architecture", lambda *_: None)
    left_out = []
    for words in commands(PAGES[page]):
        of_deploy = words[0] in ("export", "submit-nir")
        if (of_deploy and not DEPLOYED) or ("--onnx" in words and find_spec("onnx") is None):
            left_out.append(words)
            continue
        assert main(words) == 0, words
    assert "ppo-lif" in capsys.readouterr().out
    if "snn-gym table" in PAGES[page]:
        assert (tmp_path / "my-leaderboard" / "README.md").exists()
    if left_out:
        pytest.skip(f"all others ran; snn-gym-deploy[onnx] is not installed: {left_out}")


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)", README + INSTALL + CONTRIBUTING))
    assert {"demo", "test", "check", "wheel", "docs"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_extras_are_those_of_the_project_and_come_from_no_index():
    extras = set(re.findall(r"^\| `([a-z]+)` \| ", INSTALL, re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    known = set(re.findall(r"^([a-z]+) = \[", project.split("\n[")[0], re.MULTILINE))
    assert extras == known - {"dev", "bench", "docs", "interop"}
    for text in (INSTALL, *PAGES.values()):
        assert re.findall(r"pip install[^\n]*\"?snn[-_]gym(?!-\*\.whl)", text) == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_linked_file_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    folder = (ROOT / page).parent
    assert [link for link in links if link and not (folder / link).exists()] == []


def test_the_site_lists_every_page_of_the_guide():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for page in GUIDE:
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
    assert f"{len(spiking)} of its and sb3-contrib's algorithms" in OTHERS


def measured(timed, against):
    """Return a median of docs/speed.md."""
    line = rf"^\| {re.escape(timed)} \| {re.escape(against)} \| ([\d.]+) × "
    return float(re.search(line, SPEED, re.M)[1])


def test_speed_figures_equal_the_measurements():
    stepped, compiled = (
        [measured(f"acting, `{how}`, 64-64, T = 8, batch 1", best) for how in CALLS]
        for best in (
            "the best of Norse, SpikingJelly and snnTorch",
            "the best of the three under torch.compile",
        )
    )
    for how, fast, slower in zip(CALLS, stepped, compiled, strict=True):
        assert f"| `{how}` | {fast:.0f} times as fast | {slower:.1f} times as fast |" in OTHERS
    shown = " ".join(README.split())
    assert "acts {:.0f} to {:.0f} times faster".format(*sorted(stepped)) in shown
    assert "and {:.1f} to {:.1f} times faster than the best".format(*sorted(compiled)) in shown
    large = "acting, `predict`, 64-64, T = 8, batch 256"
    assert measured(large, "the best of the three under torch.compile") < 1.0
    assert "At batch size 256 their `predict` is faster under `torch.compile`" in shown
    stock, twin = (
        measured("PPO environment steps/s, ppo-lif", x) for x in ("MlpPolicy", "ppo-mlp")
    )
    frozen = [
        measured(
            f"frozen, lean agent, {size}, T = 8, batch 1",
            "its twin frozen, observations to outputs",
        )
        for size in ("64-64", "256-256")
    ]
    shown = " ".join(OTHERS.split())
    assert f"makes {stock - 1:.0%}".replace("%", " %") in shown
    assert f"({twin:.0%})".replace("%", " %") in shown
    assert f"at {frozen[0]:.0%} of the speed".replace("%", " %") in shown
    assert f"at {frozen[1]:.0%} with layers of 256".replace("%", " %") in shown


def test_what_the_comparisons_say_is_what_the_page_of_the_study_says():
    shown = " ".join(README.split())
    lines = re.findall(r"^\| (\S+-v\d) \| \d+ \| (.+?) \(pilot .*?\) \| (.+?) \|", PAYS, re.M)
    answers = {task: (means.split("; "), answer) for task, means, answer in lines}
    assert len(answers) == 8
    kinds = {
        "more than the smallest ANN on {}": "costs more: ",
        "same within 25 % on {}": "costs the same within 25 %: ",
        "less on {}": "costs less: ",
        "On {} it cannot be told": "cannot be told",
    }
    counted = [sum(x.startswith(kind) for _, x in answers.values()) for kind in kinds.values()]
    assert sum(counted) == 8
    for words, number in zip(kinds, counted, strict=True):
        assert words.format(number) in shown
    tested = re.compile(r"costs .*?: ([\d.]+) .*; p ([<=]) ([\d.]+)")
    ratios = [tested.match(x) for _, x in answers.values()]
    told = [float(x[1]) for x in ratios if x and (x[2] == "<" or float(x[3]) <= 0.05)]
    more = sum(x > 1 for x in told)
    assert f"costs more on {more} and less on {len(told) - more}" in shown
    rows = re.findall(r"^\| (\S+) \| ([\d.]+) \| ([\d.]+) \| (.+) \|$", README, re.M)
    assert len(rows) == 3
    for task, ann, spiking, ratio in rows:
        means, answer = answers[task]
        assert means == [ann, spiking]
        assert answer.partition(": ")[2].startswith(ratio)


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_small(page):
    folder = (ROOT / page).parent
    pictures = [folder / name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGES[page])]
    assert page != "README.md" or any(path.suffix == ".gif" for path in pictures)
    for path in pictures:
        assert path.stat().st_size <= 1_000_000, path
