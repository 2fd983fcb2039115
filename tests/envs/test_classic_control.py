"""Tests of batched classic-control tasks, against gymnasium's environments."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.envs.classic_control import BATCHED_TASKS
from tests.envs.comparison import assert_equal_batches, assert_equal_results
from tests.marked import slow

every_task = pytest.mark.parametrize("base_id", BATCHED_TASKS)


def bang_bang(observations, generator):
    """Push the cart to the side of the falling pole, which gives long episodes."""
    lean = observations[:, 2] + 0.4 * observations[:, 3] + 0.02 * observations[:, 0]
    return (lean > 0).astype(np.int64)


def pump(velocity, generator, reverse=0.1):
    """Push along the velocity, sometimes against it."""
    push = np.where(velocity > 0, 1, -1)
    return np.where(generator.random(len(push)) < reverse, -push, push)


SCRIPTS = {
    "Acrobot-v1": lambda obs, generator: 1 + pump(-obs[:, 4], generator),
    "CartPole-v1": bang_bang,
    "MountainCar-v0": lambda obs, generator: 1 + pump(obs[:, 1], generator, 0.05),
    "MountainCarContinuous-v0": lambda obs, generator: (
        # beyond the limits too, where gymnasium computes with another dtype
        (pump(obs[:, 1], generator) * generator.uniform(0.5, 1.5, len(obs)))
        .astype(np.float32)
        .reshape(-1, 1)
    ),
    "Pendulum-v1": lambda obs, generator: (
        (pump(obs[:, 2], generator) * generator.uniform(0, 3, len(obs)))
        .astype(np.float32)
        .reshape(-1, 1)
    ),
}

# (environments with random actions, with scripted ones, steps): over 1,000 episodes of each task.
# Random actions alone make the longest episodes of most tasks, so there are fewer of them.
RUNS = {
    "Acrobot-v1": (2, 60, 1850), "CartPole-v1": (50, 4, 520), "MountainCar-v0": (4, 80, 2000),
    "MountainCarContinuous-v0": (2, 60, 2020), "Pendulum-v1": (30, 30, 3401),
}  # fmt: skip
# Two of each, for as many steps: some twenty episodes and more.
SHORT_RUNS = {base_id: (2, 2, steps) for base_id, (_, _, steps) in RUNS.items()}


def batched_run(base_id, seed, run):
    """Return the results of a batch under random and scripted actions, stacked in time."""
    random, scripted, steps = run
    env = BATCHED_TASKS[base_id](random + scripted)
    env.action_space.seed(seed)
    generator = np.random.default_rng(seed)
    observations, _ = env.reset(seed=seed)
    record = []
    for _ in range(steps):
        actions = env.action_space.sample()
        actions[random:] = SCRIPTS[base_id](observations, generator)[random:]
        observations, rewards, terminated, truncated, infos = env.step(actions)
        last = observations.copy()
        for index in np.flatnonzero(terminated | truncated):
            last[index] = infos["final_obs"][index]
        record.append((actions, observations, last, env.state, rewards, terminated, truncated))
    return [np.stack(part) for part in zip(*record, strict=True)]


def single_run(base_id, seed, actions):
    """Return the results of one gymnasium environment under the same actions."""
    env = gym.make(base_id, disable_env_checker=True)
    env.reset(seed=seed)
    record = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        last = observation
        if terminated or truncated:
            observation, _ = env.reset()
        state = np.array(env.unwrapped.state, np.float64)
        record.append((observation, last, state, reward, terminated, truncated))
    return [np.array(part) for part in zip(*record, strict=True)]


@every_task
@pytest.mark.parametrize(("runs", "episodes"), [(SHORT_RUNS, 20), slow(RUNS, 1000)])
def test_episodes_equal_gymnasium_bit_for_bit(base_id, runs, episodes):
    actions, *batched = batched_run(base_id, 20, runs[base_id])
    for index in range(actions.shape[1]):
        single = single_run(base_id, 20 + index, actions[:, index])
        for one, other in zip(batched, single, strict=True):
            assert np.array_equal(one[:, index], other)
            assert one.dtype == other.dtype
    terminated, truncated = batched[-2:]
    assert np.logical_or(terminated, truncated).sum() >= episodes
    assert truncated.any()
    assert terminated.any() == (base_id != "Pendulum-v1")


def same_step(base_id, num_envs, **arguments):
    return gym.make_vec(
        base_id,
        num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )


@every_task
@settings(max_examples=5)
@given(
    num_envs=st.integers(1, 6),
    seed=st.integers(0, 2**31) | st.just("list"),
    limit=st.integers(1, 20),
)
def test_interface_equals_gymnasiums_same_step_batch(base_id, num_envs, seed, limit):
    seed = list(range(7, 7 + 3 * num_envs, 3)) if seed == "list" else seed
    ours = BATCHED_TASKS[base_id](num_envs, max_episode_steps=limit)
    theirs = same_step(base_id, num_envs, max_episode_steps=limit)
    assert isinstance(theirs, SyncVectorEnv)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert_equal_batches(ours, theirs, steps=45, seed=seed)


OPTIONS = {
    "Acrobot-v1": {"low": -0.01, "high": 0.2},
    "CartPole-v1": {"low": -0.01, "high": 0.2},
    # Beyond the goal, where the first step is told from the later ones.
    "MountainCar-v0": {"low": 0.3, "high": 0.6},
    "MountainCarContinuous-v0": {"low": 0.3, "high": 0.6},
    "Pendulum-v1": {"x_init": 0.5, "y_init": 0.0},
}


@every_task
def test_reset_options_apply_to_started_episodes_only(base_id):
    ours, theirs = BATCHED_TASKS[base_id](5, 10), same_step(base_id, 5, max_episode_steps=10)
    results = [env.reset(seed=1, options=OPTIONS[base_id]) for env in (ours, theirs)]
    assert_equal_results(*results)
    assert not np.array_equal(results[0][0], ours.reset(seed=1)[0])
    ours.reset(seed=1, options=OPTIONS[base_id])
    ours.action_space.seed(0)
    for _ in range(25):
        actions = ours.action_space.sample()
        assert_equal_results(ours.step(actions), theirs.step(actions))


def test_acrobots_first_observations_are_computed_in_float32():
    # Wide angles: here one in six tells the two cosines apart, near 0 one in a thousand.
    ours, theirs = BATCHED_TASKS["Acrobot-v1"](300), same_step("Acrobot-v1", 300)
    options = {"low": -3.0, "high": 3.0}
    assert_equal_results(*(env.reset(seed=0, options=options) for env in (ours, theirs)))


@pytest.mark.parametrize(
    ("base_id", "arguments"),
    [
        ("CartPole-v1", {"sutton_barto_reward": True}),
        ("MountainCar-v0", {"goal_velocity": 0.02}),
        ("MountainCarContinuous-v0", {"goal_velocity": 0.02}),
        ("Pendulum-v1", {"g": 3.0}),
    ],
)
def test_task_arguments_are_used(base_id, arguments):
    ours, theirs = BATCHED_TASKS[base_id](20, **arguments), same_step(base_id, 20, **arguments)
    generator = np.random.default_rng(0)
    observations, _ = ours.reset(seed=0)
    theirs.reset(seed=0)
    for _ in range(160):
        actions = SCRIPTS[base_id](observations, generator)
        result = ours.step(actions)
        assert_equal_results(result, theirs.step(actions))
        observations = result[0]


@every_task
def test_pictures_equal_gymnasium(base_id):
    ours = BATCHED_TASKS[base_id](2, render_mode="rgb_array")
    theirs = same_step(base_id, 2, render_mode="rgb_array")
    for env in (ours, theirs):
        env.reset(seed=4)
    ours.action_space.seed(0)
    actions = ours.action_space.sample()
    for _ in range(3):
        for one, other in zip(ours.render(), theirs.render(), strict=True):
            assert np.array_equal(one, other)
        ours.step(actions), theirs.step(actions)
    assert not np.array_equal(*ours.render())
    ours.close()
    ours.close()


def test_missing_render_mode_gives_a_warning_with_the_fix():
    with pytest.warns(UserWarning, match=r"gym\.make_vec\(.*render_mode=\"rgb_array\"\)"):
        assert BATCHED_TASKS["CartPole-v1"](2).render() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "^num_envs and max_episode_steps must be at least 1, got 0 and 500$"),
        ({"max_episode_steps": 0}, "must be at least 1, got 1 and 0$"),
        ({"render_mode": "human"}, "'human' is not allowed for a batch .*use 'rgb_array' or"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BATCHED_TASKS["CartPole-v1"](**arguments)


@pytest.mark.parametrize(
    ("base_id", "actions"),
    [
        ("CartPole-v1", [0, 1]), ("CartPole-v1", [0, 1, 2]), ("CartPole-v1", [0, 1, -1]),
        ("CartPole-v1", [0.0, 1.0, 1.0]), ("CartPole-v1", [[0], [1], [1]]),
        ("Pendulum-v1", [0.0, 1.0, 1.0]), ("Pendulum-v1", [["a"], ["b"], ["c"]]),
    ],
)  # fmt: skip
def test_invalid_actions_are_refused(base_id, actions):
    env = BATCHED_TASKS[base_id](3)
    env.reset(seed=0)
    before = env.state
    with pytest.raises(ValueError, match=r"do not fit the action space; expected 3 actions of"):
        env.step(actions)
    assert np.array_equal(env.state, before)


def test_small_unsigned_actions_are_read_correctly():
    ours, same = BATCHED_TASKS["MountainCar-v0"](2), BATCHED_TASKS["MountainCar-v0"](2)
    ours.reset(seed=0), same.reset(seed=0)
    small = ours.step(np.array([0, 2], np.uint8))[0]
    assert np.array_equal(small, same.step(np.array([0, 2]))[0])


def test_a_step_before_the_first_reset_is_refused():
    env = BATCHED_TASKS["CartPole-v1"](2)
    with pytest.raises(gym.error.ResetNeeded, match=r"^call reset\(\) before step\(\)$"):
        env.step([0, 1])


def test_one_seed_per_environment_is_required():
    with pytest.raises(ValueError, match=r"^seed lists 3 seeds for 2 environments$"):
        BATCHED_TASKS["CartPole-v1"](2).reset(seed=[1, 2, 3])


@pytest.mark.parametrize("seed", [0.9, True, [0.9, 1], [True, 1], np.array([1.0, 2.0])])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match=r"^seed(\[0\])?: expected int"):
        BATCHED_TASKS["CartPole-v1"](2).reset(seed=seed)


def test_seeds_of_numpy_are_those_of_python():
    env = BATCHED_TASKS["CartPole-v1"](2)
    first, _ = env.reset(seed=[4, 5])
    for seed in (np.int64(4), np.array([4, 5]), range(4, 6)):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], first)
