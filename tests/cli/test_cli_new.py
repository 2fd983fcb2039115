"""Tests of ``snn-gym new``: the new files train, save and load."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from snn_gym.cli import main
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.zoo import load_agent, read_manifest
from tests.cli.test_cli import refused

MADE = {"agent": "my-agent", "env": "Corridor", "neuron": "my_neuron"}
FILES = {"agent": "my_agent.py", "env": "corridor.py", "neuron": "my_neuron.py"}


@pytest.fixture
def in_folder(own_names, tmp_path, monkeypatch):
    """Work in a folder, and forget its modules afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    yield tmp_path
    for file in FILES.values():
        sys.modules.pop(file.removesuffix(".py"), None)


def write(kind, capsys):
    """Write a file; return the command that the output suggests."""
    capsys.readouterr()
    assert main(["new", kind, MADE[kind]]) == 0
    written, following = capsys.readouterr().out.splitlines()
    assert written == f"written: {FILES[kind]}"
    return shlex.split(following.removeprefix("next: snn-gym "))


@pytest.mark.check
@pytest.mark.parametrize("kind", MADE)
def test_new_files_train_save_and_load(kind, in_folder, capsys):
    command = write(kind, capsys)
    command = [word for word in command if word not in ("--steps", "50000")]
    assert main([*command, "--steps", "256", "--no-progress", "--out", "run"]) == 0
    manifest, model = read_manifest("run"), load_agent("run")
    network = model.policy.network
    if kind == "agent":
        assert (manifest.agent, network.hidden_sizes, network.time_steps) == ("my-agent", (32,), 4)
        assert model.learning_rate(1.0) == 0.002
    elif kind == "env":
        assert (manifest.environment, manifest.environment_kwargs) == (
            "Corridor-v0",
            {"length": 2.0},
        )
    else:
        assert network.neuron == "my_neuron"
        assert main(["plot", "run", "--format", "svg"]) == 0
        assert (
            "Spikes of ppo-lif of neuron my_neuron on " in Path("run/plots/raster.svg").read_text()
        )
    assert main(["watch", "run", "--save", "film.gif", "--max-steps", "2"]) == 0
    assert (in_folder / "film.gif").exists()


def test_new_environment_passes_gymnasiums_checker(in_folder, capsys):
    write("env", capsys)
    importlib.import_module("corridor")
    env = gym.make("Corridor-v0", render_mode="rgb_array", length=2.0)
    check_env(env.unwrapped, skip_render_check=False)
    # Walking towards the goal takes as many steps as its distance.
    observation, _ = env.reset(seed=3)
    distance, steps, ended = abs(observation[0]), 0, False
    while not ended:
        observation, reward, ended, _, _ = env.step(int(observation[0] > 0))
        assert reward == -1.0
        steps += 1
    assert steps == max(1, -(-(distance - 0.1) // 0.1))


def test_neuron_equals_norses_lif_box(in_folder, capsys):
    write("neuron", capsys)
    importlib.import_module("my_neuron")
    outputs = []
    for neuron in ("my_neuron", "lif_box"):
        torch.manual_seed(0)
        config = NetworkConfig(hidden_sizes=(16, 16), time_steps=12, neuron=neuron, backend="norse")
        if neuron == "my_neuron":
            config = NetworkConfig(hidden_sizes=(16, 16), time_steps=12, neuron=neuron)
        recording = SpikingNetwork(config, 4, 2).record(torch.randn(32, 4) * 3)
        outputs.append([layer.spikes for layer in recording.layers])
    assert outputs[0][0].sum() > 100
    for mine, norse in zip(*outputs, strict=True):
        assert torch.equal(mine, norse)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("agent ppo-lif", "the zoo has an agent 'ppo-lif' already; take another name"),
        (
            "agent My-Agent",
            "the name of an agent is small letters, digits and hyphens, such as my-",
        ),
        ("agent 1", "'1' can't be imported as a module; take another name"),
        ("env corridor", "the name of an environment is a word with a capital, such as Corridor"),
        ("env Random", "a module 'random' is installed already, which random.py would hide"),
        ("neuron class", "'class' can't be imported as a module; take another name"),
        ("neuron ../x", "the name of a neuron is small letters, digits and underscores, such as"),
        ("thing x", "'thing' is not one of 'agent', 'env', 'neuron'"),
        ("agent", "Missing argument 'name'"),
    ],
)
def test_invalid_arguments_write_no_file(words, message, in_folder, capsys):
    assert message in refused(capsys, "new", *words.split())
    assert list(in_folder.iterdir()) == []


def test_existing_files_are_not_overwritten(in_folder, capsys):
    (in_folder / "my_agent.py").write_text("mine")
    assert "my_agent.py is there already" in refused(capsys, "new", "agent", "my-agent")
    assert (in_folder / "my_agent.py").read_text() == "mine"


def test_given_version_is_used_and_words_are_split(in_folder, capsys):
    assert main(["new", "env", "TwoRooms-v3"]) == 0
    text = (in_folder / "two_rooms.py").read_text()
    assert re.search(r'^gym\.register\("TwoRooms-v3", TwoRooms, ', text, re.MULTILINE)
