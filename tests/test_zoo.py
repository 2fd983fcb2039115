"""The zoo: descriptions, models, and agents saved as data."""

import dataclasses
import json
import pickle
import shutil
import tomllib

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule
from torch.testing import assert_close

import snn_gym
from snn_gym.config import to_mapping
from snn_gym.content import content_path
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.registry import env_ids, load_environment_spec
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.zoo import (
    AgentSpec,
    agent_ids,
    build_policy,
    load_agent,
    load_agent_spec,
    make_agent,
    read_manifest,
    save_agent,
)
from snn_gym.zoo.extract import extract_settings
from snn_gym.zoo.schedules import format_schedule, parse_schedule
from snn_gym.zoo.settings import SETTINGS, make_settings
from snn_gym.zoo.spaces import describe_space

PAIRS = [(name, env_id) for name in agent_ids() for env_id in load_agent_spec(name).environments]
SMALL = NetworkConfig(hidden_sizes=(8,), time_steps=3)


def observations(env_id, count=16):
    space = gym.make(env_id).observation_space
    space.seed(0)
    return np.array([space.sample() for _ in range(count)])


# Descriptions


def test_the_zoo_holds_the_agents_and_their_twins():
    assert agent_ids() == ("dqn-mlp", "dqsn", "ppo-lif", "ppo-mlp")
    for name in agent_ids():
        spec = load_agent_spec(name)
        twin = load_agent_spec(spec.twin)
        assert twin.twin == name
        assert (twin.algorithm, twin.budget_class) == (spec.algorithm, spec.budget_class)
        assert twin.network["hidden_sizes"] == spec.network["hidden_sizes"]
        assert set(twin.environments) == set(spec.environments)


def test_every_agent_has_a_card_that_names_it_and_its_twin():
    for name in agent_ids():
        card = (content_path("agents") / name / "README.md").read_text()
        assert card.startswith(f"# {name}\n")
        assert f"../{load_agent_spec(name).twin}/README.md" in card


def test_every_pair_is_a_known_environment():
    known = {*env_ids(), *(load_environment_spec(env_id).base_id for env_id in env_ids())}
    assert {env_id for _, env_id in PAIRS} <= known


def test_an_unknown_agent_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'ppo-lfi' is unknown; did you mean 'ppo-lif'\?.*dqsn"):
        load_agent_spec("ppo-lfi")


@pytest.mark.parametrize("name", ["../agents/ppo-lif", "/etc/passwd", "", "ppo-lif/"])
def test_a_name_reaches_no_other_file(name):
    with pytest.raises(ValueError, match="is unknown"):
        load_agent_spec(name)


def test_an_environment_without_hyper_parameters_is_named_with_those_that_have():
    with pytest.raises(ValueError, match=r"'Pendulum-v1'; it has them for: CartPole-v1"):
        make_agent("ppo-lif", "Pendulum-v1")


def spec_table(**changes):
    path = content_path("agents") / "ppo-lif" / "agent.toml"
    return {**tomllib.loads(path.read_text()), **changes}


def test_same_as_inherits_and_overrides():
    spec = AgentSpec(
        **spec_table(
            environments={
                "A": {"n_steps": 5, "gamma": 0.5, "network": {"time_steps": 4}},
                "B": {"same_as": "A", "gamma": 0.6, "network": {"hidden_sizes": [3]}},
            }
        )
    )
    assert (spec.settings("B").n_steps, spec.settings("B").gamma) == (5, 0.6)
    assert spec.settings("A").gamma == 0.5
    assert spec.network_settings("B") == {"hidden_sizes": [3], "time_steps": 4}
    assert spec.network_settings("A")["hidden_sizes"] == [64, 64]


@pytest.mark.parametrize(
    ("environments", "message"),
    [
        ({"A": {"n_step": 5}}, "unknown key n_step; allowed keys: n_envs"),
        ({"A": {"n_steps": "5"}}, "n_steps: expected int, got '5'"),
        ({"A": {"n_envs": 0}}, "n_envs must be at least 1, got 0"),
        ({"A": {"learning_rate": "lin"}}, "learning_rate: got 'lin'; expected a number"),
        ({"A": {"same_as": "B"}}, "same_as is 'B'; expected one of the agent's environments"),
        ({"A": {"same_as": "A"}}, "same_as is 'A'; expected"),
    ],
)
def test_a_bad_environment_table_is_refused(environments, message):
    with pytest.raises(ValueError, match=message):
        AgentSpec(**spec_table(environments=environments))


