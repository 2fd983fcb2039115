"""Comparison of two VecEnvs of Stable-Baselines3, and of two of gymnasium's."""

import numpy as np
import pytest


def parts(observations):
    """Return the arrays of an observation by name."""
    if isinstance(observations, dict):
        return observations
    if isinstance(observations, tuple):
        return dict(enumerate(observations))
    return {"": observations}


def assert_equal_observations(ours, theirs):
    ours, theirs = parts(ours), parts(theirs)
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert np.array_equal(ours[key], value)
        assert np.asarray(ours[key]).dtype == np.asarray(value).dtype


def assert_equal_runs(ours, theirs, seed, steps):
    """Assert that two VecEnvs give equal results under the same random actions."""
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.seed(seed) == theirs.seed(seed)
    assert_equal_observations(ours.reset(), theirs.reset())
    ours.action_space.seed(seed)
    for step in range(steps):
        actions = np.array([ours.action_space.sample() for _ in range(ours.num_envs)])
        (observations, *arrays, infos), (same, *same_arrays, same_infos) = (
            env.step(actions) for env in (ours, theirs)
        )
        assert_equal_observations(observations, same)
        for one, other in zip(arrays, same_arrays, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        for info, same_info in zip(infos, same_infos, strict=True):
            assert info.keys() == same_info.keys()
            assert info["TimeLimit.truncated"] is bool(same_info["TimeLimit.truncated"])
            if "episode" in same_info:
                for key in ("r", "l"):
                    assert info["episode"][key] == same_info["episode"][key]
                assert_equal_observations(
                    info["terminal_observation"], same_info["terminal_observation"]
                )
        assert [info.keys() for info in ours.reset_infos] == [
            info.keys() for info in theirs.reset_infos
        ]
        if step == steps // 2:
            assert_equal_observations(ours.reset(), theirs.reset())


def assert_equal_infos(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, dict):
            assert_equal_infos(ours[key], value)
        elif value.dtype == object:
            assert all(np.array_equal(a, b) for a, b in zip(ours[key], value, strict=True))
        else:
            assert ours[key].dtype == value.dtype
            assert np.array_equal(ours[key], value)


def assert_equal_results(ours, theirs):
    for one, other in zip(ours[:-1], theirs[:-1], strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert_equal_infos(ours[-1], theirs[-1])


def assert_out_of_reach(env, name, message):
    """Assert that a VecEnv does not pass on an attribute or method of single environments."""
    for reach in (
        lambda: env.get_attr(name),
        lambda: env.set_attr(name, 1.0),
        lambda: env.env_method(name),
    ):
        with pytest.raises(AttributeError, match=message):
            reach()


def assert_equal_batches(ours, theirs, steps, seed=8):
    """Assert that two batches give equal results, with a reset between."""
    for name in ("action_space", "observation_space"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, f"single_{name}") == getattr(theirs, f"single_{name}")
    assert_equal_results(ours.reset(seed=seed), theirs.reset(seed=seed))
    ours.action_space.seed(0)
    for step in range(steps):
        actions = ours.action_space.sample()
        assert_equal_results(ours.step(actions), theirs.step(actions))
        if step == steps // 2:
            assert_equal_results(ours.reset(), theirs.reset())
