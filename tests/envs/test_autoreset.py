"""Tests of batches in every autoreset mode, against gymnasium's batches."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

import snn_gym
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import flat_ids
from snn_gym.program.encoders import spike_encoders
from tests.envs.comparison import assert_equal_batches
from tests.envs.variants import PLASTICITY, SPIKING, steps_of

# Random streams of waiting environments must not move: those of the rate encoder, and the probes
# of a network in training, renewed by the second move.
ARGUMENTS = {
    **{name: {"encoder": "rate", "time_steps": 2} for name in SPIKING},
    **{
        name: {"network": {"hidden_sizes": [3], "time_steps": 2}, "probe_size": 2,
               "renew_probe_every": 2}
        for name in PLASTICITY
    },
}  # fmt: skip


def batches(env_id, mode, **arguments):
    """Return our batch, and gymnasium's of our single environments."""
    ours = gym.make_vec(env_id, 3, autoreset_mode=mode, **arguments)
    theirs = gym.make_vec(
        env_id, 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **arguments
    )
    assert type(ours) is not type(theirs)
    return ours, theirs


every_mode = pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])


@every_mode
@pytest.mark.parametrize("env_id", [*snn_gym.env_ids(), *flat_ids()])
def test_batches_equal_gymnasiums_batches(env_id, mode):
    arguments = {"max_episode_steps": 4, **ARGUMENTS.get(env_id, {})}
    ours, theirs = batches(env_id, mode, **arguments)
    assert_equal_batches(ours, theirs, steps=steps_of(env_id, 45))


@pytest.mark.parametrize("encoder", spike_encoders())
def test_batches_of_each_encoder_equal_gymnasiums(encoder):
    arguments = {"encoder": encoder, "time_steps": 3, "max_episode_steps": 23}
    ours, theirs = batches("snn/CartPole-v1", AutoresetMode.SAME_STEP, **arguments)
    assert_equal_batches(ours, theirs, steps=90)


@every_mode
@pytest.mark.parametrize(
    "env_id",
    ["snn/CartPole-v1", "snn/CueAccumulation-v0", "snn/LunarLander-v3", "snn/WaterMaze-flat-v0"],
)
def test_terminated_episodes_equal_gymnasiums_batches(env_id, mode):
    assert_equal_batches(*batches(env_id, mode), steps=200)


@pytest.mark.parametrize("base_id", BATCHED_TASKS)
def test_classic_tasks_start_in_the_next_step_as_gymnasiums_batches(base_id):
    mode = AutoresetMode.NEXT_STEP
    ours = BATCHED_TASKS[base_id](3, 30, autoreset_mode=mode)
    makers = [lambda: gym.make(base_id, max_episode_steps=30)] * 3
    assert_equal_batches(ours, gym.vector.SyncVectorEnv(makers, autoreset_mode=mode), steps=100)


def test_disabled_autoreset_equals_gymnasium_and_requires_a_reset():
    ours, theirs = batches("snn/CueAccumulation-v0", "Disabled", max_episode_steps=3)
    for env in (ours, theirs):
        env.reset(seed=4)
    for _ in range(3):
        results = [env.step(np.zeros(3, int)) for env in (ours, theirs)]
        assert all(np.array_equal(*pair) for pair in zip(*(x[:4] for x in results), strict=True))
    assert results[0][3].all()
    assert "final_obs" not in results[0][4]
    some = np.array([True, False, True])
    starts = [env.reset(options={"reset_mask": some.copy()})[0] for env in (ours, theirs)]
    assert np.array_equal(*starts)
    with pytest.raises(
        gym.error.ResetNeeded, match=r"episodes of environments \[1\] are over .* is DISABLED; call"
    ):
        ours.step(np.zeros(3, int))
    starts = [env.reset(options={"reset_mask": ~some})[0] for env in (ours, theirs)]
    assert np.array_equal(*starts)
    assert not ours.step(np.zeros(3, int))[3].any()


@pytest.mark.parametrize(
    "env_id",
    ["snn/CartPole-v1", "snn/WaterMaze-v0", "snn/MaskedCartPole-v1", "snn/Plasticity-XOR-v0"],
)
def test_the_mode_is_a_member_of_gymnasiums_enumeration_on_class_and_instance(env_id):
    default = gym.make_vec(env_id, 2)
    assert type(default).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for given, mode in [(mode, mode) for mode in AutoresetMode] + [
        ("NextStep", AutoresetMode.NEXT_STEP)
    ]:
        env = gym.make_vec(env_id, 2, autoreset_mode=given)
        assert env.metadata["autoreset_mode"] is mode
        assert {**env.metadata, "autoreset_mode": None} == {
            **default.metadata,
            "autoreset_mode": None,
        }
    assert type(default).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    with pytest.raises(ValueError, match=r"autoreset_mode 'NEXT_STEP' is unknown; .* 'NextStep'"):
        gym.make_vec(env_id, 2, autoreset_mode="NEXT_STEP")


