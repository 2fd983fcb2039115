import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import snn_gym
from snn_gym import make_vec_env
from snn_gym.envs import BatchedSpikingEnv, StableBaselinesVecEnv
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import load_environment_spec
from tests.envs.comparison import assert_equal_runs
from tests.envs.variants import GAMES, NATIVE_BASES, PLASTICITY, SPIKING, steps_of

BASES = [load_environment_spec(env_id).base_id for env_id in SPIKING]
OTHERS = ["FrozenLake-v1", "Blackjack-v1", "CliffWalking-v1"]


def monitored(env_id, n_envs, **arguments):
    return DummyVecEnv([lambda: Monitor(gym.make(env_id, **arguments))] * n_envs)


DRAWN = [*SPIKING[::4], *NATIVE_BASES[::4], *GAMES[::4], *PLASTICITY[-2:], *BASES[::3], *OTHERS]


@pytest.mark.parametrize(
    ("number", "env_id"),
    [
        pytest.param(k, name, marks=[] if name in DRAWN else pytest.mark.slow)
        for k, name in enumerate([*snn_gym.env_ids(), *BASES, *OTHERS])
    ],
)
def test_environments_equal_dummy_vec_env(number, env_id):
    # short episodes, so that many end
    arguments = {"max_episode_steps": steps_of(env_id, 17)}
    if env_id in PLASTICITY:
        arguments["probe_size"] = 1
    n_envs = 1 + number % 4
    ours = make_vec_env(env_id, n_envs, env_kwargs=arguments)
    theirs = monitored(env_id, n_envs, **arguments)
    assert_equal_runs(ours, theirs, seed=number, steps=steps_of(env_id, 60))
    ours.close()


@pytest.mark.parametrize(("env_id", "mode"), [("CartPole-v1", "sync"), ("snn/Acrobot-v1", "sync")])
def test_modes_equal_dummy_vec_env(env_id, mode):
    ours = make_vec_env(env_id, 2, mode=mode)
    assert_equal_runs(ours, monitored(env_id, 2), seed=5, steps=60)
    ours.close()


@pytest.mark.parametrize("env_id", BATCHED_TASKS)
def test_whole_episodes_equal_dummy_vec_env(env_id):
    ours = make_vec_env(env_id, 2)
    assert_equal_runs(ours, monitored(env_id, 2), seed=1, steps=1100)


def test_modes_create_their_vector_class():
    batched = {
        ("CartPole-v1", None): BATCHED_TASKS["CartPole-v1"],
        ("CartPole-v1", "batched"): BATCHED_TASKS["CartPole-v1"],
        ("snn/Pendulum-v1", None): BatchedSpikingEnv,
        ("snn/LunarLander-v3", "batched"): BatchedSpikingEnv,
    }
    for (env_id, mode), kind in batched.items():
        env = make_vec_env(env_id, 2, mode=mode)
        assert isinstance(env, StableBaselinesVecEnv)
        assert isinstance(env.vector_env, kind)
        assert env.get_attr("spec")[0].id == env_id
    singles = {
        ("CartPole-v1", "sync"): DummyVecEnv,
        ("Blackjack-v1", None): DummyVecEnv,
        ("snn/Pendulum-v1", "sync"): DummyVecEnv,
        ("LunarLander-v3", None): DummyVecEnv,
    }
    for (env_id, mode), kind in singles.items():
        env = make_vec_env(env_id, 2, mode=mode)
        assert isinstance(env, kind)
        assert env.num_envs == 2
        assert env.get_attr("spec")[0].id == env_id
        assert env.env_is_wrapped(Monitor) == [True, True]
        env.close()


def test_module_prefix_of_an_id_is_imported_first():
    for mode in ("batched", "sync"):
        env = make_vec_env("snn_gym:snn/CartPole-v1", 2, mode=mode)
        assert env.get_attr("spec")[0].id == "snn/CartPole-v1"
    with pytest.raises(ValueError, match="No module named 'no_such_package'; install it"):
        make_vec_env("no_such_package:CartPole-v1")


def test_the_seed_seeds_states_and_actions():
    one, other = make_vec_env("CartPole-v1", 2, seed=3), make_vec_env("CartPole-v1", 2)
    start = one.reset()
    assert np.array_equal(start[0], gym.make("CartPole-v1").reset(seed=3)[0])
    assert np.array_equal(start[1], gym.make("CartPole-v1").reset(seed=4)[0])
    assert not np.array_equal(start, other.reset())
    space = gym.spaces.Discrete(2, seed=3)
    assert [one.action_space.sample() for _ in range(20)] == [space.sample() for _ in range(20)]


def test_arguments_and_wrappers_reach_the_environments():
    env = make_vec_env("snn/CartPole-v1", env_kwargs={"encoder": "latency", "time_steps": 3})
    assert env.observation_space == gym.spaces.MultiBinary((3, 4))
    flat = make_vec_env("snn/CartPole-v1", 2, wrappers=[gym.wrappers.FlattenObservation])
    assert flat.observation_space.shape == (8 * 40,)
    assert flat.env_is_wrapped(gym.wrappers.FlattenObservation) == [True, True]
    short = make_vec_env("Pendulum-v1", env_kwargs={"g": 2.0, "max_episode_steps": 3})
    short.reset()
    dones = [short.step(np.zeros((1, 1), np.float32))[2][0] for _ in range(3)]
    assert dones == [False, False, True]


@pytest.mark.parametrize(
    ("env_id", "arguments", "message"),
    [
        (
            "Blackjack-v1", {"mode": "batched"},
            "Blackjack-v1 has no batched form of ours, or is wrapped; use mode='sync'",
        ),
        ("Blackjack-v1", {"mode": "dummy"}, "^mode 'dummy' is unknown, or .*; use mode='sync'"),
        ("Blackjack-v1", {"n_envs": 0}, "^n_envs must be at least 1, got 0$"),
        ("CartPole-v1", {"n_envs": 1.5}, r"^n_envs: expected int, got 1.5 \(float\)$"),
        ("CartPole-v1", {"n_envs": True}, r"^n_envs: expected int, got True \(bool\)$"),
        ("CartPole-v1", {"seed": 0.9}, r"^seed: expected int, got 0.9 \(float\)$"),
        (
            "CartPole-v1", {"mode": "batched", "wrappers": [gym.wrappers.FlattenObservation]},
            "CartPole-v1 has no batched form of ours, or is wrapped; use mode='sync'",
        ),
    ],
)  # fmt: skip
def test_unsupported_arguments_are_refused_with_a_fix(env_id, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_vec_env(env_id, **arguments)
    assert "\n" not in str(caught.value)


def test_evaluation_uses_the_records_and_does_not_warn(tmp_path, recwarn):
    env, held_out = make_vec_env("CartPole-v1", 2), make_vec_env("CartPole-v1", 3, seed=7)
    callback = EvalCallback(held_out, n_eval_episodes=6, eval_freq=64, log_path=tmp_path, verbose=0)
    model = PPO("MlpPolicy", env, n_steps=64, n_epochs=1, seed=0, device="cpu")
    model.learn(256, callback=callback)
    log = np.load(tmp_path / "evaluations.npz")
    assert log["results"].shape == (2, 6)
    assert np.array_equal(log["results"], log["ep_lengths"])
    records = []
    for evaluated in (held_out, monitored("CartPole-v1", 3)):
        evaluated.seed(3)
        records.append(evaluate_policy(model, evaluated, 6, return_episode_rewards=True))
    assert records[0] == records[1]
    assert not [warning for warning in recwarn if "Monitor" in str(warning.message)]
