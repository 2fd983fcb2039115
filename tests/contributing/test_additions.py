"""CONTRIBUTING's table holds: each addition is a few new lines, and then trains, saves and loads.

A folder here holds the files of one addition: a module of somebody else's package, or files at
their places in the repository. They are laid over a copy of it; nothing that exists is edited.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snn_gym._base import folders
from snn_gym._base.folders import checkout_root
from snn_gym._base.numerics import PORTABLE
from snn_gym.zoo import load_agent_spec

ROOT, HERE = checkout_root(), Path(__file__).parent
COPIED = ("snn_gym", "agents", "envs")
CARTPOLE = "CartPole-v1"
SHORT = "n_steps=16, batch_size=64, n_epochs=2"

ADDITIONS = {
    # Module to import, agent, environment, and further arguments of make_agent
    "neuron": ("quadratic", "ppo-lif", CARTPOLE, f"network={{'neuron': 'qif'}}, {SHORT}"),
    "encoder": ("bits", "ppo-lif", CARTPOLE, f"network={{'encoder': 'bits'}}, {SHORT}"),
    "algorithm": ("cautious", "ppo-lif-cautious", CARTPOLE, SHORT),
    "agent": ("snn_gym", "ppo-lif-wide", CARTPOLE, SHORT),
    "image": ("snn_gym", "ppo-lif-pixel", "snn/LitPixel-v0", ""),
    "task": ("snn_gym", "recurrent-ppo-lsnn", "snn/SideReport-v0", ""),
}
PACKAGED = ("image", "task")
"""Additions whose environments are there once the package is imported anew."""
MOST_LINES = {"neuron": 30, "encoder": 25, "algorithm": 50, "agent": 10, "image": 60, "task": 100}

TRAINED = """
import {module}
import snn_gym
from snn_gym.cli import main

model = snn_gym.make_agent("{agent}", "{env_id}", {arguments})
first = [weight.clone() for weight in model.policy.parameters()]
model.learn(2 * model.n_steps * model.n_envs)
assert any((old != new).any() for old, new in zip(first, model.policy.parameters()))
snn_gym.save_agent(model, "saved")
loaded = snn_gym.load_agent("saved")
assert type(loaded) is type(model)
played = [snn_gym.evaluate(x, "{env_id}", episodes=2) for x in (model, loaded)]
assert played[0] == played[1]
assert main(["evaluate", "saved", "--episodes", "1", "--module", "{module}"]) == 0
{more}
"""
MORE = {
    "encoder": (
        "import gymnasium as gym\n"
        "env = gym.make('snn/CartPole-v1', encoder='bits', time_steps=4)\n"
        "spikes, info = env.reset(seed=0)\n"
        "assert spikes.shape == (4, 4)\n"
        "shares = (spikes * [[8], [4], [2], [1]]).sum(axis=0) / 16\n"
        # Angles of up to 0.05 of 0.2095 rad are within 0.12 of the middle, and 4 digits cut off.
        "assert (abs(shares - 0.5) <= 0.12 + 1 / 16).all(), shares\n"
    ),
    "algorithm": "assert model.caution == 0.2\n",
    "image": (
        "words = [['train', '{agent}', '{env_id}', '--out', 'run', '--no-progress']]\n"
        "words += [['submit', 'run'], ['verify', 'run/submission', '--retrain']]\n"
        "words[-1] += ['--leaderboard', 'board']\n"
        "assert [main(command) for command in words] == [0, 0, 0]\n"
        "from pathlib import Path\n"
        "from snn_gym.leaderboard.results import list_rows\n"
        "(row,) = list_rows(Path('board'))\n"
        "assert (row.agent, row.environment, row.seed) == ('{agent}', '{env_id}', 0)\n"
    ),
    "task": (
        "import gymnasium as gym\n"
        "from gymnasium.utils.env_checker import check_env\n"
        "check_env(gym.make('snn/SideReport-v0').unwrapped, skip_render_check=True)\n"
        "env = gym.make('snn/SideReport-v0')\n"
        "_, info = env.reset(seed=0)\n"
        "assert sum(env.step(info['side'])[1] for _ in range(4)) == 4.0\n"
    ),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what runs: the engine, the agents and the environments."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return folder


def files(name):
    """Return the files of an addition, relative to its folder."""
    folder = HERE / name
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [path.relative_to(folder) for path in paths]


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_is_a_few_new_lines(name):
    assert [path for path in files(name) if (ROOT / path).exists()] == []
    lines = sum(bool(line.strip()) for path in files(name) for line in (HERE / name / path).open())
    assert lines <= MOST_LINES[name]


def script_of(name):
    module, agent, env_id, arguments = ADDITIONS[name]
    return TRAINED.format(
        module=module, agent=agent, env_id=env_id, arguments=arguments,
        more=MORE.get(name, "").format(agent=agent, env_id=env_id),
    )  # fmt: skip


@pytest.mark.check
@pytest.mark.parametrize("name", [name for name in ADDITIONS if name not in PACKAGED])
def test_an_addition_is_trained_saved_and_loaded(name, own_names, tmp_path, monkeypatch):
    """In this process, whose package finds its files in the copy."""
    for folder in ("agents", "envs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(HERE / name, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(folders, "_PACKAGE", tmp_path / "snn_gym")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    load_agent_spec.cache_clear()
    try:
        exec(compile(script_of(name), name, "exec"), {})  # noqa: S102 - our own, above
    finally:
        for path in tmp_path.glob("*.py"):
            sys.modules.pop(path.stem, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDITIONS)
def test_a_copy_with_an_addition_trains_saves_and_loads_it(name, checkout, tmp_path):
    shutil.copytree(HERE / name, checkout, dirs_exist_ok=True)
    environment = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", **PORTABLE}
    done = subprocess.run(
        [sys.executable, "-c", script_of(name)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_table_of_contributing_has_a_line_for_each():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    missing = [name for name in ADDITIONS if f"(tests/contributing/{name}/" not in text]
    assert missing == []
