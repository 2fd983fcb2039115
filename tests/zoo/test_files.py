"""Tests of agents saved and loaded as data."""

import hashlib
import json
import pickle
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import LinearSchedule
from torch.testing import assert_close

import snn_gym
from snn_gym._base.storage import dump_tensors, load_tensors
from snn_gym.learners import GradientFreeAlgorithm, StatefulPPO
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo import (
    agent_ids,
    load_agent,
    load_agent_spec,
    make_agent,
    read_manifest,
    save_agent,
)
from snn_gym.zoo.algorithms import algorithm_class, policy_class
from snn_gym.zoo.files import extract_settings
from tests.edits import edit_json
from tests.marked import checked
from tests.policies.identity import refused

SMALL = NetworkConfig(hidden_sizes=(8,), time_steps=3)


FEW_UPDATES = {"learning_starts": 280, "train_freq": 8, "gradient_steps": 2}

BY_HAND = {
    "TD3 by hand": {
        "action_noise": NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)),
        "fused": False,
    },
    "DDPG by hand": {},
    "TQC by hand": {"use_sde": True, "ent_coef": 0.1},
    "SAC by hand": {"target_entropy": -2.5},
    "SAC by hand, unfused": {"fused": False},
    "TRPO by hand": {"n_steps": 128, "use_sde": True},
    "QRDQN by hand": {"n_steps": 3},
}


def by_hand(algorithm, arguments):
    on_policy, discrete = algorithm == "TRPO", algorithm == "QRDQN"
    policy_kwargs = {"network": SMALL, **arguments.get("policy_kwargs", {})}
    off_policy = {} if on_policy else {"buffer_size": 500, **FEW_UPDATES}
    return algorithm_class(algorithm)(
        policy_class(algorithm),
        "CartPole-v1" if discrete else "Pendulum-v1",
        **(off_policy | arguments | {"policy_kwargs": policy_kwargs}),
    )


def trained(kind):
    """Small model of each kind after a short training."""
    if kind in agent_ids():
        env_id = next(iter(load_agent_spec(kind).environments))
        off_policy = kind.startswith(("dq", "qr", "sac", "td3", "sb3-sac", "sb3-dqn"))
        overrides = dict(FEW_UPDATES) if off_policy else {}
        if "conv" in kind:
            overrides |= {"n_envs": 2, "n_steps": 32, "batch_size": 32}
        if kind.startswith("recurrent-ppo"):
            overrides |= {"n_envs": 4, "n_steps": 36, "batch_size": 72}
        regulation = load_agent_spec(kind).network.get("regulation")
        if regulation is not None and "lean" in regulation:
            overrides["network"] = {"regulation": {**regulation, "lean": {"updates": 20}}}
        model = make_agent(kind, env_id, seed=5, **overrides)
    elif kind in BY_HAND:
        model = by_hand(kind.split()[0], dict(BY_HAND[kind]))
    elif kind == "DQN by hand":
        model = DQN(
            SpikingDQNPolicy,
            "snn/CartPole-v1",
            policy_kwargs={"network": SMALL},
            buffer_size=500,
            learning_starts=50,
            train_freq=(8, "step"),
        )
    elif kind == "A2C by hand":
        model = A2C(SpikingActorCriticPolicy, "CartPole-v1", learning_rate=LinearSchedule(1, 0, 1))
    else:
        env = gym.make("snn/CartPole-v1", encoder="latency", time_steps=4)
        model = PPO(SpikingActorCriticPolicy, env, n_steps=64, policy_kwargs={"network": SMALL})
    return model.learn(300)


