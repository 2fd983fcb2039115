"""Tests of the contract of every registered environment."""

import itertools
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from snn_gym.envs.registry import load_environment_spec
from snn_gym.envs.synapses.jobs import Judgement, RolloutJob
from snn_gym.program.encoders import spike_encoders
from tests.envs.variants import GAMES, SPIKING, drawn, every_id, every_variant, steps_of
from tests.opengl import skip_where_it_cannot_be_drawn

# The whole list: Pendulum's own torques reach from -2 to 2, and other ones were another task.
ALLOWED_WARNINGS = {"snn/Pendulum-v1": re.compile("symmetric and normalized (Box action )?space")}


def rollout(env, seed, steps):
    """Yield the results of an environment under random actions, with resets."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    yield observation, 0.0, False, False, info
    for _ in range(steps):
        result = env.step(env.action_space.sample())
        yield result
        if result[2] or result[3]:
            observation, info = env.reset()
            yield observation, 0.0, False, False, info


def assert_equal_step(one, other):
    assert np.array_equal(one[0], other[0])
    assert one[0].dtype == other[0].dtype
    assert one[1:4] == other[1:4]
    assert_equal_info(one[4], other[4])


def assert_equal_info(info, same):
    assert info.keys() == same.keys()
    assert all(np.array_equal(info[key], same[key]) for key in info)


def fingerprint(start):
    """Return a reset result as bytes, with the info."""
    observation, info = start
    return observation.tobytes() + b"".join(np.asarray(info[key]).tobytes() for key in sorted(info))


@every_variant
@pytest.mark.parametrize("check_env", [gymnasium_check_env, sb3_check_env])
def test_environment_checkers_pass(env_id, arguments, check_env):
    skip_where_it_cannot_be_drawn(env_id)
    env = gym.make(env_id, **arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped if check_env is gymnasium_check_env else env)
    messages = [str(warning.message) for warning in caught]
    allowed = ALLOWED_WARNINGS.get(env_id)
    if allowed is None:
        assert messages == []
    else:
        assert messages
        assert [text for text in messages if not allowed.search(text)] == []


@every_variant
def test_seeds_change_episodes(env_id, arguments):
    env = gym.make(env_id, **arguments)
    starts = {fingerprint(env.reset(seed=seed)) for seed in range(5)}
    assert len(starts) == 5 or env_id in GAMES  # some games start alike
    steps = steps_of(env_id, 60)
    first, second = ([step[0] for step in rollout(env, seed, steps)] for seed in (1, 2))
    assert any(not np.array_equal(a, b) for a, b in itertools.zip_longest(first, second))


@every_variant
def test_next_episode_continues_the_random_stream(env_id, arguments):
    one, other = gym.make(env_id, **arguments), gym.make(env_id, **arguments)
    one.reset(seed=5), other.reset(seed=5)
    start, (same, same_info) = one.reset(), other.reset()
    assert np.array_equal(start[0], same)
    assert_equal_info(start[1], same_info)
    # Some games start alike; tests of games compare whole episodes.
    assert env_id in GAMES or fingerprint(one.reset()) != fingerprint(start)


@every_variant
def test_spec_recreates_the_environment(env_id, arguments):
    env = gym.make(env_id, **arguments)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space
    steps, seen = steps_of(env_id, 120), 0.0
    for step, same_step in zip(rollout(env, 3, steps), rollout(again, 3, steps), strict=True):
        assert_equal_step(step, same_step)
        seen += float(np.abs(step[0]).sum())
    assert seen > 0


@every_variant
def test_returned_buffers_are_never_written_again(env_id, arguments):
    env = gym.make(env_id, **arguments)
    steps = list(rollout(env, 0, steps_of(env_id, 60)))
    arrays = [step[0] for step in steps]
    arrays += [item for step in steps for item in step[4].values() if isinstance(item, np.ndarray)]
    assert all(array.flags.owndata for array in arrays)
    assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise(arrays))
    assert len({id(array) for array in arrays}) == len(arrays)


@pytest.mark.parametrize(("env_id", "encoder"), drawn(SPIKING, spike_encoders()))
def test_states_and_rewards_equal_the_base_task(env_id, encoder):
    env = gym.make(env_id, encoder=encoder)
    base = gym.make(load_environment_spec(env_id).base_id)
    for step, base_step in zip(rollout(env, 11, 250), rollout(base, 11, 250), strict=True):
        assert np.array_equal(step[4]["analogue_observation"], base_step[0])
        assert step[1:4] == base_step[1:4]


@pytest.fixture
def worthless(monkeypatch):
    """Replace the rollouts of plasticity tasks by scores of 0, to save time."""

    def judge(self, population, weights, probe, *, measure=False):
        return Judgement(np.zeros(len(weights)), np.zeros(len(weights), np.int64))

    monkeypatch.setattr(RolloutJob, "judge", judge)


@every_id
def test_episodes_are_truncated_at_the_limit(env_id, worthless):
    env = gym.make(env_id)
    limit = load_environment_spec(env_id).max_episode_steps
    env.reset(seed=0)
    env.action_space.seed(0)
    count, terminated, truncated = 0, False, False
    while not (terminated or truncated):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        count += 1
    assert count <= limit
    assert truncated == (count == limit)
