"""Tests of ``snn-gym train``: changed settings and output."""

import re
import sys

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

import snn_gym
from snn_gym.cli import main
from snn_gym.cli.options import parse_changes
from snn_gym.envs.stable_baselines import MOST_STEPS
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.training.logs import FIRST_SEED
from snn_gym.zoo import load_agent, read_manifest
from tests.cli.test_cli import refused

MINE = """
import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Mine(CartPoleEnv):
    def __init__(self, length=0.5, render_mode=None):
        super().__init__(render_mode=render_mode)
        self.length = length

gym.register("Mine-v0", Mine, max_episode_steps=50)
"""


@pytest.fixture
def in_folder(own_names, tmp_path, monkeypatch):
    """Work in a folder, and restore imported modules afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("mine"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["gamma=0.98"], {"gamma": 0.98}),
        (
            ["n=3", "on=true", "off=False", "none=None"],
            {"n": 3, "on": True, "off": False, "none": None},
        ),
        (["learning_rate=lin_0.001"], {"learning_rate": "lin_0.001"}),
        (["hidden_sizes=[32, 32]"], {"hidden_sizes": [32, 32]}),
        (["neuron = lif", 'x="a=b"'], {"neuron": "lif", "x": "a=b"}),
        (["a.b=1", "a.c.d=2"], {"a": {"b": 1, "c": {"d": 2}}}),
        (["empty="], {"empty": ""}),
    ],
)
def test_changes_are_read(texts, expected):
    assert parse_changes("--set", texts) == expected


@pytest.mark.parametrize("texts", [["gamma"], ["=1"], ["a..b=1"], [""]])
def test_malformed_set_options_are_refused(texts):
    with pytest.raises(ValueError, match=r"is not NAME=VALUE, such as --set gamma=0\.98"):
        parse_changes("--set", texts)


@pytest.mark.parametrize("texts", [["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"]])
def test_repeated_set_options_are_refused(texts):
    with pytest.raises(ValueError, match=r"--set gives .* twice"):
        parse_changes("--set", texts)


def test_a_custom_environment_is_trained_with_changed_settings(in_folder, capsys):
    (in_folder / "mine_env.py").write_text(MINE)
    words = "train ppo-lif Mine-v0 --module mine_env --steps 512 --no-progress --out run"
    words += " --env-arg length=0.25 --set gamma=0.9 --set n_envs=2 --set n_steps=64"
    words += " --network time_steps=4 --network hidden_sizes=[16] --eval-every 200"
    assert main(words.split()) == 0
    assert "was not tuned for Mine-v0" in capsys.readouterr().err
    model = load_agent("run")
    assert (model.gamma, model.n_envs, model.policy.network.time_steps) == (0.9, 2, 4)
    assert model.get_env().get_attr("unwrapped")[0].length == 0.25
    assert read_manifest("run").environment_kwargs == {"length": 0.25}
    assert read_manifest("run/best").environment_kwargs == {"length": 0.25}
    assert np.load("run/evaluations.npz")["timesteps"].tolist()[-1] == 512


@pytest.mark.check
def test_summary_has_score_folder_and_next_command(in_folder, capsys):
    (in_folder / "mine_env.py").write_text(MINE)
    modules = "--module mine_env --module json"
    words = f"train ppo-lif Mine-v0 {modules} --steps 256 --out my-run --eval-every 100"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    score = re.search(
        r"^score: mean return ([\d.]+) in 20 episodes on other seeds; ([\d,]+) operations a "
        r"decision \(([\d,]+) SynOps and ([\d,]+) MACs\)$", out, re.MULTILINE,
    )  # fmt: skip
    result = snn_gym.evaluate(
        load_agent("my-run"), "Mine-v0", seeds=range(FIRST_SEED, FIRST_SEED + 20)
    )
    assert float(score[1]) == pytest.approx(result.mean, abs=0.005)
    assert int(score[2].replace(",", "")) == round(result.operations_per_decision)
    assert int(score[3].replace(",", "")) == round(result.total("synops_per_decision"))
    places = re.findall(
        r"^(?:episodes|curves|best.*): (?:tensorboard --logdir )?(.*)$", out, re.MULTILINE
    )
    assert len(places) == 3
    assert all((in_folder / place).exists() for place in places)
    (command,) = re.findall(
        r"^next: snn-gym (.*?), or plot, evaluate or submit it$", out, re.MULTILINE
    )
    assert command == f"watch my-run {modules} --save film.gif"
    assert main([*command.split(), "--max-steps", "3"]) == 0
    assert (in_folder / "film.gif").exists()


def test_a_quiet_training_prints_only_its_settings_and_folder(in_folder, capsys):
    words = ["train", "ppo-mlp", "CartPole-v1", "--steps=256", "--no-progress", "--out=run"]
    assert main(words) == 0
    said = "training ppo-mlp on CartPole-v1: 256 steps, seed 0\ntrained 256 steps: run\n"
    assert capsys.readouterr() == (said, "")


@pytest.mark.check
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_unavailable_device_gives_one_warning(in_folder, capsys):
    words = "train ppo-mlp CartPole-v1 --steps 256 --set n_steps=32 --out run --device cuda"
    assert main(words.split()) == 0
    said = "snn-gym: device 'cuda' is not available here, so the CPU is used; "
    assert capsys.readouterr().err.count(said) == 1
    assert main(["evaluate", "run", "--episodes", "1", "--device", "cuda"]) == 0
    assert capsys.readouterr().err.count(said) == 1
    line = refused(capsys, "evaluate", "run", "--device", "gpu")
    assert "device 'gpu' is unknown to PyTorch; use cpu, cuda, cuda:1 or auto" in line


@pytest.mark.check
def test_a_run_is_gone_on_from(in_folder, capsys):
    words = "train ppo-lif CartPole-v1 --steps 256 --seed 3 --no-progress --set gamma=0.9"
    assert main([*words.split(), "--out", "first"]) == 0
    assert main(["train", "--from", "first", "--more-steps", "256", "--no-progress"]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines == [
        "training ppo-lif on CartPole-v1: 256 more steps, seed 3",
        "going on from first after 256 steps: all weights; optimisers begin anew; schedules go on "
        "as in one training of 512 steps",
        "trained 512 steps: runs/ppo-lif/CartPole-v1/3-512",
    ]
    saved = read_manifest("runs/ppo-lif/CartPole-v1/3-512")
    assert (saved.seed, saved.hyperparameters["gamma"]) == (3, 0.9)
    assert saved.parent_sha256 == read_manifest("first").weights_sha256
    assert main(["evaluate", "runs/ppo-lif/CartPole-v1/3-512", "--episodes", "2"]) == 0
    assert "lean" not in capsys.readouterr().out


@pytest.mark.check
def test_a_pretrained_agent_is_gone_on_from(in_folder, capsys):
    words = "train --from ppo-lif CartPole-v1 --more-steps 256 --seed 9 --progress --out run"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    row = snn_gym.load_pretrained("ppo-lif", "CartPole-v1")
    assert (
        f"from ppo-lif after {row.num_timesteps:,} steps: acting weights; critics and optimisers "
        "begin anew;"
    ) in out
    recipe = read_manifest("run").recipe
    assert (recipe.parent.steps, recipe.steps) == (row.num_timesteps, 256)


def test_a_network_made_by_hand_needs_an_agent(in_folder, capsys):
    network = {"hidden_sizes": [8], "time_steps": 2}
    model = PPO(
        SpikingActorCriticPolicy, "CartPole-v1", n_steps=64, policy_kwargs={"network": network}
    )
    snn_gym.save_agent(model.learn(64), "mine")
    line = refused(capsys, "train", "--from", "mine", "--more-steps", "64")
    assert "mine holds a model made by hand" in line
    line = refused(capsys, *["train", "ppo-lif", "CartPole-v1", "--from", "mine", "--steps", "64"])
    assert "the agent to go on from, as ppo-lif on CartPole-v1" in line


ENDLESS = """
import gymnasium as gym
from gymnasium.envs.classic_control import PendulumEnv

