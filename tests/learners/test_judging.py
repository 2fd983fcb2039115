"""Tests of judges: both play the same episodes, equal to episodes by hand."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize

import snn_gym
from snn_gym.envs import estimate_limits
from snn_gym.learners.base import SequentialJudge, batched_id, find_observation_limits
from snn_gym.spiking.population import start_weights
from tests.learners.cases import make
from tests.learners.toy_envs import Steady

SEEDS = [5, 6, 7, 40, 2, 3]


def by_hand(policy, env_id, weights, seeds):
    env = gym.make(env_id)
    returns = np.zeros((len(weights), len(seeds)))
    for network, flat in enumerate(weights):
        policy.load_from_vector(flat)
        for episode, seed in enumerate(seeds):
            observation, over = env.reset(seed=seed)[0], False
            while not over:
                action, _ = policy.predict(observation)
                observation, reward, terminated, truncated, _ = env.step(action)
                returns[network, episode] += reward
                over = terminated or truncated
    return returns


@pytest.mark.parametrize("n_envs", [1, 2, 4])
def test_both_judges_give_the_same_returns(n_envs):
    model = make("AcceptReject")
    weights = start_weights(model.population, np.random.default_rng(1), 3, head_scale=1.0)
    batched = model.judge(weights, SEEDS)
    for env in (make_vec_env("CartPole-v1", n_envs), snn_gym.make_vec_env("CartPole-v1", n_envs)):
        held = model.weights
        sequential = SequentialJudge(env, model.policy).play(weights, SEEDS)
        assert np.array_equal(sequential.returns, batched.returns)
        assert np.array_equal(sequential.lengths, batched.lengths)
        assert np.array_equal(sequential.observations, batched.observations)
        assert np.array_equal(model.weights, held)  # the policy keeps its own
    assert np.array_equal(batched.returns, by_hand(model.policy, "CartPole-v1", weights, SEEDS))
    assert len(np.unique(batched.returns)) > 6


def test_pendulum_is_played_in_batches_as_by_hand():
    model = make("AcceptReject", "Pendulum-v1")
    weights = model.weights[None]
    batched = model.judge(weights, [1, 2]).returns
    assert type(model._judge).__name__ == "BatchedJudge"
    np.testing.assert_allclose(batched, by_hand(model.policy, "Pendulum-v1", weights, [1, 2]), 1e-3)


def test_seeds_belong_to_their_episodes():
    # The reward of each of the three steps is the seed.
    judge = SequentialJudge(make_vec_env(Steady, 2), make("WinStay", make_vec_env(Steady)).policy)
    weights = np.zeros((1, judge._policy.parameters_to_vector().size), np.float32)
    assert judge.play(weights, SEEDS).returns.tolist() == [[15, 18, 21, 120, 6, 9]]


def flat_time(env):
    return gym.wrappers.TimeAwareObservation(env)


def test_only_tasks_without_wrappers_are_played_in_batches():
    assert batched_id(make_vec_env("CartPole-v1", 3)) == "CartPole-v1"
    assert batched_id(make_vec_env("LunarLander-v3")) is None
    assert batched_id(make_vec_env(Steady)) is None
    assert batched_id(make_vec_env("CartPole-v1", wrapper_class=flat_time)) is None
    changed = {"sutton_barto_reward": True}
    assert batched_id(make_vec_env("CartPole-v1", env_kwargs=changed)) is None
    assert batched_id(make_vec_env("CartPole-v1", env_kwargs={"max_episode_steps": 9})) is None
    assert batched_id(VecNormalize(make_vec_env("CartPole-v1"))) is None
    assert batched_id(make_vec_env("CartPole-v1", vec_env_cls=None, env_kwargs={})) == "CartPole-v1"
    assert batched_id(snn_gym.make_vec_env("CartPole-v1", 4)) == "CartPole-v1"
    assert batched_id(snn_gym.make_vec_env("CartPole-v1", 4, env_kwargs=changed)) is None
    assert batched_id(snn_gym.make_vec_env("snn/CartPole-v1", 4)) is None


def test_limits_come_from_arguments_task_or_box():
    cartpole = make_vec_env("CartPole-v1")
    assert find_observation_limits(cartpole, ([0] * 4, [2] * 4)).middle.tolist() == [1] * 4
    task = find_observation_limits(cartpole, None)
    np.testing.assert_allclose(task.high, [2.4, 3.0, 0.2095, 3.5])
    watched = find_observation_limits(VecMonitor(cartpole), None)
    assert np.array_equal(watched.high, task.high)
    assert find_observation_limits(make_vec_env(lambda: Steady(low=-4.0)), None).low.tolist() == [
        -4,
        -4,
    ]


@pytest.mark.parametrize("wrapper", [VecNormalize, lambda env: VecFrameStack(env, 2)])
def test_wrapped_observations_have_no_known_limits(wrapper):
    env = wrapper(make_vec_env("CartPole-v1"))
    with pytest.raises(ValueError, match=r"of CartPole-v1 have no limits; give observation_limits"):
        find_observation_limits(env, None)


def test_error_names_the_call_that_estimates_limits():
    with pytest.raises(ValueError, match=r"such as snn_gym.estimate_limits\('Pusher-v5'\)$"):
        find_observation_limits(make_vec_env("Pusher-v5"), None)
    with pytest.raises(ValueError, match=r"with a number for each value$"):
        find_observation_limits(VecNormalize(make_vec_env("Pusher-v5")), None)
    estimated = estimate_limits("Pusher-v5", episodes=1)
    limits = find_observation_limits(make_vec_env("Pusher-v5"), estimated)
    assert np.array_equal(limits.low, estimated[0].astype(np.float32))


@pytest.mark.parametrize("limits", [([0, 0], [1, 0]), ([0], [1, 1]), ([0, 0], [1, np.inf])])
def test_invalid_limits_are_refused(limits):
    with pytest.raises(ValueError, match="each low below its high"):
        find_observation_limits(make_vec_env(Steady), limits)


def test_limits_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"must have shape \(2,\), got \(3,\)"):
        make("WinStay", make_vec_env(Steady), observation_limits=([0] * 3, [1] * 3))


def test_only_batched_tasks_can_be_observed():
    model = make("WinStay", make_vec_env(Steady))
    with pytest.raises(ValueError, match="can be observed in batched tasks only: Acrobot-v1"):
        model.judge(model.weights[None], [1], observer=object())


def test_non_finite_weights_are_refused():
    model = make("WinStay")
    with pytest.raises(ValueError, match="WinStay: 1 of 114 weights are not finite"):
        model.judge(np.where(np.arange(114) == 3, np.nan, model.weights)[None])