def ways_to_be_saved():
    """Return one agent of each algorithm, policy and regulation, and models built by hand.

    The first of each algorithm are tested always, others in `make check` and `make check-all`.
    """
    ways, algorithms = {}, set()
    for name in agent_ids():
        spec = load_agent_spec(name)
        regulation = spec.network.get("regulation", {})
        key = spec.algorithm, str(sorted(spec.policy_kwargs.items())), str(sorted(regulation))
        first = spec.algorithm not in algorithms and not spec.is_imported and "conv" not in name
        algorithms |= {spec.algorithm} if first else set()
        mark = [] if first else pytest.mark.slow
        ways.setdefault(key, pytest.param(name, marks=mark))
    others = (*BY_HAND, "PPO by hand", "A2C by hand", "DQN by hand")
    return [*ways.values(), *map(checked, others)]


@pytest.mark.parametrize("kind", ways_to_be_saved())
def test_saved_agents_act_the_same_and_continue_learning(kind, tmp_path):
    model = trained(kind)
    assert save_agent(model, tmp_path / "agent") == tmp_path / "agent"
    assert sorted(path.name for path in (tmp_path / "agent").iterdir()) == [
        "manifest.json",
        "weights.safetensors",
    ]
    loaded = load_agent(tmp_path / "agent")
    space = model.observation_space
    space.seed(1)
    seen = np.array([space.sample() for _ in range(32)])
    assert_close(
        model.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0]
    )
    assert_close(full_state(loaded.policy), full_state(model.policy), rtol=0, atol=0)
    assert isinstance(loaded, type(model))  # the zoo's own PPO for Stable-Baselines3's
    assert loaded.num_timesteps == model.num_timesteps
    assert extract_settings(loaded) == extract_settings(model)
    before = {name: value.clone() for name, value in full_state(loaded.policy).items()}
    more = 40 if hasattr(loaded, "replay_buffer") else 300
    if isinstance(loaded, GradientFreeAlgorithm):
        more = 2_000  # many of its moves are not accepted
    if isinstance(loaded, StatefulPPO):
        more = 2 * loaded.n_steps * loaded.n_envs  # after one rollout the rate would be 0
    loaded.learn(more, reset_num_timesteps=False)
    assert loaded.num_timesteps >= model.num_timesteps + more
    after = full_state(loaded.policy)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_manifest_describes_its_agent(tmp_path):
    model = trained("ppo-lif")
    manifest = read_manifest(save_agent(model, tmp_path))
    assert (manifest.agent, manifest.environment) == ("ppo-lif", "CartPole-v1")
    assert (manifest.algorithm, manifest.policy) == ("PPO", "SpikingActorCriticPolicy")
    assert manifest.seed == 5
    assert manifest.hyperparameters["learning_rate"] == "lin_0.001"
    assert NetworkConfig.from_dict(manifest.policy_kwargs["network"]) == model.policy.network
    assert manifest.versions["snn_gym"] == snn_gym.__version__
    assert read_manifest(save_agent(load_agent(tmp_path), tmp_path / "again")) == manifest


def test_arguments_of_the_environment_are_saved(tmp_path):
    manifest = read_manifest(save_agent(trained("PPO by hand"), tmp_path))
    assert manifest.agent is None
    assert manifest.environment == "snn/CartPole-v1"
    assert manifest.environment_kwargs == {"encoder": "latency", "time_steps": 4}
    assert load_agent(tmp_path).get_env().get_attr("spec")[0].kwargs["encoder"] == "latency"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_agent(make_agent("ppo-lif", "CartPole-v1"), tmp_path_factory.mktemp("saved"))


