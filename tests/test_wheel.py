"""Test of the wheel in an empty environment of every supported Python, without a checkout.

    python -m pytest -m slow tests/test_wheel.py

It installs all dependencies, with PyTorch: gigabytes and minutes for each Python.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest

from tests.packages import build
from tests.readme import PAGES, ROOT, blocks, commands, shortened

pytestmark = pytest.mark.slow

CLASSIFIERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
VERSIONS = [x.split()[-1] for x in CLASSIFIERS if "Python :: 3." in x]
AGENTS = "docs/guide/agents.md"
NO_CHECKOUT = "import snn_gym._base.folders; assert snn_gym._base.folders.checkout_root() is None"
USES = [
    ("python", "-c", NO_CHECKOUT),
    *(("python", "-c", shortened(block)) for block in blocks(PAGES["README.md"], "python")),
    *(("snn-gym", *words) for page in ("README.md", AGENTS) for words in commands(PAGES[page])),
]
"""The three uses of the README, and the commands of the guide, an agent of one's own among them."""


def find_python(version):
    """Return a Python that can make environments, from the path or pyenv, or None."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for found in (shutil.which(f"python{version}"), *kept):
        asked = [found, "-c", "import ensurepip, venv"]
        if found and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return found
    return None


def run(folder, *words, cwd=None):
    """Run a program of the environment in the folder, isolated from the tests."""
    mine = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in mine}
    command = [str(folder / "venv" / "bin" / words[0]), *words[1:]]
    return subprocess.run(
        command, cwd=cwd or folder, env=environment, capture_output=True, text=True, check=False
    )


def install(folder, python):
    """Make an environment with the wheel; skip the test without a network."""
    subprocess.run([python, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
    probe = run(folder, "pip", "download", "--quiet", "--no-deps", "--dest", "probe", "typer")
    if probe.returncode:
        pytest.skip(f"pip can't fetch anything: {probe.stderr.strip().splitlines()[-1]}")
    told = shlex.split(os.environ.get("PIP_ARGS", ""))  # as make was
    wheel = build("wheel", ROOT, folder)
    done = run(folder, "pip", "install", "--quiet", *told, str(wheel), cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_wheel_runs_the_readme_and_the_guide_of_agents(version):
    python = find_python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} that can make environments on this machine")
    # Not pytest's own folder, which it would keep.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder, python)
        for words in USES:
            done = run(folder, *words)
            assert done.returncode == 0, (words, done.stderr)
            assert done.stderr == "" or words[1] == "train", (words, done.stderr)
        assert (folder / "film.gif").read_bytes()[:6] == b"GIF89a"
        assert (folder / "my-leaderboard" / "README.md").exists()
