"""Tests of tab completion: a shell's words in, names out, without anything slow."""

import os
import subprocess
import sys

import pytest

from snn_gym.zoo import agent_ids

CODE = (
    "import sys, atexit; from snn_gym.cli import main;"
    "atexit.register(lambda: print([x for x in ('torch', 'stable_baselines3', 'numba') "
    "if x in sys.modules], file=sys.stderr)); main([])"
)


def completed(words, folder=None):
    """Return what bash would show at the end of the words, and slow modules that were loaded."""
    variables = {
        "_SNN_GYM_COMPLETE": "complete_bash",
        "COMP_WORDS": f"snn-gym {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **variables}, cwd=folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split(), done.stderr.strip()


@pytest.mark.parametrize("words", ["train ppo-", "watch ppo-", "compare ppo-mlp ppo-"])
def test_agents_are_completed_without_loading_torch(words):
    names, slow = completed(words)
    assert names == [name for name in agent_ids() if name.startswith("ppo-")]
    assert slow == "[]"


@pytest.mark.parametrize("words", ["train ppo-lif CartP", "pretrained --env CartP"])
def test_environments_are_completed(words):
    assert completed(words) == (["CartPole-v0", "CartPole-v1"], "[]")
    assert completed(words.replace("CartP", "snn/CartP"))[0] == [
        "snn/CartPole-flat-v1",
        "snn/CartPole-v1",
    ]


def test_folders_of_runs_are_completed(tmp_path):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "file").touch()
    assert completed("watch runs/f", tmp_path)[0] == ["runs/first/"]