@pytest.fixture
def copy(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy"


def edit(folder, **changes):
    edit_json(folder / "manifest.json", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "snn_gym/agent/2"}, "format: got 'snn_gym/agent/2'"),
        ({"algorithm": "ARS"}, "allowed values: 'PPO', 'A2C', 'TRPO'"),
        ({"policy": "os.system"}, "PPO needs the policy SpikingActorCriticPolicy, got os.system"),
        ({"policy": "SpikingDQNPolicy"}, "PPO needs the policy"),
        ({"extra": 1}, "unknown key extra"),
        ({"num_timesteps": "9"}, "num_timesteps: expected int"),
        ({"hyperparameters": {"n_stepz": 1}}, "unknown key n_stepz"),
        ({"policy_kwargs": {"network": {"neurons": "lif"}}}, "unknown key neurons"),
        ({"policy_kwargs": {"network": {"hidden_sizes": [5]}}}, "tensors do not fit|shape"),
        ({"weights_sha256": "0" * 64}, "SHA-256 differ"),
        ({"environment": "Acrobot-v1"}, "observation_space of Acrobot-v1 was"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(copy, changes, message):
    edit(copy, **changes)
    with pytest.raises(ValueError, match=message):
        load_agent(copy)


def test_a_folder_without_an_agent_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no saved agent: there is no manifest\.json"):
        load_agent(tmp_path)


def test_a_pickle_in_place_of_the_weights_is_not_run(copy):
    ran = copy / "ran"
    payload = type("P", (), {"__reduce__": lambda self: (open, (str(ran), "w"))})()
    (copy / "weights.safetensors").write_bytes(pickle.dumps(payload))
    with pytest.raises(ValueError, match="pickle, which is never loaded"):
        load_agent(copy)
    assert not ran.exists()


def test_weights_under_other_neuron_parameters_are_refused(copy):
    network = json.loads((copy / "manifest.json").read_text())["policy_kwargs"]["network"]
    network["neuron_parameters"]["tau_mem_ms"] *= 2
    edit(copy, policy_kwargs={"network": network})
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        load_agent(copy)


@pytest.mark.parametrize(
    ("policy", "arguments", "message"),
    [
        ("MlpPolicy", {}, r"PPO with ActorCriticPolicy can't be saved.*supported"),
        (
            SpikingActorCriticPolicy, {"policy_kwargs": {"activation_fn": torch.nn.ELU}},
            "hold more than plain data",
        ),
        (
            SpikingActorCriticPolicy, {"learning_rate": lambda progress: progress},
            "learning_rate is .* without its code",
        ),
    ],
)  # fmt: skip
def test_models_with_more_than_plain_data_are_refused(policy, arguments, message, tmp_path):
    model = PPO(policy, "CartPole-v1", **arguments)
    with pytest.raises(ValueError, match=message):
        save_agent(model, tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


def test_a_model_without_an_environment_is_refused(tmp_path):
    PPO(SpikingActorCriticPolicy, "CartPole-v1").save(tmp_path / "model")
    model = PPO.load(tmp_path / "model")
    with pytest.raises(ValueError, match=r"no environment, which names its task; call set_env"):
        save_agent(model, tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("policy_kwargs", "network"), 5), (("policy_kwargs", "network", "neuron"), [None]),
        (("policy_kwargs", "network", "hidden_sizes"), [2**63]),
        (("policy_kwargs", "activation_fn"), "os.system"), (("policy_kwargs", "unheard_of"), 1),
        (("environment_kwargs", "unheard_of"), 1), (("environment",), "a\nb"),
        (("hyperparameters", "n_envs"), 2**31), (("hyperparameters", "n_steps"), 10**12),
    ],
)  # fmt: skip
def test_manifests_that_cannot_be_built_are_refused_in_one_line(copy, place, value):
    manifest = json.loads((copy / "manifest.json").read_text())
    inside = manifest
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    edit(copy, **manifest)
    with refused(r"manifest\.json|network|unheard_of"):
        load_agent(copy)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensor: tensor * float("nan"), "NaN or infinite"),
        (lambda tensor: tensor + 1, "loading state_dict"),
    ],
)
def test_unsuitable_weights_with_a_valid_digest_are_refused_in_one_line(copy, change, named):
    tensors, _ = load_tensors(copy / "weights.safetensors", max_bytes=1 << 30)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = change(tensor)
    data = dump_tensors(tensors)
    (copy / "weights.safetensors").write_bytes(data)
    edit(copy, weights_sha256=hashlib.sha256(data).hexdigest())
    with refused(named):
        load_agent(copy)
