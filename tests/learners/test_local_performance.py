"""When spikes may be shed: returns of episodes in, permission out, by hand."""

import itertools

import pytest

from snn_gym.learners.local.regulator import Performance
from snn_gym.learners.settings import LocalRegulation

PARAMETERS = LocalRegulation(lean_strength=1.0, episodes=2, patience=3, tolerance=0.25)


def after(returns, parameters=PARAMETERS):
    """Return the measure after each of the episodes."""
    steps = itertools.accumulate(returns, lambda x, y: x.step(y, parameters), initial=Performance())
    return list(steps)[1:]


def test_levels_are_means_that_forget():
    # The first two count alike; from then on each has a half.
    assert [x.level for x in after([0.0, 8.0, 8.0, 0.0])] == [0.0, 4.0, 6.0, 3.0]


def test_nothing_may_be_shed_while_the_return_rises():
    found = after([0.0, 8.0, 16.0, 32.0, 64.0])
    assert [x.level for x in found] == [0.0, 4.0, 10.0, 21.0, 42.5]
    assert [x.waited for x in found] == [0] * 5
    assert not any(x.permits(PARAMETERS) for x in found)


def test_spikes_may_be_shed_once_it_has_not_risen_for_the_patience():
    found = after([0.0, 8.0, *[4.0] * 4])
    assert [x.waited for x in found] == [0, 0, 1, 2, 3, 4]
    assert [x.permits(PARAMETERS) for x in found] == [False] * 4 + [True] * 2


def test_they_may_not_while_it_is_below_what_it_was_and_again_when_it_is_back():
    # Best 4, worst 0: a level below 3 is a loss.
    found = after([0.0, 8.0, *[4.0] * 4, 1.0, 5.0, 4.0])
    assert [x.level for x in found][-4:] == [4.0, 2.5, 3.75, 3.875]
    assert [x.permits(PARAMETERS) for x in found][-4:] == [True, False, True, True]


def test_an_improvement_that_counts_begins_the_wait_anew():
    # A quarter of 5 counts where the level is 5, and of 5.5 where it is that.
    found = after([0.0, 8.0, *[4.0] * 4, 6.0, 6.0])
    assert [x.level for x in found][-2:] == [5.0, 5.5]
    assert [(x.best, x.waited) for x in found][-2:] == [(4.0, 5), (5.5, 0)]
    assert [x.permits(PARAMETERS) for x in found][-2:] == [True, False]


@pytest.mark.parametrize("returns", [[], [-200.0] * 50])
def test_who_has_gained_nothing_has_nothing_to_keep(returns):
    found = [Performance(), *after(returns)][-1]
    assert not found.permits(PARAMETERS)
