"""Tests of the choice of episodes in parallel environments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.learners.shedding import EpisodeReturns


def play(played, steps):
    """End an episode with a given return, or none, in each environment at every step."""
    for step in steps:
        infos = [{} if r is None else {"episode": {"r": r}} for r in step]
        played.step(infos)


def test_environments_count_with_equal_numbers_of_first_episodes():
    played = EpisodeReturns(2)
    # Episodes that run at the start do not count.
    play(played, [(1.0, None), (2.0, None), (3.0, 4.0), (5.0, None)])
    assert played.returns == []  # the second environment has ended no complete episode
    play(played, [(None, 6.0)])
    assert played.returns == [2.0, 6.0]
    play(played, [(7.0, 8.0)])
    assert played.returns == [2.0, 3.0, 6.0, 8.0]


def test_running_episodes_do_not_count_after_forget():
    played = EpisodeReturns(2)
    play(played, [(1.0, 1.0), (2.0, None)])
    played.forget()  # the first is between two episodes, the second in the middle of one
    play(played, [(None, None), (3.0, 4.0)])
    assert played.returns == []
    play(played, [(None, 5.0)])
    assert played.returns == [3.0, 5.0]


def test_running_episodes_count_after_clear():
    played = EpisodeReturns(2)
    play(played, [(1.0, 1.0), (2.0, 3.0), (None, None)])
    played.clear()
    play(played, [(4.0, 5.0)])
    assert played.returns == [4.0, 5.0]


@pytest.mark.parametrize(("most", "kept"), [(4, [2.0, 3.0, 12.0, 13.0]), (1, [3.0, 13.0])])
def test_oldest_episodes_of_all_environments_are_dropped(most, kept):
    played = EpisodeReturns(2)
    play(played, [(0.0, 0.0), (1.0, 11.0), (2.0, 12.0), (3.0, 13.0)])
    played.forget_old(most)
    assert played.returns == kept


def test_short_episodes_are_not_preferred():
    # Lengths 10 and 100 with equal chance, the return is the length: of what has ended after 120
    # steps of 1,000 environments most is short, of the first one of each a half.
    rng = np.random.default_rng(0)
    lengths = rng.choice([10, 100], (1000, 20))
    ends = np.cumsum(lengths, 1)
    played = EpisodeReturns(1000)
    play(played, [tuple(1.0 for _ in lengths)])
    every = []
    for step in range(1, 121):
        row = [lengths[k][ends[k] == step] for k in range(1000)]
        play(played, [tuple(float(x[0]) if len(x) else None for x in row)])
        every += [float(x[0]) for x in row if len(x)]
    assert np.mean(every) < 45.0
    assert len(played.returns) == 1000
    assert np.mean(played.returns) == pytest.approx(55.0, abs=5.0)


_steps = st.lists(st.tuples(*[st.none() | st.floats(-9, 9)] * 3), max_size=12)


@given(before=_steps, after=_steps, forgotten=st.booleans())
def test_arrays_restore_the_episodes(before, after, forgotten):
    played, other = EpisodeReturns(3), EpisodeReturns(3)
    play(played, before)
    if forgotten:
        played.forget()
    other.load(played.arrays())
    for each in (played, other):
        play(each, after)
    assert other.returns == played.returns
    assert len(played.returns) % 3 == 0
