"""Tests of the Stable-Baselines3 VecEnv: synapses as environments."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from snn_gym.envs.synapses import PlasticityVecEnv
from tests.envs.comparison import assert_out_of_reach
from tests.envs.synapses.toy_jobs import Distance

SMALL = {"hidden_sizes": [4], "time_steps": 3}


@settings(max_examples=8, deadline=None)
@given(
    job=st.sampled_from(["XOR", "Teacher", "CartPole"]),
    networks=st.integers(1, 3),
    seed=st.integers(0, 2**20),
)
def test_synapses_equal_the_gymnasium_environment(job, networks, seed):
    arguments = {"network": SMALL, "probe_size": 2, "renew_probe_every": 2}
    env = PlasticityVecEnv(job, networks, horizon=4, **arguments)
    singles = [
        gym.make(f"snn/Plasticity-{job}-v0", max_episode_steps=4, **arguments)
        for _ in range(networks)
    ]
    env.seed(seed)
    observations = env.reset().reshape(networks, -1)
    for k, single in enumerate(singles):
        assert np.array_equal(observations[k], single.reset(seed=seed + k)[0])
    rng = np.random.default_rng(seed)
    synapses = env.num_envs // networks
    for step in range(1, 7):
        actions = rng.integers(0, 3, env.num_envs)
        observations, rewards, dones, infos = env.step(actions)
        assert (observations.dtype, rewards.dtype, dones.dtype) == (np.float32, np.float32, bool)
        for k, single in enumerate(singles):
            mine = slice(k * synapses, (k + 1) * synapses)
            observation, reward, _, truncated, info = single.step(actions[mine])
            assert set(rewards[mine]) == {reward}
            assert set(dones[mine]) == {truncated} == {step == 4}
            assert infos[k * synapses]["score"] == info["score"]
            assert infos[k * synapses]["steps"] == info["steps"]
            assert infos[k * synapses]["TimeLimit.truncated"] is truncated
            if truncated:
                last = [each["terminal_observation"] for each in infos[mine]]
                assert np.array_equal(np.concatenate(last), observation)
                observation, _ = single.reset()
            assert np.array_equal(observations[mine].ravel(), observation)


def test_episodes_are_recorded_as_monitor_does():
    env = PlasticityVecEnv(Distance(), 2, horizon=3)
    env.seed(5)
    env.reset()
    for _ in range(2):  # a second episode counts anew
        total = np.zeros(env.num_envs)
        for _ in range(3):
            _, rewards, _, infos = env.step(np.full(env.num_envs, 2))
            total += rewards
        assert [info["episode"]["r"] for info in infos] == total.tolist()
        assert {info["episode"]["l"] for info in infos} == {3}


def test_synapses_of_a_network_share_one_info():
    env = PlasticityVecEnv(Distance(), 2, horizon=3)
    env.reset()
    for infos in (env.reset_infos, env.step(np.ones(8, int))[-1]):
        assert all(info is infos[0] for info in infos[:4])
        assert infos[0] is not infos[4]


def raising(model):
    """Return the share of possible weight increases that a policy makes."""
    weights = np.linspace(-0.9, 0.5, 50, dtype=np.float32)[:, np.newaxis]
    return float((model.predict(weights, deterministic=True)[0] == 2).mean())


@pytest.mark.slow
def test_ppo_learns_one_policy_for_all_synapses():
    # Weights should rise to 4; each synapse sees its own only, and the reward is everyone's. With
    # a discount above 0, a value function that sees one weight takes others' progress for its own.
    env = PlasticityVecEnv(
        Distance((4,)), networks=16, horizon=8, features=["weight"], reward="difference"
    )
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=256, learning_rate=3e-3, gamma=0.0, seed=0)
    before = raising(model)
    model.learn(16 * env.num_envs * 12)
    assert before < 0.9 < raising(model)


def test_dqn_trains_and_a_policy_is_evaluated():
    env = PlasticityVecEnv(Distance(), networks=2, horizon=5, features="all")
    model = DQN("MlpPolicy", env, learning_starts=40, seed=0)
    before = [parameter.clone() for parameter in model.q_net.parameters()]
    model.learn(120)
    pairs = zip(before, model.q_net.parameters(), strict=True)
    assert all((old != new).any() for old, new in pairs)
    assert len(model.ep_info_buffer) > 0
    assert -5.0 <= evaluate_policy(model, env, n_eval_episodes=8)[0] <= 5.0


def test_seeds_apply_to_the_next_reset():
    env = PlasticityVecEnv("XOR", 2)
    env.seed(3)
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first, second)
    env.seed(3)
    assert np.array_equal([env.reset(), env.reset()], [first, second])
    env.seed(4)  # the first network now has the seed that the second one had
    assert np.array_equal(env.reset()[:82], first[82:])


def test_shared_attributes_are_available():
    env = PlasticityVecEnv(Distance())
    assert env.get_attr("render_mode") == [None] * 4
    assert env.get_attr("action_space", [0, 2]) == [gym.spaces.Discrete(3)] * 2
    assert env.env_is_wrapped(Monitor) == [True] * 4
    assert env.env_is_wrapped(gym.wrappers.TimeLimit, 0) == [False]
    with pytest.warns(UserWarning, match="images need render_mode 'rgb_array'"):
        assert env.get_images() == [None]
    assert_out_of_reach(env, "weight", r"have no 'weight' of their own; PlasticityVecEnv.core")
    env.close()


def test_one_move_per_synapse_is_required():
    env = PlasticityVecEnv(Distance())
    env.reset()
    with pytest.raises(
        ValueError, match=r"got actions of shape \(3,\) for 4 synapses; expected on"
    ):
        env.step(np.ones(3, int))
