"""Runs and saved agents of strangers: what they name and hold fills no memory and opens no file."""

import io
import json
import os
import shutil
import zipfile
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import FlattenExtractor

import snn_gym
from snn_gym.plots.run import plot_run, read_evaluations
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.training import train
from snn_gym.training.logs import EVALUATIONS_FILE, read_episodes, read_evaluation_log, seconds_at
from snn_gym.training.run import EPISODES_FILE, open_parent
from tests.edits import edit_json
from tests.policies.identity import refused
from tests.training._runs import run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    run("ppo-lif", folder, steps=256, network={"hidden_sizes": [8]})
    return folder


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


# ---- arguments that are paths --------------------------------------------------------------------
class OpensItsArgument(gym.Env):
    """CartPole's spaces; opens a file that its argument names, as MuJoCo's tasks do."""

    opened: ClassVar[list] = []

    def __init__(self, model="pole.xml", mode="slow", render_mode=None):
        self.opened.append(model)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (4,))
        self.action_space = gym.spaces.Discrete(2)
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action):
        return np.zeros(4, np.float32), 1.0, True, False, {}


@pytest.fixture
def opener(own_names):
    gym.register("Opens-v0", OpensItsArgument)
    OpensItsArgument.opened.clear()
    return "Opens-v0"


PATHS = ["/dev/zero", "../pole.xml", "./pole", "~/pole.xml", "models/pole.xml", "models\\pole"]


@pytest.fixture
def opening(opener, tmp_path):
    model = snn_gym.make_agent("ppo-mlp", opener, env_kwargs={"model": "other.xml"})
    folder = snn_gym.save_agent(model, tmp_path / "opening")
    OpensItsArgument.opened.clear()
    return folder


@pytest.mark.parametrize("value", [*PATHS, [[PATHS[0]]], {"a": {PATHS[1]: 1}}])
def test_a_manifest_has_no_path_opened(value, opening):
    edit_json(opening / "manifest.json", environment_kwargs={"model": value})
    with pytest.raises(gym.error.Error, match="with a path among its arguments"):
        snn_gym.load_agent(opening)
    assert OpensItsArgument.opened == []
    env = OpensItsArgument("mine")
    assert snn_gym.load_agent(opening, env=env).get_env().envs[0].unwrapped is env


def test_arguments_that_are_no_paths_are_used(opening):
    arguments = {"model": "other.xml", "mode": "snn/CartPole-v1"}
    edit_json(opening / "manifest.json", environment_kwargs=arguments)
    snn_gym.load_agent(opening)
    assert set(OpensItsArgument.opened) == {"other.xml"}


def test_an_agent_of_an_environment_with_a_path_is_saved_for_that_object(opener, tmp_path):
    env = gym.make(opener, model="/my/robot.xml")
    model = snn_gym.make_agent("ppo-mlp", env)
    folder = snn_gym.save_agent(model, tmp_path / "agent")
    with pytest.raises(gym.error.Error, match=r"load_agent\(path, env="):
        snn_gym.load_agent(folder)
    loaded = snn_gym.load_agent(folder, env=env)
    seen = np.ones((3, 4), np.float32)
    assert (loaded.predict(seen, deterministic=True)[0] == model.predict(
        seen, deterministic=True)[0]).all()  # fmt: skip