def test_a_policy_that_does_not_fit_the_algorithm_is_refused():
    with pytest.raises(ValueError, match="PPO needs the policy SpikingActorCriticPolicy"):
        AgentSpec(**spec_table(policy="SpikingDQNPolicy"))


# Schedules


@given(start=st.floats(1e-8, 10, allow_nan=False), progress=st.floats(0, 1))
def test_lin_is_the_start_times_what_remains(start, progress):
    schedule = parse_schedule(f"lin_{start}")
    assert schedule(progress) == pytest.approx(start * progress, rel=1e-9, abs=1e-12 * start)


def test_lin_with_end_and_fraction():
    schedule = parse_schedule("lin_1.0_0.2_0.5")
    assert [schedule(p) for p in (1.0, 0.75, 0.5, 0.1)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


@given(st.one_of(st.floats(0, 1), st.tuples(*[st.floats(1e-9, 1)] * 3)))
def test_schedules_survive_writing_and_reading(value):
    schedule = LinearSchedule(*value) if isinstance(value, tuple) else ConstantSchedule(value)
    again = parse_schedule(format_schedule(schedule, "learning_rate"))
    for progress in (1.0, 0.6, 0.0):
        expected = again if isinstance(again, float) else again(progress)
        assert expected == schedule(progress)


def test_a_function_as_a_schedule_is_refused():
    with pytest.raises(ValueError, match=r"clip_range is .*can't be saved without its code"):
        format_schedule(lambda progress: progress, "clip_range")


@pytest.mark.parametrize("text", ["lin_", "lin_x", "lin_-1", "0.001", "lin_1_2", "lin_1_0_0"])
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match="got '"):
        parse_schedule(text)


# Models


@pytest.mark.parametrize(("name", "env_id"), PAIRS)
def test_every_agent_is_built_as_its_file_says(name, env_id):
    spec = load_agent_spec(name)
    model = make_agent(name, env_id, seed=3)
    assert type(model).__name__ == spec.algorithm
    assert model.seed == 3
    assert model.get_env().num_envs == spec.settings(env_id).n_envs
    assert extract_settings(model) == spec.settings(env_id)
    assert model.policy.network.hidden_sizes == tuple(spec.network["hidden_sizes"])
    spiking = any(isinstance(part, SpikingNetwork) for part in model.policy.modules())
    assert spiking == (name in ("ppo-lif", "dqsn"))


def test_the_seed_decides_the_weights():
    first, same, other = (
        make_agent("ppo-lif", "CartPole-v1", seed=seed).policy.state_dict() for seed in (1, 1, 2)
    )
    assert_close(first, same, rtol=0, atol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_overrides_replace_hyper_parameters():
    model = make_agent("ppo-lif", "CartPole-v1", n_envs=2, n_steps=16, batch_size=32)
    assert (model.n_envs, model.n_steps, model.batch_size) == (2, 16, 32)


def test_an_unknown_override_is_refused():
    with pytest.raises(ValueError, match="unknown key hidden_sizes; allowed keys: n_envs"):
        make_agent("ppo-lif", "CartPole-v1", hidden_sizes=(3,))


@pytest.mark.parametrize(("name", "env_id"), PAIRS)
def test_build_policy_takes_the_weights_of_the_model(name, env_id):
    trained, policy = make_agent(name, env_id, seed=1).policy, build_policy(name, env_id)
    policy.load_acting_state_dict(trained.acting_state_dict())
    seen = observations(env_id)
    assert_close(
        policy.predict(seen, deterministic=True)[0], trained.predict(seen, deterministic=True)[0]
    )


# Saving


def trained(kind):
    """A small model of each kind after a little training."""
    if kind in agent_ids():
        overrides = {"learning_starts": 64} if kind.startswith("dq") else {}
        model = make_agent(kind, "CartPole-v1", seed=5, **overrides)
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


KINDS = ["ppo-lif", "ppo-mlp", "dqsn", "dqn-mlp", "PPO by hand", "A2C by hand", "DQN by hand"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_agent_acts_the_same_and_goes_on_learning(kind, tmp_path):
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
    assert_close(loaded.policy.state_dict(), model.policy.state_dict(), rtol=0, atol=0)
    assert type(loaded) is type(model)
    assert loaded.num_timesteps == model.num_timesteps
    assert extract_settings(loaded) == extract_settings(model)
    before = {name: value.clone() for name, value in loaded.policy.state_dict().items()}
    loaded.learn(300, reset_num_timesteps=False)
    assert loaded.num_timesteps >= model.num_timesteps + 300
    after = loaded.policy.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_manifest_says_what_the_agent_is(tmp_path):
    model = trained("ppo-lif")
    manifest = read_manifest(save_agent(model, tmp_path))
    assert (manifest.agent, manifest.environment) == ("ppo-lif", "CartPole-v1")
    assert (manifest.algorithm, manifest.policy) == ("PPO", "SpikingActorCriticPolicy")
    assert manifest.seed == 5
    assert manifest.hyperparameters["learning_rate"] == "lin_0.001"
    assert NetworkConfig.from_dict(manifest.policy_kwargs["network"]) == model.policy.network
    assert manifest.versions["snn_gym"] == snn_gym.__version__
    assert read_manifest(save_agent(load_agent(tmp_path), tmp_path / "again")) == manifest


def test_arguments_of_the_environment_are_kept(tmp_path):
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
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "snn_gym/agent/2"}, "format: got 'snn_gym/agent/2'"),
        ({"algorithm": "SAC"}, "allowed values: 'PPO', 'A2C', 'DQN'"),
        ({"policy": "os.system"}, "policy: got 'os.system'"),
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


