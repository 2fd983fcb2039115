"""Tests of Stable-Baselines3's view of a batch, by hand and against ``DummyVecEnv``."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.envs.classic_control import BatchedCartPole
from snn_gym.envs.stable_baselines import final_observation, split_infos
from tests.envs.comparison import assert_equal_runs, assert_out_of_reach
from tests.envs.toy_envs import Ledger, Mixed


def view(factories):
    return StableBaselinesVecEnv(SyncVectorEnv(factories, autoreset_mode=AutoresetMode.SAME_STEP))


def test_steps_worked_out_by_hand():
    env = view([lambda: Ledger((2, 3, 1))])
    env.set_options({"easy": 1})
    assert env.reset().tolist() == [[0, 0]]
    assert env.reset_infos == [{"episode_number": 0, "options": "{'easy': 1}"}]
    # (observation, done, truncated and not terminated, last observation, return, length)
    steps = [
        ([0, 1], False, False, None, None, None),
        ([1, 0], True, False, [0, 2], 0.2, 2),  # terminated and truncated
        ([1, 1], False, False, None, None, None),
        ([1, 2], False, False, None, None, None),
        ([2, 0], True, True, [1, 3], 0.3, 3),
        ([3, 0], True, False, [2, 1], 0.1, 1),
        ([3, 1], False, False, None, None, None),
        ([4, 0], True, True, [3, 2], 0.2, 2),
    ]
    for number, (seen, done, cut, last, total, length) in enumerate(steps):
        observations, rewards, dones, (info,) = env.step(np.array([number]))
        assert observations.tolist() == [seen]
        assert rewards.tolist() == [np.float32(0.1)]
        assert rewards.dtype == np.float32
        assert dones.tolist() == [done]
        assert info["TimeLimit.truncated"] is cut
        assert info["action"] == number
        assert ("terminal_observation" in info) == ("episode" in info) == done
        if done:
            assert info["terminal_observation"].tolist() == last
            assert (info["episode"]["r"], info["episode"]["l"]) == (total, length)
            assert info["episode"]["t"] >= 0
            assert env.reset_infos == [{"episode_number": seen[0], "options": "None"}]
    assert [one.actions for one in env.vector_env.envs] == [list(range(8))]
    env.close()


def test_returns_are_summed_in_float64():
    env = view([lambda: Ledger((3000,))])
    env.reset()
    for _ in range(3000):
        info = env.step(np.array([0]))[3][0]
    # a float32 sum is off by more than 1e-3
    assert info["episode"]["r"] == pytest.approx(300, abs=1e-6)
    assert info["episode"]["l"] == 3000


@settings(max_examples=4)
@given(num_envs=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_dict_observations_equal_dummy_vec_env(num_envs, seed):
    ours = view([Mixed] * num_envs)
    theirs = DummyVecEnv([lambda: Monitor(Mixed())] * num_envs)
    assert_equal_runs(ours, theirs, seed, steps=40)
    ours.close()


def test_other_autoreset_modes_are_refused():
    env = SyncVectorEnv([Ledger], autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(
        ValueError, match=r"is AutoresetMode\.NEXT_STEP; .* use snn_gym\.make_vec_env"
    ):
        StableBaselinesVecEnv(env)


def test_batches_that_break_the_contract_are_named():
    class Forgetful(BatchedCartPole):
        def step(self, actions):
            return *super().step(actions)[:4], {}

    env = StableBaselinesVecEnv(Forgetful(1, max_episode_steps=1))
    env.reset()
    with pytest.raises(RuntimeError, match="ended an episode without final_obs"):
        env.step(np.array([0]))


def test_observations_are_never_written_again():
    class Reuser(BatchedCartPole):
        """Returns one buffer again and again."""

        def step(self, actions):
            observations, *rest = super().step(actions)
            self.buffer = getattr(self, "buffer", observations)
            self.buffer[:] = observations
            return self.buffer, *rest

    env = StableBaselinesVecEnv(Reuser(2))
    kept = [env.reset(), *(env.step(np.array([0, 1]))[0] for _ in range(5))]
    copies = [array.copy() for array in kept]
    env.step(np.array([1, 0]))
    assert all(np.array_equal(one, other) for one, other in zip(kept, copies, strict=True))
    assert len({array.tobytes() for array in kept}) == len(kept)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([0]), r"shape \(1,\) for 2 environments; expected one action for each"),
        (np.array(0), r"shape \(\) for 2 environments"),
        (np.array([0.0, 1.0]), "^actions are float64; the action space takes int64$"),
    ],
)
def test_invalid_actions_are_refused(actions, message):
    env = StableBaselinesVecEnv(BatchedCartPole(2))
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(actions)


def test_actions_are_cast_without_loss():
    seen = []

    class Watching(Ledger):
        def step(self, action):
            seen.append(action.dtype)
            return super().step(action)

    env = view([Watching])
    env.reset()
    env.step(np.array([5], np.int32))
    assert seen == [np.int64]
    assert [one.actions for one in env.vector_env.envs] == [[5]]


def test_any_seed_applies_only_to_the_next_reset():
    env, same = (StableBaselinesVecEnv(BatchedCartPole(2)) for _ in range(2))
    assert env.seed(4) == [4, 5]
    first = env.reset()
    same._seeds = [5, 4]
    assert np.array_equal(same.reset(), first[::-1])
    again = env.reset()
    assert not np.array_equal(again, first)
    same.seed(4)
    assert np.array_equal(same.reset(), first)
    assert np.array_equal(same.reset(), again)


def test_options_reach_the_next_reset_and_must_be_equal():
    env = view([Ledger] * 2)
    env.set_options([{"a": 1}, {"a": 1}])
    env.reset()
    assert [info["options"] for info in env.reset_infos] == ["{'a': 1}"] * 2
    env.reset()
    assert [info["options"] for info in env.reset_infos] == ["None"] * 2
    env.set_options([{"a": 1}, {"a": 2}])
    with pytest.raises(ValueError, match=r"options differ .*one set of options for all"):
        env.reset()


def test_shared_attributes_are_available():
    env = StableBaselinesVecEnv(gym.make_vec("snn/CartPole-v1", 2, encoder="rate"))
    spec = env.get_attr("spec")[1]
    assert spec.max_episode_steps == 500
    assert gym.make(spec).observation_space == env.observation_space
    assert env.get_attr("render_mode", 0) == [None]
    assert env.get_attr("action_space") == [gym.spaces.Discrete(2)] * 2
    assert env.get_attr("observation_space")[0] == env.observation_space
    assert not env.has_attr("state")
    assert_out_of_reach(env, "state", r"has no 'state' of single .*with mode='sync'")


def test_only_monitor_counts_as_a_wrapper():
    env = StableBaselinesVecEnv(BatchedCartPole(2))
    assert env.env_is_wrapped(gym.wrappers.TimeLimit, [1]) == [False]
    # the records are here, and callers ask for the sake of the records
    assert env.env_is_wrapped(Monitor) == [True, True]


def test_pictures():
    env = StableBaselinesVecEnv(BatchedCartPole(2, render_mode="rgb_array"))
    env.reset()
    images = env.get_images()
    assert [image.shape for image in images] == [(400, 600, 3)] * 2
    assert env.render().shape == (800, 600, 3)
    assert env.metadata["render_fps"] == 50
    blind = StableBaselinesVecEnv(BatchedCartPole(2))
    with pytest.warns(UserWarning, match="need render_mode 'rgb_array', and .* is None"):
        assert blind.get_images() == [None, None]


def test_step_without_infos_equals_step():
    usual, quick = (StableBaselinesVecEnv(BatchedCartPole(5, max_episode_steps=30)) for _ in "ab")
    rng = np.random.default_rng(0)
    for env in (usual, quick):
        env.seed(3)
    assert np.array_equal(usual.reset(), quick.reset())
    ends = 0
    for _ in range(200):
        actions = rng.integers(0, 2, 5)
        *arrays, infos = usual.step(actions)
        *same, shared = quick.step_without_infos(actions)
        assert all(np.array_equal(*pair) for pair in zip(arrays, same, strict=True))
        for info, short in zip(infos, shared, strict=True):
            if "episode" not in info:
                assert short == {}
                continue
            ends += 1
            for each in (info, short):
                del each["episode"]["t"]
            assert short.keys() == info.keys()
            assert short["episode"] == info["episode"]
            assert np.array_equal(short["terminal_observation"], info["terminal_observation"])
            assert short["TimeLimit.truncated"] is info["TimeLimit.truncated"]
    assert ends > 20


# Every key has one type, as gymnasium's batching needs.
INFOS = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(-5, 5),
        "share": st.floats(0, 1),
        "flag": st.booleans(),
        "name": st.text(max_size=3),
        "_hidden": st.integers(0, 5),
        "row": st.lists(st.integers(0, 9), min_size=2, max_size=2).map(np.array),
        "nested": st.fixed_dictionaries({"x": st.integers(0, 3)}, optional={"y": st.none()}),
    },
)


@settings(max_examples=20)
@given(st.lists(INFOS, min_size=1, max_size=4))
def test_splitting_infos_undoes_gymnasiums_batching(infos):
    env = gym.vector.VectorEnv()
    env.num_envs = len(infos)
    batched = {}
    for index, info in enumerate(infos):
        batched = env._add_info(batched, info, index)
    for one, other in zip(split_infos(batched, len(infos)), infos, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert type(one[key]) is type(value)
            assert np.array_equal(one[key], value) if key == "row" else one[key] == value


def test_values_without_a_mask_apply_to_all_environments():
    infos = {"score": np.array([1.5, 2.5]), "where": {"x": np.array([1, 2])}}
    assert split_infos(infos, 2) == [
        {"score": 1.5, "where": {"x": 1}},
        {"score": 2.5, "where": {"x": 2}},
    ]


def test_split_infos_are_copies():
    rows, things = np.zeros((1, 2)), np.array([[1]], object)
    things[0] = [1]
    split = split_infos({"rows": rows, "things": things}, 1)[0]
    rows[:] = 9
    things[0][0] = 9
    assert split["rows"].tolist() == [0, 0]
    assert split["things"] == [1]


def test_final_observations_are_single_or_batched():
    single = np.array([None, {"a": np.array([1.0])}], object)
    batch = {"a": np.array([[0.0], [1.0]])}
    for final in (single, batch):
        observation = final_observation(final, 1)
        assert observation["a"].tolist() == [1.0]
    rows = np.array([[1, 2], [3, 4]])
    last = final_observation(rows, 1)
    rows[:] = 0
    assert last.tolist() == [3, 4]
