"""Learners on control tasks: when a task counts as solved, and what a run may use."""

import numpy as np
import pytest

from snn_gym import evaluate
from snn_gym.envs.rollout import Rollouts
from snn_gym.leaderboard.evaluation import evaluation_seeds
from studies.dynamics import control
from studies.dynamics.control import MEASURED_EPISODES, ControlCase
from studies.dynamics.settings import Budget


class FakeJudge:
    """Note what is measured; say that it earns ``earned``."""

    earned = 0.0

    def __init__(self, *arguments):
        self.measured = []
        self.seeds = []
        FakeJudge.last = self

    def play(self, weights, seeds):
        self.measured.append(weights[0].copy())
        self.seeds += seeds
        shape = (1, len(seeds))
        return Rollouts(np.full(shape, self.earned), np.ones(shape, np.int64))


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.setattr(control, "BatchedJudge", FakeJudge)
    return FakeJudge


def case(episodes, steps=10**6, solved=None):
    overrides = {"comparison": "until_accepted", "probe_episodes": 1}
    return ControlCase(
        "CartPole-v1", "accept-reject", Budget(episodes, steps), solved, overrides=overrides
    )


def test_a_run_ends_with_its_episodes_or_its_steps():
    few = case(episodes=12).train(0)
    # An iteration judges the candidate, and now and then the weights held.
    assert few.episodes in (12, 13)
    assert (few.solved_episodes, few.solved_steps, few.measurements) == (None, None, 0)
    assert len(few.scores) == 100
    short = case(episodes=10**6, steps=200).train(0)
    assert 200 <= short.steps < 200 + 2 * 500
    assert short.curve[-1][0] == short.steps


def test_solved_at_once_by_hand(judge, monkeypatch):
    monkeypatch.setattr(judge, "earned", 9.0)
    chosen = case(episodes=50, solved=9.0)
    model = chosen.make(0)
    outcome = chosen.finish(model)
    # The first iteration judges the weights held and a candidate, and every return is above 8.
    assert (outcome.solved_episodes, outcome.episodes, outcome.measurements) == (2, 2, 1)
    assert outcome.solved_steps == outcome.steps == outcome.curve[-1][0]
    # What is evaluated is what was measured, though learning went on for an iteration.
    assert model.num_episodes > 2
    np.testing.assert_array_equal(model.weights, judge.last.measured[0])
    assert outcome.scores == evaluate(model, "CartPole-v1").returns


def test_measurements_are_fresh_and_not_repeated(judge):
    outcome = case(episodes=60, solved=5.0).train(1)
    last = judge.last
    assert outcome.solved_episodes is None
    assert outcome.measurements == len(last.measured) > 1
    assert len(last.seeds) == len(set(last.seeds)) == MEASURED_EPISODES * outcome.measurements
    # Learners draw seeds below 2**31, and the final evaluation has its own.
    assert min(last.seeds) >= 2**31
    assert not set(last.seeds) & set(evaluation_seeds(MEASURED_EPISODES))
    for before, after in zip(last.measured, last.measured[1:], strict=False):
        assert not np.array_equal(before, after)


def test_runs_below_the_mark_are_not_measured(judge):
    assert case(episodes=10, solved=501.0).train(0).measurements == 0


def test_measurements_do_not_change_learning(judge):
    watched, alone = case(episodes=30, solved=5.0).train(2), case(episodes=30).train(2)
    assert watched.scores == alone.scores
    assert (watched.episodes, watched.steps, watched.curve) == (
        alone.episodes, alone.steps, alone.curve,
    )  # fmt: skip


def test_a_case_lists_all_its_settings():
    wide = ControlCase(
        "CartPole-v1", "cma-es", Budget(7, 70), 475.0, 28, {"separable": True}
    ).settings
    assert wide["agent"] == "cma-es"
    assert wide["network"]["hidden_sizes"] == [28]
    assert wide["hyperparameters"]["separable"] is True
    assert wide["budget"] == {"episodes": 7, "steps": 70}
    with pytest.raises(ValueError, match="unknown key stepsize"):
        _ = ControlCase("CartPole-v1", "es", Budget(1, 1), overrides={"stepsize": 1}).settings
