"""Training ends with the first evaluation that solves the task; evaluations take no time."""

import pytest

from benchmarks import solved
from benchmarks.solved import run_solved, train_until_solved


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


def test_it_ends_where_it_is_solved(evaluations):
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


def test_what_the_file_has_is_passed_over(evaluations, tmp_path):
    _, solving = evaluations
    solving.append(1)
    path, shown = tmp_path / "speed.json", []
    run_solved(["ppo-mlp"], [0], path, shown.append)
    speed = run_solved(["ppo-mlp"], [0, 1], path, shown.append)
    assert [(x.agent, x.seed) for x in speed.solved] == [("ppo-mlp", 0), ("ppo-mlp", 1)]
    assert [x.seed for x in shown] == [0, 1]
