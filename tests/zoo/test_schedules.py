"""Tests of schedules as numbers and short strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule

from snn_gym.zoo.algorithms import format_schedule, parse_schedule


@given(start=st.floats(1e-8, 10, allow_nan=False), progress=st.floats(0, 1))
def test_lin_is_the_start_times_the_remaining_progress(start, progress):
    schedule = parse_schedule(f"lin_{start}")
    assert schedule(progress) == pytest.approx(start * progress, rel=1e-9, abs=1e-12 * start)


def test_lin_with_end_and_fraction():
    schedule = parse_schedule("lin_1.0_0.2_0.5")
    assert [schedule(p) for p in (1.0, 0.75, 0.5, 0.1)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


@given(st.one_of(st.floats(0, 1), st.tuples(*[st.floats(1e-9, 1)] * 3)))
def test_schedules_survive_writing_and_reading(value):
    schedule = LinearSchedule(*value) if isinstance(value, tuple) else ConstantSchedule(value)
    again = parse_schedule(format_schedule(schedule, "learning_rate"))
    for progress in (1.0, 0.6, 0.0):
        expected = again if isinstance(again, float) else again(progress)
        assert expected == schedule(progress)


def test_a_function_as_a_schedule_is_refused():
    with pytest.raises(ValueError, match=r"clip_range is .*can't be saved without its code"):
        format_schedule(lambda progress: progress, "clip_range")


@pytest.mark.parametrize("text", ["lin_", "lin_x", "lin_-1", "0.001", "lin_1_2", "lin_1_0_0"])
def test_invalid_schedules_are_refused(text):
    with pytest.raises(ValueError, match="got '"):
        parse_schedule(text)
