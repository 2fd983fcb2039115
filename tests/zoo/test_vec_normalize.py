"""Tests of VecNormalize as data: saved, loaded, and in agents."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from gymnasium import wrappers
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize

import snn_gym
from snn_gym._base.storage import load_tensors, save_tensors
from snn_gym.leaderboard import SubmissionError, submit
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.zoo import (
    build_policy,
    load_agent,
    load_agent_spec,
    make_agent,
    read_manifest,
    save_agent,
)
from snn_gym.zoo.recipe import VecNormalizeSettings
from tests.edits import edit_json
from tests.policies.identity import refused

SEEDS = (5, 6, 7)
SETTINGS = {"clip_obs": 4.0, "clip_reward": 3.0, "gamma": 0.9, "epsilon": 1e-6}


def environments(count=4, **settings):
    return VecNormalize(snn_gym.make_vec_env("CartPole-v1", count, seed=0), **settings)


@pytest.fixture(scope="module")
def model():
    network = {"hidden_sizes": [8], "time_steps": 4}
    return PPO(
        SpikingActorCriticPolicy, environments(**SETTINGS), n_steps=32, batch_size=64, seed=0,
        policy_kwargs={"network": network, "normalise_observations": False},
    ).learn(256)  # fmt: skip


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return save_agent(model, tmp_path_factory.mktemp("saved") / "agent")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def normaliser(model):
    found = model.get_vec_normalize_env()
    assert isinstance(found, VecNormalize)
    return found


def test_settings_and_statistics_are_restored_bit_for_bit(model, saved):
    loaded = load_agent(saved)
    was, now = normaliser(model), normaliser(loaded)
    for name in (*SETTINGS, "training", "norm_obs", "norm_reward", "norm_obs_keys"):
        assert getattr(now, name) == getattr(was, name)
    for one, other in ((was.obs_rms, now.obs_rms), (was.ret_rms, now.ret_rms)):
        assert np.array_equal(one.mean, other.mean)
        assert np.array_equal(one.var, other.var)
        assert one.count == other.count > 256
    loaded.learn(128)
    # And the 4 observations of the reset, which has no rewards.
    assert now.obs_rms.count == was.obs_rms.count + 128 + 4
    assert now.ret_rms.count == was.ret_rms.count + 128


def test_files_have_no_pickle_and_older_files_no_vecnormalize(saved, tmp_path):
    assert sorted(x.name for x in saved.iterdir()) == ["manifest.json", "weights.safetensors"]
    tensors, _ = load_tensors(saved / "weights.safetensors", max_bytes=1 << 20)
    assert {name for name in tensors if name.startswith("vec_normalize.")} == {
        f"vec_normalize.{whose}{name}"
        for whose in ("", "return_")
        for name in ("mean", "var", "count")
    }
    plain = save_agent(make_agent("ppo-lif", "CartPole-v1"), tmp_path)
    content = json.loads((plain / "manifest.json").read_text())
    del content["vec_normalize"], content["sha256"]
    (plain / "manifest.json").write_text(json.dumps(content))
    assert load_agent(plain).get_vec_normalize_env() is None


def test_given_environments_are_wrapped(saved):
    given = snn_gym.make_vec_env("CartPole-v1", 2, seed=1)
    loaded = load_agent(saved, env=given)
    assert normaliser(loaded).venv is given
    with pytest.raises(ValueError, match=r"are in a VecNormalize already, .*pass those inside"):
        load_agent(saved, env=environments())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("var", torch.full((4,), -1.0, dtype=torch.float64), "var holds values that no statistics"),
        ("mean", torch.full((4,), torch.nan, dtype=torch.float64), "mean holds values"),
        ("mean", torch.zeros(3, dtype=torch.float64), r"expected shape \(4,\) .* got \(3,\)"),
        ("var", torch.ones(4), r"got .* torch.float32"),
        ("return_var", None, "do not match: return_var"),
        ("other", torch.zeros(()), "do not match: other"),
    ],
)
def test_invalid_statistics_are_refused(name, value, message, copy):
    file = copy / "weights.safetensors"
    tensors, _ = load_tensors(file, max_bytes=1 << 20)
    tensors.pop(f"vec_normalize.{name}", None)
    save_tensors(file, tensors if value is None else {**tensors, f"vec_normalize.{name}": value})
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    edit_json(copy / "manifest.json", weights_sha256=digest)
    with refused(message):
        load_agent(copy)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"transpose_images": True}, r"is of transposed images, got Box\(.*must be an image"),
        ({"norm_obs_keys": ["a"]}, "norm_obs_keys"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
        ({"clip": 1.0}, "unknown key clip; "),
    ],
)
def test_settings_from_a_file_are_checked(changed, message, copy):
    settings = json.loads((copy / "manifest.json").read_text())["vec_normalize"]
    edit_json(copy / "manifest.json", vec_normalize={**settings, **changed})
    with refused(message):
        load_agent(copy)


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda: VecFrameStack(snn_gym.make_vec_env("CartPole-v1"), 2), "VecFrameStack stands"),
        (
            lambda: snn_gym.make_vec_env("CartPole-v1", wrappers=[wrappers.NormalizeObservation]),
            "NormalizeObservation stands between .* CartPole-v1 does not have it",
        ),
    ],
)
def test_unsupported_wrappers_are_not_saved(wrap, message, tmp_path):
    model = PPO(SpikingActorCriticPolicy, wrap(), n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match=message):
        save_agent(model, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_wrappers_without_effect_are_accepted(tmp_path):
    env = VecMonitor(environments())
    made = PPO(SpikingActorCriticPolicy, env, n_steps=8, batch_size=8)
    loaded = load_agent(save_agent(made, tmp_path))
    assert np.array_equal(normaliser(loaded).obs_rms.mean, normaliser(made).obs_rms.mean)


def test_zoo_agents_in_a_user_vecnormalize_are_not_submitted(tmp_path):
    model = make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.set_env(VecNormalize(model.get_env()))
    save_agent(model.learn(256), tmp_path)
    with pytest.raises(SubmissionError, match=r"VecNormalize .*normalise_observations"):
        submit(tmp_path, seeds=SEEDS)


@pytest.fixture
def registered(own_names):
    def register(**settings):
        snn_gym.register_agent(
            "normalised", parent="ppo-mlp", description="In a VecNormalize.",
            environments={"CartPole-v1": settings},
        )  # fmt: skip
        return "normalised"

    return register


def test_an_agent_may_have_a_vecnormalize_on_an_environment(registered, tmp_path):
    agent = registered(vec_normalize={"norm_reward": False, "gamma": 0.98})
    assert load_agent_spec(agent).vec_normalize("Acrobot-v1") is None
    made = make_agent(agent, "CartPole-v1").learn(512)
    env = normaliser(made)
    assert (env.norm_obs, env.norm_reward, env.gamma) == (True, False, 0.98)
    expected = snn_gym.evaluate(made, "CartPole-v1", seeds=SEEDS).returns
    loaded = load_agent(save_agent(made, tmp_path))
    assert snn_gym.evaluate(loaded, "CartPole-v1", seeds=SEEDS).returns == expected


def test_a_built_policy_takes_statistics_with_the_weights(registered):
    agent = registered(vec_normalize={})
    made = make_agent(agent, "CartPole-v1").learn(512)
    acting = raw_policy(made).acting_state_dict()
    assert acting["vec_normalize.mean"].dtype == torch.float64
    built = build_policy(agent, "CartPole-v1")
    built.load_acting_state_dict(acting)
    expected = snn_gym.evaluate(made, "CartPole-v1", seeds=SEEDS)
    assert snn_gym.evaluate(built, "CartPole-v1", seeds=SEEDS) == expected
    with pytest.raises(ValueError, match="var holds values that no statistics have"):
        built.load_acting_state_dict({**acting, "vec_normalize.var": -acting["vec_normalize.var"]})
    with pytest.raises(ValueError, match="statistics do not match: mean, var"):
        built.load_acting_state_dict({k: x for k, x in acting.items() if "vec_norm" not in k})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm_ob": True}, "unknown key norm_ob; did you mean 'norm_obs'"),
        ({"gamma": 1.5}, "gamma must be"),
        (True, "expected a table of VecNormalizeSettings"),
    ],
)
def test_invalid_settings_are_refused(settings, message, registered):
    with pytest.raises(ValueError, match=message):
        registered(vec_normalize=settings)


def test_false_removes_the_vecnormalize_of_a_parent(registered):
    registered(vec_normalize={})
    snn_gym.register_agent(
        "plain", parent="normalised", description="Without.",
        environments={"CartPole-v1": {"vec_normalize": False}},
    )  # fmt: skip
    assert load_agent_spec("plain").vec_normalize("CartPole-v1") is None


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_normalised_rewards_are_those_of_stable_baselines3(env_id, tmp_path):
    """The compiled loop on CartPole and Stable-Baselines3's on Pendulum."""
    settings = {"n_envs": 4, "n_steps": 32, "batch_size": 64, "gamma": 0.9}
    # One after the other: both draw from the generators that their seed sets.
    made = make_agent("ppo-mlp", env_id, seed=3, normalise_rewards=True, **settings).learn(512)
    plain = make_agent("ppo-mlp", env_id, seed=3, **settings)
    plain.set_env(VecNormalize(plain.get_env(), norm_obs=False, gamma=0.9, clip_reward=10.0))
    plain.learn(512)
    assert normaliser(made).ret_rms.var == normaliser(plain).ret_rms.var != 1.0
    expected = plain.policy.state_dict()
    for name, tensor in made.policy.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    saved = read_manifest(save_agent(made, tmp_path)).vec_normalize
    assert saved == VecNormalizeSettings(norm_obs=False, gamma=0.9)


