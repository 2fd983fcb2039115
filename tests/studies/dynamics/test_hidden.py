"""DQSN by its number of hidden neurons."""

import numpy as np

from snn_gym import make_agent
from studies.dynamics.hidden import AGENT, ENVIRONMENT, EpisodeRows, HiddenCase, hidden_outcome


def test_every_training_episode_is_stored():
    episodes = EpisodeRows()
    make_agent(AGENT, ENVIRONMENT, 0).learn(300, callback=episodes)
    ends, returns = np.transpose(episodes.rows)
    assert len(ends) > 5
    # One environment, in which each step earns 1: an episode ends where the sum of returns is.
    np.testing.assert_array_equal(ends, np.cumsum(returns))


def test_a_stored_run_by_hand():
    outcome = hidden_outcome((1.0, 2.0), [(10, 10.0), (30, 20.0)], 32)
    assert (outcome.scores, outcome.episodes, outcome.steps) == ((1.0, 2.0), 2, 32)
    assert outcome.curve == ((10, 10.0), (30, 20.0))
    assert (outcome.solved_episodes, outcome.solved_steps) == (None, None)


def test_runs_repeat_and_have_the_given_neurons():
    case = HiddenCase(hidden=4, steps=256)
    assert case.settings["network"]["hidden_sizes"] == [4]
    first = case.train(3)
    assert first == case.train(3) != HiddenCase(hidden=5, steps=256).train(3)
    assert (first.steps, len(first.scores)) == (256, 100)