def test_a_stock_policy_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"PPO with ActorCriticPolicy can't be saved.*supported"):
        save_agent(PPO("MlpPolicy", "CartPole-v1"), tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy_kwargs": {"activation_fn": torch.nn.ELU}}, "hold more than plain data"),
        ({"learning_rate": lambda progress: progress}, "learning_rate is .* without its code"),
    ],
)
def test_a_model_that_is_more_than_data_is_refused(arguments, message, tmp_path):
    model = PPO(SpikingActorCriticPolicy, "CartPole-v1", **arguments)
    with pytest.raises(ValueError, match=message):
        save_agent(model, tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


def test_an_environment_without_an_id_is_refused(tmp_path):
    from gymnasium.envs.classic_control import CartPoleEnv

    model = PPO(SpikingActorCriticPolicy, CartPoleEnv())
    with pytest.raises(ValueError, match="no gymnasium id"):
        save_agent(model, tmp_path)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_defaults_are_those_of_stable_baselines3(algorithm):
    policy = SpikingDQNPolicy if algorithm == "DQN" else SpikingActorCriticPolicy
    classes = {"PPO": PPO, "A2C": A2C, "DQN": DQN}
    arguments = {"buffer_size": 1_000} if algorithm == "DQN" else {}
    stock = extract_settings(classes[algorithm](policy, "CartPole-v1", **arguments))
    assert stock == dataclasses.replace(SETTINGS[algorithm](), **arguments)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_settings_survive_plain_data(algorithm):
    settings = SETTINGS[algorithm](learning_rate="lin_0.5", gamma=0.3)
    assert make_settings(algorithm, to_mapping(settings), "here") == settings


# Spaces

BOUND = st.floats(-1e6, 1e6, width=32)


@given(st.lists(st.tuples(BOUND, BOUND).map(sorted), min_size=1, max_size=5))
def test_equal_boxes_have_equal_descriptions_and_others_do_not(bounds):
    low, high = np.array(bounds, dtype=np.float32).T
    box = gym.spaces.Box(low, high)
    described = json.loads(json.dumps(describe_space(box), allow_nan=False))
    assert described == describe_space(gym.spaces.Box(low.copy(), high.copy()))
    assert described != describe_space(gym.spaces.Box(low, high + 1e6))


def test_infinite_bounds_are_described_in_strict_json():
    box = gym.spaces.Box(-np.inf, np.inf, (2,))
    assert json.loads(json.dumps(describe_space(box), allow_nan=False))["high"] == ["inf", "inf"]


@pytest.mark.parametrize(
    ("space", "description"),
    [
        (gym.spaces.Discrete(3, start=1), {"type": "Discrete", "n": 3, "start": 1}),
        (
            gym.spaces.MultiDiscrete([2, 3]),
            {"type": "MultiDiscrete", "nvec": [2, 3], "start": [0, 0]},
        ),
        (gym.spaces.MultiBinary((4, 5)), {"type": "MultiBinary", "shape": [4, 5]}),
    ],
)
def test_discrete_spaces_are_described(space, description):
    assert describe_space(space) == description


def test_other_spaces_are_refused():
    with pytest.raises(ValueError, match="Tuple spaces can't be saved"):
        describe_space(gym.spaces.Tuple([gym.spaces.Discrete(2)]))