gym.register("Endless-v0", PendulumEnv)
"""


@pytest.mark.check
def test_several_seeds_are_trained_resumed_and_compared(in_folder, capsys):
    (in_folder / "mine_env.py").write_text(MINE)
    small = ["--steps=64", "--set=n_envs=1", "--set=n_steps=64", "--set=batch_size=64"]
    words = ["Mine-v0", "--module=mine_env", "--no-progress", *small]
    assert main(["train", "ppo-mlp", *words, "--seed=3", "--out=single"]) == 0
    assert main(["train", "ppo-mlp", *words, "--seeds=0,3", "--out=own"]) == 0
    assert main(["train", "ppo-mlp", *words, "--seeds=0-2, 3", "--out=own", "--resume"]) == 0
    said = capsys.readouterr().out
    assert said.count("nothing to do") == 2
    alone, among = (read_manifest(in_folder / run) for run in ("single", "own/3"))
    assert alone.weights_sha256 == among.weights_sha256
    seeds = [read_manifest(in_folder / "own" / str(seed)).seed for seed in range(4)]
    assert seeds == [0, 1, 2, 3]
    for agent in ("ppo-lif", "ppo-mlp"):
        assert main(["train", agent, *words, "--seeds=0-2"]) == 0
    assert sorted(x.name for x in (in_folder / "runs/ppo-lif/Mine-v0").iterdir()) == ["0", "1", "2"]
    capsys.readouterr()
    folders = ["runs/ppo-lif", "runs/ppo-mlp"]
    assert main(["compare", *folders, "--module=mine_env", "--episodes=2"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^Mine-v0 +runs/ppo-lif +runs/ppo-mlp$", out, re.MULTILINE)
    assert re.search(r"^mean return +[\d.]+ +[\d.]+$", out, re.MULTILINE)
    assert "too few to test: 3 and 3 seeds" in out


@pytest.mark.slow
def test_a_training_in_an_environment_without_an_end_is_scored(in_folder, capsys):
    (in_folder / "mine_endless.py").write_text(ENDLESS)
    words = ["Endless-v0", "--module=mine_endless", "--steps=256", "--eval-every=256"]
    assert main(["train", "ppo-mlp", *words, "--out=run", "--progress"]) == 0
    said = capsys.readouterr()
    assert "score: mean return -" in said.out
    assert f"did not end within {MOST_STEPS:,} steps and were cut there; raise" in said.err
    assert np.load("run/evaluations.npz")["ep_lengths"].tolist() == [[MOST_STEPS] * 20]