def test_a_training_with_a_path_is_refused_before_its_first_step(opener, tmp_path):
    arguments = {"environment_kwargs": {"model": "/my/robot.xml"}, "steps": 64}
    with refused(r"has the path ./my/robot.xml..*register an id"):
        train("ppo-mlp", opener, out=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_a_run_has_no_path_opened(opener, copy):
    content = json.loads((copy / "run.json").read_text())
    edit_json(
        copy / "run.json",
        **{**content, "environment": opener, "environment_kwargs": {"model": "/x"}},
    )
    with refused(r"has the path ./x."):
        plot_run(copy)
    assert OpensItsArgument.opened == []


class OpensItsFile(FlattenExtractor):
    """Opens a file that its argument names, as an extractor with weights of its own does."""

    opened: ClassVar[list] = []

    def __init__(self, observation_space, weights="mine"):
        self.opened.append(weights)
        super().__init__(observation_space)


@pytest.fixture
def own_extractor(own_names):
    snn_gym.register_extractor("OpensItsFile", OpensItsFile)
    OpensItsFile.opened.clear()
    return {"features_extractor_class": "OpensItsFile", "features_extractor_kwargs": {}}


@pytest.mark.parametrize("name", ["manifest.json", "run.json"])
def test_an_extractor_has_no_path_opened(name, own_extractor, copy):
    own_extractor["features_extractor_kwargs"] = {"weights": "/dev/zero"}
    content = json.loads((copy / name).read_text())
    place = content if name == "manifest.json" else content["settings"]
    place["policy_kwargs"] |= own_extractor
    edit_json(copy / name, **content)
    if name == "run.json":
        (copy / "manifest.json").unlink()
        (copy / "checkpoint.safetensors").touch()
    with refused("policy_kwargs has the path ./dev/zero"):
        open_parent(copy)
    assert OpensItsFile.opened == []


def test_an_extractor_without_a_path_is_saved_and_loaded(own_extractor, tmp_path):
    policy_kwargs = {**own_extractor, "features_extractor_kwargs": {"weights": "other"}}
    model = PPO(SpikingActorCriticPolicy, "CartPole-v1", policy_kwargs=policy_kwargs)
    folder = snn_gym.save_agent(model, tmp_path / "agent")
    OpensItsFile.opened.clear()
    snn_gym.load_agent(folder)
    assert set(OpensItsFile.opened) == {"other"}


# ---- sizes ---------------------------------------------------------------------------------------
def change_network(folder, **changes):
    arguments = json.loads((folder / "manifest.json").read_text())["policy_kwargs"]
    network = {**arguments["network"], **changes}
    edit_json(folder / "manifest.json", policy_kwargs={**arguments, "network": network})


@pytest.mark.parametrize("sizes", [[2000, 2000], [40_000_000], [64] * 300])
def test_a_network_larger_than_its_weights_is_not_built(sizes, copy):
    change_network(copy, hidden_sizes=sizes)
    with refused(r"manifest\.json asks for a network with many more numbers than"):
        snn_gym.load_agent(copy)


def test_a_critic_larger_than_its_weights_is_not_built(copy):
    arguments = json.loads((copy / "manifest.json").read_text())["policy_kwargs"]
    edit_json(
        copy / "manifest.json", policy_kwargs={**arguments, "critic_hidden_sizes": [3000] * 3}
    )
    with refused("many more numbers than"):
        snn_gym.load_agent(copy)


@pytest.mark.parametrize("name", ["manifest.json", "run.json"])
def test_copies_of_an_environment_have_a_limit(name, copy):
    content = json.loads((copy / name).read_text())
    place = content if name == "manifest.json" else content["settings"]
    place["hyperparameters"]["n_envs"] = 65_536  # took 44 s and 1.2 GB
    edit_json(copy / name, **content)
    if name == "run.json":
        (copy / "manifest.json").unlink()
        (copy / "checkpoint.safetensors").touch()
    with refused("n_envs must be at least 1 and at most 8192"):
        open_parent(copy)


@pytest.mark.parametrize("steps", [10_001, 10**9])
def test_time_steps_have_a_limit_everywhere(steps, copy):
    change_network(copy, time_steps=steps)
    with refused("time_steps must be at most 10000"):
        snn_gym.load_agent(copy)
    for env_id in ("snn/CartPole-v1", "snn/CueAccumulation-v0"):
        with pytest.raises(ValueError, match=r"time_steps must be .*10000"):
            gym.make(env_id, time_steps=steps)


# ---- logs ----------------------------------------------------------------------------------------
ROWS = "timestep,return,length\n20,-1.5,20\n"


def in_place_of(path, kind, elsewhere):
    """Put something else than a regular file of its own in place of a log; return what there is."""
    content = path.read_bytes() if path.exists() else ROWS.encode()
    path.unlink(missing_ok=True)
    elsewhere.write_bytes(content)
    {
        "link": lambda: path.symlink_to(elsewhere),
        "hard link": lambda: path.hardlink_to(elsewhere),
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()


KINDS = ["link", "hard link", "pipe", "device"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [EPISODES_FILE, EVALUATIONS_FILE, "tb/events.out.tfevents.1"])
def test_logs_are_regular_files(name, kind, tmp_path):
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    in_place_of(path, kind, tmp_path / "elsewhere")
    if name.startswith("tb/"):
        assert seconds_at(tmp_path / "run", np.array([1.0])) is None  # as without a log
        return
    read = {EPISODES_FILE: read_episodes, EVALUATIONS_FILE: read_evaluation_log}[name]
    with pytest.raises(ValueError, match=r"link|pipe"):
        read(path)


def test_a_linked_folder_that_the_user_names_is_read(trained, tmp_path):
    (tmp_path / "mine").symlink_to(trained)
    assert len(read_episodes(tmp_path / "mine" / EPISODES_FILE)[0])
    assert snn_gym.load_agent(tmp_path / "mine").num_timesteps == 256


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_returns_that_are_no_numbers_are_refused(value, tmp_path):
    path = tmp_path / EPISODES_FILE
    path.write_text(f"{ROWS}40,{value},20\n")
    with refused(r"episodes\.csv is no log of episodes.*NaN or infinite"):
        read_episodes(path)


def bomb(columns):
    """Return the bytes of an .npz file of zeros, packed about a thousandfold."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **columns)
    return packed.getvalue()


def test_compressed_evaluations_are_not_unpacked(tmp_path):
    path, rows = tmp_path / EVALUATIONS_FILE, np.zeros((1 << 12, 20))
    path.write_bytes(bomb({"timesteps": rows[:, 0], "results": rows, "ep_lengths": rows}))
    assert path.stat().st_size < rows.nbytes / 100
    with refused(r"evaluations\.npz is no log of evaluations \(it is compressed"):
        read_evaluation_log(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"timesteps": np.arange(2), "results": np.zeros((3, 4)), "ep_lengths": np.zeros((2, 4))},
        {"timesteps": np.arange(2), "results": np.array([["a"], ["b"]]), "ep_lengths": np.zeros(2)},
        {"timesteps": np.arange(2), "results": np.zeros((2, 4))},
        {"timesteps": np.arange(2), "results": np.zeros(2), "ep_lengths": np.zeros(2)},
        {"timesteps": np.zeros((2, 2)), "results": np.zeros((2, 4)), "ep_lengths": np.zeros(2)},
    ],
)
def test_evaluations_of_other_shapes_are_refused_in_one_line(columns, tmp_path):
    np.savez(tmp_path / EVALUATIONS_FILE, **columns)
    with refused(r"evaluations\.npz is no log of evaluations"):
        read_evaluations(tmp_path)


def test_an_array_that_claims_more_than_it_holds_is_refused_in_one_line(tmp_path):
    header = b"\x93NUMPY\x01\x00\x76\x00" + str(
        {"descr": "<f8", "fortran_order": False, "shape": (1 << 52, 4)}
    ).encode().ljust(117) + b"\n"  # fmt: skip
    path = tmp_path / EVALUATIONS_FILE
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("timesteps", "results", "ep_lengths"):
            packed.writestr(f"{name}.npy", header)
    with refused(r"evaluations\.npz is no log of evaluations"):
        read_evaluation_log(path)