def reshaped(env):
    return wrappers.ReshapeObservation(env, (1, *env.single_observation_space.shape))


def assert_equal_returns(ours, theirs):
    """Assert that results are equal, apart from the seconds that episodes took."""
    for array, same in zip(ours[:-1], theirs[:-1], strict=True):
        assert array.dtype == same.dtype
        assert np.array_equal(array, same)
    if isinstance(theirs[-1], dict) and "episode" in theirs[-1]:
        for key in "rl":
            assert np.array_equal(ours[-1]["episode"][key], theirs[-1]["episode"][key])


@pytest.mark.parametrize("env_id", ["snn/MaskedCartPole-v1", "snn/WaterMaze-flat-v0"])
@pytest.mark.parametrize(
    ("wrapper", "arguments"),
    [
        (wrappers.DictInfoToList, ()),
        (wrappers.FlattenObservation, ()),
        (wrappers.NormalizeObservation, ()),
        (wrappers.NormalizeReward, ()),
        (wrappers.RecordEpisodeStatistics, ()),
        (wrappers.RescaleObservation, np.float32([-1, 1])),
        (reshaped, ()),
        (wrappers.TransformObservation, (np.negative,)),
    ],
)
def test_gymnasiums_vector_wrappers_work(env_id, wrapper, arguments):
    batch, theirs = batches(env_id, AutoresetMode.NEXT_STEP, max_episode_steps=7)
    ours, theirs = (wrapper(env, *arguments) for env in (batch, theirs))
    assert_equal_returns(ours.reset(seed=2), theirs.reset(seed=2))
    batch.action_space.seed(0)
    for _ in range(20):
        actions = batch.action_space.sample()
        assert_equal_returns(ours.step(actions), theirs.step(actions))


def test_learners_refuse_the_next_step_in_one_line():
    for mode in ("batched", "vector_entry_point", "sync"):
        with pytest.raises(ValueError, match=r"NEXT_STEP, .*; learners need SAME_STEP: ") as caught:
            snn_gym.make_vec_env(
                "snn/CartPole-v1", 2, mode=mode, env_kwargs={"autoreset_mode": "NextStep"}
            )
        assert "leave autoreset_mode out of env_kwargs" in str(caught.value)
        assert "\n" not in str(caught.value)
    arguments = {"autoreset_mode": AutoresetMode.SAME_STEP}
    env = snn_gym.make_vec_env("snn/CartPole-v1", 2, seed=0, env_kwargs=arguments)
    assert np.array_equal(env.reset(), snn_gym.make_vec_env("snn/CartPole-v1", 2, seed=0).reset())
    assert gym.make(env.get_attr("spec")[0]).observation_space == env.observation_space


@every_mode
@pytest.mark.parametrize(
    "env_id",
    ["snn/CartPole-v1", "snn/CueAccumulation-v0", "snn/MaskedCartPole-v1", "snn/Plasticity-XOR-v0"],
)
def test_picture_lists_equal_gymnasiums_batch(env_id, mode):
    arguments = {"render_mode": "rgb_array_list", "max_episode_steps": 3}
    ours, theirs = batches(env_id, mode, **ARGUMENTS.get(env_id, {}), **arguments)
    assert ours.render_mode == theirs.render_mode
    assert "rgb_array_list" in ours.metadata["render_modes"]
    for env in (ours, theirs):
        env.reset(seed=3)
    ours.action_space.seed(0)
    lengths = []
    for step in range(6):
        if step in (2, 3, 5):
            pictures = [env.render() for env in (ours, theirs)]
            lengths.append(len(pictures[0][0]))
            for one, other in zip(*pictures, strict=True):
                assert len(one) == len(other) > 0
                assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
        actions = ours.action_space.sample()
        for env in (ours, theirs):
            env.step(actions)
        if step == 3:
            for env in (ours, theirs):
                env.reset(options={"reset_mask": np.array([True, False, True])})
    assert lengths == [3, 1, 2]
