import gymnasium as gym
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.envs.stable_baselines import final_observation, split_infos

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
