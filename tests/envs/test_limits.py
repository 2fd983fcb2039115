"""Tests of observation limits estimated from episodes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import snn_gym
from snn_gym.envs import SpikeObservation
from snn_gym.envs.registry import load_environment_spec


class Counter(gym.Env):
    """Show the seed, the step, the latest action and a constant; an episode has 9 steps."""

    def __init__(self, low=-np.inf, high=np.inf, last=9):
        self.observation_space = spaces.Box(low, high, (2, 2), np.float64)
        self.action_space = spaces.Discrete(5, start=3)
        self.last = last

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = np.array([[float(seed), 0.0], [0.0, 7.0]])
        return self.seen.copy(), {}

    def step(self, action):
        self.seen[0, 1] += 1.0
        self.seen[1, 0] = float(action)
        return self.seen.copy(), 0.0, self.seen[0, 1] == self.last, False, {}


def test_limits_are_percentiles_of_all_observations():
    low, high = snn_gym.estimate_limits(
        Counter(), episodes=3, seed=10, policy=lambda seen: 4 + seen[0, 1] % 2, percentiles=(0, 100)
    )
    # the constant has a range of 1 around it
    assert low.tolist() == [[10.0, 0.0], [0.0, 6.5]]
    assert high.tolist() == [[12.0, 9.0], [5.0, 7.5]]
    low, high = snn_gym.estimate_limits(Counter(), episodes=1, percentiles=(20, 80))
    # of the steps 0 to 9
    assert (low[0, 1], high[0, 1]) == (1.8, 7.2)


def test_episodes_stop_after_the_step_limit():
    _, high = snn_gym.estimate_limits(Counter(), episodes=2, percentiles=(0, 100), max_steps=4)
    assert high[0, 1] == 4.0


def test_finite_bounds_are_kept():
    low, high = snn_gym.estimate_limits(Counter(-3.0), episodes=2, percentiles=(0, 100))
    assert low.tolist() == [[-3.0] * 2] * 2
    assert high[0].tolist() == [1.0, 9.0]
    limits = snn_gym.estimate_limits("MountainCar-v0", episodes=1)
    space = gym.make("MountainCar-v0").observation_space
    assert np.array_equal(limits, [space.low, space.high])


@pytest.mark.parametrize("env_id", ["CartPole-v1", "InvertedDoublePendulum-v5"])
def test_limits_depend_only_on_the_seed(env_id):
    first = snn_gym.estimate_limits(env_id, episodes=4, seed=3)
    env = gym.make(env_id)
    env.action_space.seed(8)
    assert np.array_equal(snn_gym.estimate_limits(env, 4, 3), first)
    assert np.array_equal(snn_gym.estimate_limits(env, 4, 3), first)
    assert not np.array_equal(snn_gym.estimate_limits(env_id, 4, 4), first)
    env.reset()  # is open still


def test_limits_match_the_environment_file_and_work_with_the_encoder():
    # The file's limits hold 98 % and more of random play's observations.
    env_id = "InvertedDoublePendulum-v5"
    settings, env = load_environment_spec(env_id).spikes, gym.make(env_id)
    assert np.isinf(env.observation_space.low).all()
    low, high = snn_gym.estimate_limits(env, episodes=60)
    assert (low >= settings.low).mean() > 0.7
    assert (high <= settings.high).mean() > 0.7
    assert SpikeObservation(env, low=low, high=high).reset(seed=0)[0].any()


@pytest.mark.parametrize(
    ("env", "arguments", "message"),
    [
        ("Blackjack-v1", {}, r"^limits are for Box observations, got Tuple.*FlattenObservation"),
        ("FrozenLake-v1", {}, r"^limits are for Box observations, got Discrete\(16\)"),
        ("CartPole-v1", {"episodes": 0}, r"at least 1 .* got 0, 1000 and \(1.0, 99.0\)$"),
        ("CartPole-v1", {"max_steps": 10.5}, r"^max_steps: expected int, got 10.5 \(float\)$"),
        ("CartPole-v1", {"episodes": True}, r"^episodes: expected int, got True \(bool\)$"),
        ("CartPole-v1", {"percentiles": (99, 1)}, r"percentiles rise within \[0, 100\], got 20"),
        ("nowhere:X-v0", {}, "No module named 'nowhere'"),
        (Counter(last=np.nan), {"policy": lambda seen: np.nan, "max_steps": 3}, "at step 1 of the"),
    ],
)
def test_failed_estimates_are_refused_in_one_line(env, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        snn_gym.estimate_limits(env, **arguments)
    assert "\n" not in str(caught.value)


class Reacher(gym.Env):
    """Continuous task as of DeepMind's control suite: a Dict, one value of which never changes."""

    observation_space = spaces.Dict(
        {
            "position": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "touch": spaces.Box(-np.inf, np.inf, (1,), np.float64),
        }
    )
    action_space = spaces.Box(-1.0, 1.0, (2,))

    def _seen(self):
        return {"position": self.position, "touch": np.zeros(1)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.normal(size=2)
        return self._seen(), {}

    def step(self, action):
        self.position = self.position + action
        distance = float(np.linalg.norm(self.position))
        return self._seen(), -distance, distance > 4.0, False, {}


def test_one_call_makes_a_continuous_task_one_in_spikes():
    flat = gym.wrappers.FlattenObservation(Reacher())
    low, high = snn_gym.estimate_limits(flat)
    assert (low[2], high[2]) == (-0.5, 0.5)

    assert SpikeObservation(flat, low=low, high=high).reset(seed=0)[0].shape == (8, 30)
