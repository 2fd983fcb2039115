"""Tests of flat forms: observations are the flattened spike trains of their ids."""

import gymnasium as gym
import numpy as np
import pytest

from snn_gym import make_vec_env
from snn_gym._base.spaces import FlatSpikes
from snn_gym.envs.registry import flat_id, flat_ids, load_environment_spec, unflattened_id
from tests.envs.comparison import assert_equal_infos
from tests.envs.variants import GAMES, NATIVE, SPIKING

every_flat_id = pytest.mark.parametrize("env_id", flat_ids())
DRAWN = flat_ids()[::5]
ONE_OF_EACH = ("snn/CartPole-flat-v1", "snn/CueAccumulation-hard-flat-v0")


def test_spiking_ids_have_a_flat_form():
    assert sorted(map(flat_id, [*SPIKING, *NATIVE, *GAMES])) == list(flat_ids())
    assert sorted(map(unflattened_id, flat_ids())) == sorted([*SPIKING, *NATIVE, *GAMES])
    assert flat_id("snn/CartPole-v1") == "snn/CartPole-flat-v1"
    assert flat_id("snn/WaterMaze-hard-v0") == "snn/WaterMaze-hard-flat-v0"
    assert unflattened_id("snn/Plasticity-XOR-v0") == "snn/Plasticity-XOR-v0"


@every_flat_id
def test_flat_spec_equals_the_spec_of_its_id(env_id):
    assert load_environment_spec(env_id) == load_environment_spec(unflattened_id(env_id))
    flat, spec = gym.spec(env_id), gym.spec(unflattened_id(env_id))
    assert flat.kwargs == {**spec.kwargs, "flatten": True}
    assert flat.max_episode_steps == spec.max_episode_steps
    assert flat.reward_threshold == spec.reward_threshold


@pytest.mark.parametrize(
    "env_id", [pytest.param(x, marks=[] if x in DRAWN else pytest.mark.slow) for x in flat_ids()]
)
def test_observations_are_flattened_spike_trains(env_id):
    train, flat = gym.make(unflattened_id(env_id)), gym.make(env_id)
    named = gym.make(unflattened_id(env_id), flatten=True)
    assert named.observation_space == flat.observation_space
    assert type(flat.observation_space) is FlatSpikes
    shape = train.observation_space.shape
    # Planes are the spikes of one time step.
    assert flat.observation_space.spike_shape == (shape if len(shape) == 2 else (1, np.prod(shape)))
    results = [env.reset(seed=3) for env in (train, flat, named)]
    train.action_space.seed(0)
    for _ in range(30):
        (spikes, *rest, info), *others = results
        for observation, *same, same_info in others:
            assert observation in flat.observation_space
            assert observation.dtype == np.float32
            assert np.array_equal(observation.reshape(spikes.shape), spikes)
            assert same == rest
            assert_equal_infos(
                {key: np.asarray(value) for key, value in same_info.items()},
                {key: np.asarray(value) for key, value in info.items()},
            )
        action = train.action_space.sample()
        results = [env.step(action) for env in (train, flat, named)]
        if results[0][2] or results[0][3]:
            results = [env.reset() for env in (train, flat, named)]


@pytest.mark.parametrize("env_id", ONE_OF_EACH)
@pytest.mark.parametrize("mode", ["batched", "sync"])
def test_vec_envs_have_the_flat_space(env_id, mode):
    env = make_vec_env(env_id, 2, seed=0, mode=mode)
    assert type(env.observation_space) is FlatSpikes
    spikes = make_vec_env(unflattened_id(env_id), 2, seed=0).reset()
    assert np.array_equal(env.reset(), spikes.reshape(2, -1))
    env.close()


@pytest.mark.parametrize("env_id", ONE_OF_EACH)
def test_pictures_equal_the_unflattened_id(env_id):
    envs = [gym.make(name, render_mode="rgb_array") for name in (env_id, unflattened_id(env_id))]
    vector = gym.make_vec(env_id, 1, render_mode="rgb_array")
    vector.reset(seed=0)
    for env in envs:
        env.reset(seed=0)
    for _ in range(3):
        flat, train = (env.render() for env in envs)
        assert np.array_equal(flat, train)
        assert np.array_equal(vector.render()[0], train)
        for env in envs:
            env.step(0)
        vector.step(np.array([0]))