def test_normalised_rewards_leave_acting_and_returns_as_they_are():
    made = make_agent("ppo-mlp", "CartPole-v1", seed=0, normalise_rewards=True).learn(512)
    assert raw_policy(made) is made.policy
    acting = made.policy.acting_state_dict()
    assert not [name for name in acting if "vec_normalize" in name]
    built = build_policy("ppo-mlp", "CartPole-v1")
    built.load_acting_state_dict(acting)
    played = snn_gym.evaluate(made, "CartPole-v1", seeds=SEEDS)
    assert snn_gym.evaluate(built, "CartPole-v1", seeds=SEEDS) == played
    # Each step earns 1, in the log of the training too.
    assert [info["r"] for info in made.ep_info_buffer] == [
        info["l"] for info in made.ep_info_buffer
    ]
    assert make_agent("ppo-mlp", "CartPole-v1").get_vec_normalize_env() is None


@pytest.mark.parametrize(
    ("agent", "settings", "message"),
    [
        ("ppo-mlp", {"normalise_rewards": 1}, "normalise_rewards must be true or false, got 1"),
        (
            "ppo-mlp", {"normalise_rewards": True, "vec_normalize": {}},
            "leave out normalise_rewards",
        ),
        (
            "es", {"normalise_rewards": True},
            "is for learners by gradients, and EvolutionStrategies",
        ),
    ],
)  # fmt: skip
def test_invalid_normalised_rewards_are_refused(agent, settings, message):
    with pytest.raises(ValueError, match=message):
        make_agent(agent, "CartPole-v1", **settings)
