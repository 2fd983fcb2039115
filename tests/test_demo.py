"""Tests of ``make demo``: its commands run, and its text is true."""

import re
import shlex
import subprocess

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.cli import main
from snn_gym.zoo import load_agent_spec

ROOT = checkout_root()
DEMO = "runs/demo"


@pytest.fixture(scope="module")
def lines():
    """Give the commands of `make demo`, without the installation."""
    told = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return told.stdout.splitlines()


@pytest.fixture(scope="module")
def commands(lines):
    return [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/snn-gym")]


@pytest.fixture(scope="module")
def told(lines):
    return [shlex.split(line)[-1] for line in lines if line.startswith("echo ")]


def test_demo_trains_a_spiking_agent_and_its_twin(commands):
    agents = [words[1] for words in commands if words[0] == "train"]
    assert agents[0] == "ppo-lif-dynamics"
    assert load_agent_spec(agents[0]).twin == agents[1]


@pytest.mark.check
def test_demo_prints_score_operations_and_written_files(
    commands, told, few_updates, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for words in commands:
        short = ["--steps", "512"] if words[0] == "train" else ["--episodes", "2"]
        assert main([*words, *short]) == 0, words
    out = capsys.readouterr().out
    counts = [f"{name} per decision" for name in ("Operations", "SynOps", "MACs")]
    for measure in ("return of each seed", *counts):
        assert re.search(rf"^{measure} +\S+ +\S+$", out, re.MULTILINE), measure
    (written,) = [line for line in told if line.startswith("Written: ")]
    named = re.findall(rf"{DEMO}/[\w./-]*\w", written)
    assert sorted(named) == sorted(
        str(path.relative_to(tmp_path)) for path in (tmp_path / DEMO).iterdir()
    )
    for line in told:
        if "snn-gym watch" in line or "snn-gym plot" in line:
            words = shlex.split(line)[1:]
            few = ["--max-steps", "2"] if words[0] == "watch" else []
            assert main([*words, *few]) == 0, line


def test_demo_suggests_next_commands(told):
    tried = [shlex.split(line)[1:] for line in told if line.strip().startswith("snn-gym ")]
    assert {"watch", "plot", "pretrained", "train"} <= {words[0] for words in tried}
