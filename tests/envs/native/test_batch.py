"""Tests of native tasks in batches: spaces, arrays, errors and images."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.registry import load_environment_spec
from tests.envs.variants import NATIVE_BASES, every_native_id
from tests.envs.windows import assert_window_opens_and_closes

CUES = "snn/CueAccumulation-v0"
every_base = pytest.mark.parametrize("env_id", NATIVE_BASES)


def sampled_actions(task, seed):
    """Yield random actions (B, ...) without end."""
    task.action_space.seed(seed)
    while True:
        yield task.action_space.sample()


@every_native_id
def test_spaces_limits_and_autoreset_are_stated(env_id):
    spec = load_environment_spec(env_id)
    task, env = gym.make_vec(env_id, 3), gym.make(env_id)
    assert isinstance(task, SpikeTask)
    assert task.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert task.single_observation_space == env.observation_space
    assert task.single_action_space == env.action_space
    assert task.observation_space.shape == (3, *env.observation_space.shape)
    assert task.settings.episode_steps == spec.max_episode_steps == task._limit
    assert gym.spec(env_id).max_episode_steps == spec.max_episode_steps
    spikes, _ = task.reset(seed=0)
    assert spikes.dtype == np.int8
    assert all(one in task.single_observation_space for one in spikes)
    assert 0 < spikes.mean() < 0.5


def arrays_in(value):
    """Return all arrays in a batch result, also in dicts and object arrays."""
    if isinstance(value, dict):
        return [array for item in value.values() for array in arrays_in(item)]
    if isinstance(value, tuple):
        return [array for item in value for array in arrays_in(item)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [value, *(item for item in value if item is not None)]
    assert isinstance(value, np.ndarray)
    return [value]


@pytest.mark.parametrize("env_id", [*NATIVE_BASES, "snn/CartPole-v1", "snn/MaskedCartPole-v1"])
def test_returned_arrays_are_never_written_again(env_id):
    task = gym.make_vec(env_id, 3, max_episode_steps=5)
    arrays = arrays_in(task.reset(seed=0))
    for actions in itertools.islice(sampled_actions(task, 2), 18):
        arrays += arrays_in(task.step(actions))
    kept = [array.copy() for array in arrays]
    for actions in itertools.islice(sampled_actions(task, 3), 18):
        task.step(actions)
    task.reset(seed=5)
    assert all(array.flags.owndata for array in arrays)
    assert len({array.ctypes.data for array in arrays}) == len(arrays)
    for array, same in zip(arrays, kept, strict=True):
        if array.dtype != object:
            assert np.array_equal(array, same)


def test_options_and_settings_that_do_not_exist_are_refused():
    for env in (gym.make_vec(CUES, 2), gym.make(CUES)):
        with pytest.raises(ValueError, match=r"options \['cues'\] are unknown; .* takes none"):
            env.reset(options={"cues": 3})
    for make in (gym.make, gym.make_vec):
        # Python's own wording, which TorchRL looks for.
        with pytest.raises(
            TypeError, match=r"^CueAccumulation got an unexpected keyword argument 'speed'; all"
        ) as caught:
            make(CUES, speed=3)
        assert "\n" not in str(caught.value)


def test_single_environments_check_actions_and_require_a_reset():
    env = gym.make(CUES).unwrapped
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before step\(\)"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="do not fit the action space; expected 1 actions of"):
        env.step(2)


@every_base
def test_pictures_equal_single_environments(env_id):
    task = gym.make_vec(env_id, 2, render_mode="rgb_array")
    envs = [gym.make(env_id, render_mode="rgb_array") for _ in range(2)]
    task.reset(seed=0)
    for index, env in enumerate(envs):
        env.reset(seed=index)
    start = [env.render() for env in envs]
    for actions in itertools.islice(sampled_actions(task, 0), 3):
        *_, terminated, _, _ = task.step(actions)
        for env, action in zip(envs, actions, strict=True):
            env.step(action)
        if terminated.any():
            break
        images, alone = task.render(), [env.render() for env in envs]
        for image, same in zip(images, alone, strict=True):
            assert (image.dtype, image.shape) == (np.uint8, (256, 640, 3))
            assert np.array_equal(image, same)
        assert not np.array_equal(alone[0], start[0])
    task.close()


@pytest.mark.parametrize("env_id", NATIVE_BASES[::3])
def test_rendering_uses_no_random_numbers(env_id):
    drawn, plain = gym.make(env_id, render_mode="rgb_array"), gym.make(env_id)
    assert np.array_equal(drawn.reset(seed=0)[0], plain.reset(seed=0)[0])
    plain.action_space.seed(0)
    for _ in range(4):
        action = plain.action_space.sample()
        drawn.render()
        one, other = drawn.step(action), plain.step(action)
        assert np.array_equal(one[0], other[0])
        assert one[1:3] == other[1:3]
        if one[2]:
            break


@pytest.mark.parametrize("env_id", NATIVE_BASES[:1])
def test_a_window_opens_and_closes(env_id):
    env = gym.make(env_id, render_mode="human")
    env.unwrapped._window._frames_per_second = 0
    assert_window_opens_and_closes(env)


def test_missing_render_mode_gives_a_warning_with_the_fix():
    env, task = gym.make(CUES).unwrapped, gym.make_vec(CUES, 2)
    env.reset(seed=0), task.reset(seed=0)
    with pytest.warns(UserWarning, match=r"gym\.make\(id, render_mode=\"rgb_array\"\)"):
        assert env.render() is None
    with pytest.warns(UserWarning, match=r"gym\.make_vec\(id, render_mode=\"rgb_array\"\)"):
        assert task.render() is None
