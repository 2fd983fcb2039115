"""README.md keeps its promises: every block runs, every command and file exists."""

import re
import shlex
import subprocess

import pytest

from snn_gym.cli import main
from snn_gym.content import checkout_root
from snn_gym.scoring import table_rows

ROOT = checkout_root()
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def shortened(text):
    """Cut training to a few steps and evaluation to a few episodes; all else runs as printed."""
    return text.replace("100_000", "300").replace("episodes=100", "episodes=2")


def test_the_readme_shows_the_three_uses():
    assert len(PYTHON) >= 3
    assert any(line.startswith("snn-gym verify") for line in SHELL)
    assert all(f"**{number}. " in README for number in (1, 2, 3))


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_a_python_block_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(shortened(block), "README.md", "exec"), {})  # noqa: S102 - our own README
    if "print(" in block:
        assert capsys.readouterr().out.strip()


def test_the_commands_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in SHELL:
        if not line.startswith("snn-gym "):
            continue
        words = shlex.split(line)[1:]
        if words[0] == "train":
            words += ["--steps", "300"]
        assert main(words) == 0, line
    assert "ppo-lif" in capsys.readouterr().out
    assert (tmp_path / "my-leaderboard" / "README.md").exists()


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make ([a-z-]+)", README)) - {"virtual"}
    assert {"demo", "test", "check", "check-all"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_linked_file_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert "leaderboard/RULES.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_names_every_folder_of_the_root():
    named = set(re.findall(r"^\| `([a-z_]+)/` \|", README, re.MULTILINE))
    listing = ["git", "ls-tree", "-d", "--name-only", "HEAD"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named == {folder for folder in tracked.split() if not folder.startswith(".")}
    assert all((ROOT / folder).is_dir() for folder in named)


def test_the_scores_of_native_tasks_are_those_of_the_results_table():
    shown = re.findall(r"^\| \[\w+\]\(envs/(\S+)\.md\) \| .+ \| (\S+) \|$", README, re.MULTILINE)
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


def test_its_pictures_are_small():
    pictures = [ROOT / name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)]
    assert any(path.suffix == ".gif" for path in pictures)
    for path in pictures:
        assert path.stat().st_size <= 1_000_000, path
