"""The study of dynamics: when a task counts as solved, what a run may use, and verdicts by hand."""

import numpy as np
import pytest

from snn_gym import evaluate
from snn_gym._base.config import to_mapping
from snn_gym.envs.rollout import Rollouts
from snn_gym.envs.synapses.jobs import teacher
from snn_gym.leaderboard.evaluation import evaluation_seeds
from studies.dynamics import learners, report
from studies.dynamics.learners import MEASURED_EPISODES, TEACHER, train_on_cartpole
from studies.dynamics.plan import (
    NULLS,
    TEACHER_NULLS,
    ablation_arms,
    preset_settings,
    without_dynamics,
)
from studies.dynamics.report import Verdict, judge

FEW, MANY, ALL_FAILED = np.arange(4.0), np.arange(4.0) + 20, np.full(4, np.inf)
SAMPLES = 200


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
def judged(monkeypatch):
    monkeypatch.setattr(learners, "BatchedJudge", FakeJudge)
    return FakeJudge


def train(episodes, steps=10**6, seed=0):
    overrides = {"comparison": "until_accepted", "probe_episodes": 1}
    return train_on_cartpole("accept-reject", overrides, seed, episodes, steps)


def test_a_run_ends_with_its_episodes_or_its_steps():
    few = train(12)
    # An iteration judges the candidate, and now and then the weights held.
    assert few.episodes in (12, 13)
    assert (few.solved_episodes, few.solved_steps) == (None, None)
    assert 200 <= train(10**6, steps=200).steps < 200 + 2 * 500


def test_solved_at_once_by_hand(judged, monkeypatch):
    monkeypatch.setattr(judged, "earned", 9.0)
    monkeypatch.setattr(learners, "SOLVED_RETURN", 9.0)
    evaluated = []

    def noted(model, env_id):
        evaluated.append((model.weights.copy(), model.num_episodes))
        return evaluate(model, env_id, episodes=2)

    monkeypatch.setattr(learners, "evaluate", noted)
    made = train(50)
    # The first iteration judges the weights held and a candidate, and every return is above 8.
    assert (made.solved_episodes, made.episodes) == (2, 2)
    assert made.solved_steps == made.steps
    # What is evaluated is what was measured, though learning went on for an iteration.
    ((weights, episodes),) = evaluated
    assert episodes > 2
    np.testing.assert_array_equal(weights, judged.last.measured[0])


def test_measurements_are_fresh_not_repeated_and_do_not_change_learning(judged, monkeypatch):
    alone = train(30, seed=1)
    monkeypatch.setattr(learners, "SOLVED_RETURN", 5.0)
    assert train(30, seed=1) == alone
    last = judged.last
    assert len(last.measured) > 1
    assert len(last.seeds) == len(set(last.seeds)) == MEASURED_EPISODES * len(last.measured)
    # Learners draw seeds below 2**31, and the final evaluation has its own.
    assert min(last.seeds) >= 2**31
    assert not set(last.seeds) & set(evaluation_seeds(MEASURED_EPISODES))
    for before, after in zip(last.measured, last.measured[1:], strict=False):
        assert not np.array_equal(before, after)


@pytest.mark.parametrize("name", NULLS)
def test_every_null_does_the_teachers_job(name):
    made = learners.train_on_teacher(name, TEACHER_NULLS[name], 0, 40)
    assert made.episodes >= 40
    assert made.steps == SAMPLES * made.episodes
    assert -2.0 < made.mean < 0.0
    assert made == learners.train_on_teacher(name, TEACHER_NULLS[name], 0, 40)


def test_synapse_agents_see_the_dynamics_of_the_job(monkeypatch):
    models, kind = [], learners._ON_TEACHER["synapse-agents"]

    def noted(*arguments, **settings):
        models.append(kind(*arguments, **settings))
        return models[-1]

    monkeypatch.setitem(learners._ON_TEACHER, "synapse-agents", noted)
    overrides = to_mapping(preset_settings(TEACHER, "weight+topology+dynamics"))
    made = learners.train_on_teacher("synapse-agents", overrides, 0, 12)
    (model,) = models
    probe = np.arange(SAMPLES)
    score = teacher().judge(model.population, model.weights[None], probe).scores[0]
    assert (made.episodes, made.mean) == (12, float(score))
    seen = teacher().judge(model.population, model.memory.weights, probe, measure=True).dynamics
    np.testing.assert_array_equal(model.memory.dynamics, seen)
    assert np.any(seen)


def test_arms_differ_only_in_knowledge_of_the_dynamics():
    arms = {name: to_mapping(x) for name, x in ablation_arms("CartPole-v1").items()}
    changed = {
        name: {key for key in values if values[key] != arms["dynamics"][key]}
        for name, values in arms.items()
    }
    assert changed == {
        "dynamics": set(), "features": {"reward"}, "off": {"preset", "reward"},
        "shuffled": {"shuffled"},
    }  # fmt: skip
    assert arms["off"]["reward"] == arms["features"]["reward"] == "global"
    with pytest.raises(ValueError, match=r"preset 'weight' has no dynamics"):
        without_dynamics(preset_settings("CartPole-v1", "weight"))


def test_comparisons_by_hand():
    # One of the 70 splits of four and four is as extreme, at either end.
    assert judge({"a": [(FEW, MANY)]}) == {"a": Verdict(1.0, pytest.approx(2 / 70))}
    assert judge({"a": [(ALL_FAILED, MANY)]}) == {"a": Verdict(0.0, pytest.approx(2 / 70))}
    assert judge({"a": [(ALL_FAILED, ALL_FAILED)]}) == {"a": Verdict(0.5, 1.0)}
    both = judge({"a": [(FEW, MANY)], "b": [(FEW, FEW)]})
    assert both["a"].p == pytest.approx(2 * 2 / 70)
    assert (both["a"].side, both["b"].side) == ("open", "open")
    (found,) = judge({"a": [(FEW, MANY), (MANY, FEW + 50)]}).values()
    assert found == Verdict(1.0, pytest.approx(2 / 70**2))
    # Pairs: 1 beats all three; 2 ties with 2 and beats the other two.
    (found,) = judge({"a": [(np.array([1.0, 2.0]), np.array([2.0, 3.0, np.inf]))]}).values()
    assert found.share == 5.5 / 6


def test_verdicts_and_numbers_in_words():
    assert str(Verdict(0.375, 0.0461)) == "38 % of pairs of runs, p = 0.046"
    assert Verdict(1.0, 0.00049, 0.00012, 4).cells == ["100 %", "< 0.001 (< 0.001 of 4)"]
    sides = [Verdict(share, p).side for share, p in ((0.9, 0.05), (0.1, 0.05), (0.9, 0.051))]
    assert sides == ["better", "worse", "open"]
    assert report.spread(np.array([5.0, np.inf, 1.0])) == "5 (1 to > budget)"
    assert report.number(-1234.5, 1) == "−1,234.5"
