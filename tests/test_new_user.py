"""A new user's second hour, by the command line as he types it: every step ends with status 0."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snn_gym.leaderboard.results import list_rows

pytestmark = pytest.mark.slow

OWN = '''
import gymnasium as gym
import numpy as np
import snn_gym
from gymnasium import spaces
from torch import nn


class Side(gym.Env):
    """Say on which side a light is: plain numbers, an image, or a Dict of both."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, view="plain", render_mode=None):
        self.view, self.render_mode = view, render_mode
        plain = spaces.Box(-1.0, 1.0, (2,), np.float32)
        image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        self.observation_space = {
            "plain": plain, "image": image, "dict": spaces.Dict({"image": image, "plain": plain}),
        }[view]
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.see(), {}

    def see(self):
        self.side = int(self.np_random.integers(2))
        plain = np.array([2 * self.side - 1, self.np_random.uniform(-1, 1)], np.float32)
        image = np.zeros((36, 36, 1), np.uint8)
        image[:, 18 * self.side : 18 * self.side + 18] = 200
        return {"plain": plain, "image": image, "dict": {"image": image, "plain": plain}}[self.view]

    def step(self, action):
        self.steps += 1
        reward = float(action == self.side)
        return self.see(), reward, False, self.steps >= 20, {}

    def render(self):
        image = np.full((40, 40, 3), 255, np.uint8)
        image[:, 20 * self.side : 20 * self.side + 20] = 0
        return image


for name in ("Plain", "Image", "Dict"):
    gym.register(f"own/{name}-v0", Side, kwargs={"view": name.lower()})


def network():
    """A torch module of one's own: two layers of snn_gym's neurons in a chain."""
    import norse.torch as norse
    import torch

    fast = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), alpha=torch.tensor(5.0))
    return norse.SequentialState(nn.Linear(2, 16), norse.LIFBoxCell(fast), nn.Linear(16, 2))
'''

MODULE = """
import own
import snn_gym
from snn_gym.zoo import from_module
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import ModuleConfig
from stable_baselines3 import PPO

model = PPO(
    SpikingActorCriticPolicy, "own/Plain-v0", n_steps=256, seed=0, device="cpu",
    policy_kwargs={"network": ModuleConfig(own.network(), time_steps=4)},
).learn(16_384)
converted = from_module(model)
snn_gym.save_agent(converted, "runs/module")
print(snn_gym.evaluate(snn_gym.load_agent("runs/module"), "own/Plain-v0", episodes=10).mean)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a user's folder with a module of his own."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    (folder / "module.py").write_text(MODULE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def step(home):
    """Return a function that runs a command line in the folder and returns its output."""

    def run(*words):
        began = time.monotonic()
        program = [str(Path(sys.executable).with_name(words[0]))]
        path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        done = subprocess.run(
            [*program, *words[1:]], cwd=home, capture_output=True, text=True, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        )  # fmt: skip
        print(f"{time.monotonic() - began:6.1f} s  {' '.join(words)}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


OWN_TASK = "--module", "own"


def test_five_seeds_of_two_agents_are_trained_and_compared(step, home):
    for agent in ("ppo-lif", "ppo-mlp"):
        words = step(
            "snn-gym", "train", agent, "own/Plain-v0", *OWN_TASK, "--seeds", "0-4", "--steps",
            "8192", "--out", f"runs/{agent}",
        )  # fmt: skip
        assert words.count("trained 8,192 steps") == 5
    found = step("snn-gym", "compare", "runs/ppo-lif", "runs/ppo-mlp", *OWN_TASK)
    assert "ppo-lif" in found
    assert "ppo-mlp" in found
    step("snn-gym", "watch", "runs/ppo-lif/0", *OWN_TASK, "--save", "film.gif")
    assert (home / "film.gif").stat().st_size > 10_000


@pytest.mark.parametrize("view", ["Image", "Dict"])
def test_an_environment_of_images_or_of_a_dict_trains_and_is_evaluated(step, view):
    env = f"own/{view}-v0"
    step("snn-gym", "train", "ppo-lif", env, *OWN_TASK, "--steps", "4096", "--out", f"runs/{view}")
    assert "mean" in step("snn-gym", "evaluate", f"runs/{view}", *OWN_TASK)


def test_a_neuron_of_ones_own_trains(step, home):
    step("snn-gym", "new", "neuron", "mine")
    (file,) = home.glob("mine*.py")
    step(
        "snn-gym", "train", "ppo-lif", "own/Plain-v0", *OWN_TASK, "--module", file.stem,
        "--network", "neuron=mine", "--steps", "4096", "--out", "runs/neuron",
    )  # fmt: skip
    words = step("snn-gym", "evaluate", "runs/neuron", *OWN_TASK, "--module", file.stem)
    assert "mean" in words


def test_a_torch_module_of_ones_own_trains_converts_and_is_saved(step, home):
    assert float(step("python", "module.py").splitlines()[-1]) > 10
    assert (home / "runs/module/manifest.json").exists()


def test_a_run_is_submitted_verified_and_stands_in_a_table(step, home):
    run, folder, board = "runs/cartpole", "submissions/cartpole", "my-leaderboard"
    step("snn-gym", "train", "ppo-lif", "CartPole-v1", "--seed", "7", "--out", run)
    step("snn-gym", "submit", run, "--out", folder)
    step("snn-gym", "verify", folder, "--leaderboard", board)
    assert "| ppo-lif |" in step("snn-gym", "table", "--leaderboard", board)
    (row,) = list_rows(home / board)
    assert (row.agent, row.environment, row.seed) == ("ppo-lif", "CartPole-v1", 7)
