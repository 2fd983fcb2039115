"""Every native task in batches is its single environments, spike for spike."""

import itertools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import snn_gym
from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.registry import load_environment_spec
from tests.envs.variants import NATIVE, every_native_id
from tests.envs.windows import open_and_close

SIZE = 4
# Long enough for several episodes of most tasks; long ones are cut as well, see below.
STEPS = 120


def sampled_actions(task, seed):
    """Yield random actions (B, ...) for ever."""
    task.action_space.seed(seed)
    while True:
        yield task.action_space.sample()


def assert_equal_values(value, same):
    value, same = np.asarray(value), np.asarray(same)
    assert value.dtype == same.dtype
    assert np.array_equal(value, same)


def assert_info_of(index, infos, single):
    """Assert that one environment's share of a batch's infos is what it says alone."""
    keys = {key for key in infos if not key.startswith("_")} - {"final_obs", "final_info"}
    assert keys == set(single)
    for key in keys:
        if isinstance(single[key], np.ndarray):
            assert_equal_values(infos[key][index], single[key])
        # one alone says numbers as Python's
        assert np.array_equal(infos[key][index], single[key])
        assert infos[f"_{key}"][index]


def step_alone(env, action, index, infos):
    """Step a single environment, starting a new episode after an end, as the batch does."""
    spikes, reward, terminated, truncated, info = env.step(action)
    over = terminated or truncated
    assert bool(infos.get("_final_obs", np.zeros(SIZE, np.bool_))[index]) == over
    if over:
        assert_equal_values(infos["final_obs"][index], spikes)
        assert infos["_final_info"][index]
        assert_info_of(index, infos["final_info"], info)
        spikes, info = env.reset()
    elif "final_obs" in infos:
        assert infos["final_obs"][index] is None
        assert not infos["_final_info"][index]
    return spikes, reward, terminated, truncated, info


def assert_steps_agree(task, envs, actions):
    spikes, rewards, terminated, truncated, infos = task.step(actions)
    assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)
    for index, env in enumerate(envs):
        alone = step_alone(env, actions[index], index, infos)
        assert_equal_values(spikes[index], alone[0])
        assert (rewards[index], terminated[index], truncated[index]) == alone[1:4]
        assert_info_of(index, infos, alone[4])
    return int((terminated | truncated).sum())


def assert_part_is_reset_as_alone(task, envs, latest, mask, seeds):
    """Reset a part of a batch; the others' spikes stay, their infos are masked."""
    spikes, infos = task.reset(seed=seeds, options={"reset_mask": mask})
    for index, env in enumerate(envs):
        if mask[index]:
            shown, info = env.reset(seed=None if seeds is None else seeds[index])
            assert_equal_values(spikes[index], shown)
            assert_info_of(index, infos, info)
            continue
        assert_equal_values(spikes[index], latest[index])
        for key, value in infos.items():
            assert not np.any(value[index]), key


