"""Agents of a pull request: a file that nobody has read yet fills no memory."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from snn_gym._base.config import to_mapping
from snn_gym._base.folders import checkout_root
from snn_gym._base.storage import dump_tensors
from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES
from snn_gym.leaderboard.limited_process import MAX_PARAMETERS
from snn_gym.leaderboard.manifest import Manifest
from snn_gym.zoo.recipe import Recipe, processor
from tests.leaderboard.test_table import make_row

ROOT = checkout_root()
MEMORY_BYTES = 8 << 30
RECIPE = Recipe(
    steps=100_000,
    checkpoint_interval=10_000,
    versions={},
    processor=processor(),
    numerics="portable",
)
SIZES = {"ppo-lif-huge": [100_000, 100_000], "ppo-lif-large": [5_000, 5_000]}
AGENT = """
name = "{name}"
parent = "ppo-lif"
description = "A network that is too large."

[network]
hidden_sizes = {sizes}
"""
WEIGHTS = dump_tensors({"weight": np.zeros(1, np.float32)})
STEERING = "a\x1b[2J\n::error::stolen"


@pytest.fixture
def checkout(tmp_path):
    assert ROOT is not None
    for name in ("snn_gym", "agents", "envs", ".ci"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "leaderboard").mkdir()
    returns = (0.0,) * OFFICIAL_EPISODES
    for agent, sizes in SIZES.items():
        (tmp_path / "agents" / agent).mkdir()
        text = AGENT.format(name=agent, sizes=sizes)
        (tmp_path / "agents" / agent / "agent.toml").write_text(text)
        sha256 = hashlib.sha256(WEIGHTS).hexdigest()
        row = to_mapping(make_row(agent, returns=returns, recipe=RECIPE, weights_sha256=sha256))
        folder = tmp_path / "submissions" / agent
        folder.mkdir(parents=True)
        manifest = {field.name: row[field.name] for field in fields(Manifest)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "weights.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "submissions" / STEERING).mkdir()
    return tmp_path


@pytest.mark.slow
def test_a_network_that_is_too_large_is_built_by_no_more_than_a_limited_process(checkout):
    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    tools = Path(sys.executable).parent
    done = subprocess.run(
        [checkout / ".ci" / "submissions", "scratch"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "PATH": f"{tools}:{os.environ['PATH']}"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "submissions refused: 3\n"), done.stderr
    steering, huge, large = done.stderr.splitlines()
    assert steering.startswith("snn-gym: submissions/a?[2J ::error::stolen")
    assert "[missing-file]" in steering
    assert "ppo-lif-huge on CartPole-v1 can't be" in huge
    assert f"expected at most {MAX_PARAMETERS:,} parameters" in huge
    assert "has 50,075,011 parameters" in large
    assert all(line.endswith("[architecture]") for line in (huge, large))
