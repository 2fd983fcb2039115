"""Tests of the checks for non-finite observations and rewards."""

import numpy as np
import pytest

from snn_gym.envs.batch import check_finite, check_step, few


def test_first_non_finite_value_is_named():
    values = np.array([[0.0, 1.0], [np.nan, 2.0], [3.0, -np.inf]], np.float32)
    with pytest.raises(
        ValueError, match=r"^CartPole-v1 gave the observation nan at step 4 of an ep"
    ):
        check_finite("observation", values, "CartPole-v1", 4)
    running = np.array([True, False, True])
    with pytest.raises(
        ValueError, match=r"-inf at step 4 of the episode with seed 9; observations"
    ):
        check_finite("observation", values, "it", 4, running, [7, 8, 9])
    check_finite("observation", values, "it", 4, np.array([True, False, False]))


def test_wrong_values_are_counted():
    values = np.zeros((2, 348))
    values[1, 5:] = -np.inf
    with pytest.raises(ValueError, match=r"observation -inf at .*, and 343 of 348 values are not$"):
        check_finite("observation", values, "it", 4)
    assert few(values[1, 5:]) == "-inf, -inf, -inf, …"
    assert few(np.array([1.5, np.nan, np.inf])) == "1.5, nan, inf"


def test_parts_of_a_dict_are_named_and_whole_numbers_are_finite():
    values = {"image": np.zeros((2, 3), np.uint8), "place": np.array([1.0, np.nan])}
    with pytest.raises(ValueError, match=r"gave the observation 'place' nan at step 0"):
        check_finite("observation", values, "it", 0)
    check_finite("observation", {"image": values["image"]}, "it", 0)
    check_finite("reward", np.array([1.0, -1e300]), "it", 1)


@pytest.mark.parametrize(
    ("observation", "named"),
    [
        (np.array([0.0, np.nan]), "observation nan"),
        ((3, np.array([np.inf])), "observation '1' inf"),
        ({"a": 1, "b": np.array([-np.inf])}, "observation 'b' -inf"),
    ],
)
def test_final_observations_of_every_space_are_checked(observation, named):
    rewards, dones, steps = np.zeros(1), np.array([True]), np.array([7])
    with pytest.raises(ValueError, match=f"it gave the {named} at step 7 of an episode"):
        check_step(
            "it", np.zeros((1, 2)), rewards, dones, steps, [{"terminal_observation": observation}]
        )


def test_numbers_whose_squares_overflow_are_finite():
    check_finite("reward", np.full(3, 1e200), "it", 1)
    check_finite("reward", np.full(3, 3e38, np.float32), "it", 1)