@pytest.mark.parametrize("limit", [None, 7], ids=["whole", "cut"])
@every_native_id
def test_each_environment_is_the_single_one_through_episodes_and_resets(env_id, limit):
    # gymnasium's TimeLimit is where it is in use
    changes = {} if limit is None else {"max_episode_steps": limit}
    task = gym.make_vec(env_id, SIZE, **changes)
    envs = [gym.make(env_id, **changes) for _ in range(SIZE)]
    spikes, infos = task.reset(seed=11)
    for index, env in enumerate(envs):
        shown, info = env.reset(seed=11 + index)
        assert_equal_values(spikes[index], shown)
        assert_info_of(index, infos, info)
    ends = 0
    for step, actions in enumerate(itertools.islice(sampled_actions(task, 5), STEPS)):
        ends += assert_steps_agree(task, envs, actions)
        if step in (STEPS // 3, STEPS // 2):
            mask = np.arange(SIZE) % 2 == (step == STEPS // 2)
            seeds = [7, 8, 9, None] if step == STEPS // 2 else None
            assert_part_is_reset_as_alone(task, envs, task._latest.copy(), mask, seeds)
    longest = load_environment_spec(env_id).max_episode_steps if limit is None else limit
    assert ends >= SIZE * (STEPS // (2 * longest))


@every_native_id
def test_the_size_of_a_batch_changes_nothing(env_id):
    few, many = gym.make_vec(env_id, 2), gym.make_vec(env_id, 7)
    assert np.array_equal(few.reset(seed=23)[0], many.reset(seed=20)[0][3:5])
    for actions in itertools.islice(sampled_actions(many, 1), 40):
        one, other = few.step(actions[3:5]), many.step(actions)
        for value, same in zip(one[:4], other[:4], strict=True):
            assert_equal_values(value, same[3:5])


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
    """Return the arrays of what a batch returned, in dicts and object arrays too."""
    if isinstance(value, dict):
        return [array for item in value.values() for array in arrays_in(item)]
    if isinstance(value, tuple):
        return [array for item in value for array in arrays_in(item)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [value, *(item for item in value if item is not None)]
    assert isinstance(value, np.ndarray)
    return [value]


@every_native_id
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


@every_native_id
def test_writing_into_returned_arrays_changes_nothing(env_id):
    task, twin = (gym.make_vec(env_id, 3, max_episode_steps=5) for _ in range(2))
    results, same = task.reset(seed=0), twin.reset(seed=0)
    for actions in itertools.islice(sampled_actions(twin, 2), 18):
        for array in arrays_in(results):
            array.fill(1)
        given = actions.copy()
        results, same = task.step(given), twin.step(actions)
        # what an agent does with its actions afterwards is its own affair, too
        given.fill(0)
        for array, other in zip(arrays_in(results), arrays_in(same), strict=True):
            if array.dtype != object:
                assert np.array_equal(array, other)


@every_native_id
def test_a_step_needs_a_reset_of_all_environments(env_id):
    task = gym.make_vec(env_id, 2)
    actions = task.action_space.sample()
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before step\(\)"):
        task.step(actions)
    task.reset(seed=0, options={"reset_mask": np.array([True, False])})
    with pytest.raises(gym.error.ResetNeeded):
        task.step(actions)
    task.reset(seed=0)
    task.step(actions)
    env = gym.make(env_id).unwrapped
    with pytest.raises(gym.error.ResetNeeded):
        env.step(actions[0])


@every_native_id
def test_actions_that_do_not_fit_are_refused(env_id):
    task = gym.make_vec(env_id, 2)
    task.reset(seed=0)
    space = task.single_action_space
    if isinstance(space, gym.spaces.Discrete):
        wrong = ([0, int(space.n)], [0, -1], [0.0, 1.0], [0], [0, 0, 0], [[0], [0]])
    else:
        shape = space.shape
        wrong = (np.zeros((3, *shape)), np.zeros((2, *shape, 1)), np.zeros(2 + shape[0]), 0.0)
    for actions in wrong:
        with pytest.raises(ValueError, match="do not fit the action space; expected 2 actions of"):
            task.step(actions)


@every_native_id
def test_options_masks_and_seeds_that_do_not_fit_are_refused(env_id):
    task, env = gym.make_vec(env_id, 2), gym.make(env_id)
    for options in ({"cues": 3}, {"cues": 3, "reset_mask": np.array([True, False])}):
        with pytest.raises(
            ValueError, match=r"options \['cues'\] are unknown; .* takes 'reset_mask'"
        ):
            task.reset(options=options)
    with pytest.raises(ValueError, match=r"options \['cues'\] are unknown"):
        env.reset(options={"cues": 3})
    with pytest.raises(TypeError, match="must be a numpy array of bools"):
        task.reset(options={"reset_mask": [True, False]})
    for mask in (np.array([True]), np.array([False, False])):
        with pytest.raises(ValueError, match=r"must have shape \(2,\) and pick at least one"):
            task.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="seed lists 3 seeds for 2 environments"):
        task.reset(seed=[1, 2, 3])


@every_native_id
def test_unknown_settings_modes_and_sizes_are_refused_in_one_line(env_id):
    name = type(gym.make(env_id).unwrapped.task).__name__
    for make in (gym.make, gym.make_vec):
        # as Python says it, which TorchRL and others look for
        with pytest.raises(
            TypeError, match=f"^{name} got an unexpected keyword argument 'speed'; allowed: "
        ) as caught:
            make(env_id, speed=3)
        assert "\n" not in str(caught.value)
    task_class = type(gym.make(env_id).unwrapped.task)
    with pytest.raises(
        ValueError, match="num_envs and max_episode_steps must be at least 1, got 0"
    ):
        task_class(0)
    with pytest.raises(ValueError, match="must be at least 1, got 1 and 0"):
        task_class(1, max_episode_steps=0)
    with pytest.raises(ValueError, match="render_mode 'human' is not allowed for a batch"):
        task_class(1, render_mode="human")
    env_class = type(gym.make(env_id).unwrapped)
    with pytest.raises(ValueError, match="'ansi' is unknown; allowed modes: human, rgb_array"):
        env_class(render_mode="ansi")


@every_native_id
def test_pictures_are_those_of_the_single_environments(env_id):
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


@every_native_id
def test_a_picture_draws_on_no_random_numbers(env_id):
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


@every_native_id
def test_a_window_opens_and_closes(env_id):
    env = gym.make(env_id, render_mode="human")
    env.unwrapped._window._frames_per_second = 0
    open_and_close(env)


def test_without_a_render_mode_nothing_is_drawn_and_a_remedy_named():
    env, task = gym.make(NATIVE[0]).unwrapped, gym.make_vec(NATIVE[0], 2)
    env.reset(seed=0), task.reset(seed=0)
    with pytest.warns(UserWarning, match=r"gym\.make\(id, render_mode=\"rgb_array\"\)"):
        assert env.render() is None
    with pytest.warns(UserWarning, match=r"gym\.make_vec\(id, render_mode=\"rgb_array\"\)"):
        assert task.render() is None


def test_a_reset_of_a_part_leaves_the_other_pictures():
    task = gym.make_vec("snn/CueAccumulation-v0", 2, render_mode="rgb_array")
    task.reset(seed=0)
    task.step(np.array([0, 0]))
    before = task.render()
    task.reset(options={"reset_mask": np.array([True, False])})
    after = task.render()
    assert not np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])


@every_native_id
def test_stable_baselines_gets_the_batch(env_id):
    env = snn_gym.make_vec_env(env_id, 3, seed=0)
    assert isinstance(env, StableBaselinesVecEnv)
    assert isinstance(env.vector_env, SpikeTask)
    assert np.array_equal(env.reset(), gym.make_vec(env_id, 3).reset(seed=0)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(12):
            actions = np.stack([env.action_space.sample() for _ in range(3)])
            spikes, rewards, dones, infos = env.step(actions)
            assert (spikes.shape, rewards.shape) == ((3, *env.observation_space.shape), (3,))
            for done, info in zip(dones, infos, strict=True):
                assert ("terminal_observation" in info) == ("episode" in info) == done
    env.close()
