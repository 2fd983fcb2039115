"""Training ends with the first evaluation that solves the task; evaluations take no time."""

import pytest

from benchmarks import solved
from benchmarks.run import Solved
from benchmarks.solved import TUNING_SEEDS, chosen, run_solved, train_until_solved, trials


@pytest.fixture
def evaluations(monkeypatch):
    """Evaluations that an hour goes by in, and of which those listed solve the task."""
    log, now = [], [0.0]
    solving = []

    def evaluate(model):
        now[0] += 3600.0
        log.append(model.num_timesteps)
        return len(log) in solving

    def tick():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(solved, "_is_solved", evaluate)
    monkeypatch.setattr(solved.time, "perf_counter", tick)
    monkeypatch.setattr(solved, "EVERY", 500)
    monkeypatch.setattr(solved, "training_budget", lambda: 1500)
    return log, solving


def test_training_ends_when_solved(evaluations):
    log, solving = evaluations
    solving.append(2)
    done = train_until_solved("ppo-mlp", 3)
    # rollouts have 256 steps, and one more step shows that it is over
    assert log == [512, 1024]
    assert done.solved
    assert 1024 < done.steps < 1024 + 256
    assert 0 < done.seconds < 3600


def test_a_budget_that_ends_unsolved_is_a_failure(evaluations):
    log, _ = evaluations
    done = train_until_solved("ppo-mlp", 3)
    assert not done.solved
    assert log == [512, 1024, 1536]
    assert done.steps == 1536


def test_runs_in_the_file_are_skipped(evaluations, monkeypatch, tmp_path):
    _, solving = evaluations
    solving.append(1)
    monkeypatch.setattr(solved, "TUNING_SEEDS", (7,))
    monkeypatch.setattr(solved, "EPOCHS", (1, 2))
    monkeypatch.setattr(solved, "FACTORS", (1,))
    path, shown = tmp_path / "speed.json", []
    run_solved(["ppo-mlp"], [0], path, shown.append)
    speed = run_solved(["ppo-mlp"], [0, 1], path, shown.append)
    assert [x.seed for x in speed.solved] == [x.seed for x in shown] == [7, 7, 0, 0, 1, 1]
    # The first trial was solved at its first evaluation, so it is the fastest.
    once = {"n_epochs": "1", "learning_rate": "lin_0.0005"}
    assert [x.settings for x in shown[2:]] == [{}, once, {}, once]


def test_both_have_as_many_trials_about_their_own_learning_rate():
    ours, twin = trials("ppo-lif"), trials("ppo-mlp")
    assert len(ours) == len(twin) == 9
    assert ours[0] == {"n_epochs": "5", "learning_rate": "lin_0.001"}
    assert twin[-1] == {"n_epochs": "20", "learning_rate": "lin_0.002"}


def test_a_trial_that_fails_counts_with_its_whole_time():
    first, second, *others = trials("ppo-lif")
    done = [Solved("ppo-lif", seed, 9, 5.0, True, one) for one in others for seed in TUNING_SEEDS]
    done += [Solved("ppo-lif", seed, 9, 2.0, True, first) for seed in TUNING_SEEDS]
    quick = [Solved("ppo-lif", seed, 9, 1.0, True, second) for seed in TUNING_SEEDS[:2]]
    slow = Solved("ppo-lif", TUNING_SEEDS[2], 9, 9.0, False, second)
    assert chosen("ppo-lif", [*done, *quick, slow]) == first
