"""The study of local learning: the criterion, runs and the page."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from snn_gym import evaluate, make_agent
from studies.local import runs as module
from studies.local.__main__ import app
from studies.local.report import write_report
from studies.local.runs import (
    ARMS,
    LocalRun,
    play_without_exploration,
    read_runs,
    run,
    run_missing,
    solved_after,
)


def test_a_run_is_solved_at_the_end_of_the_first_good_window():
    good, bad = [500.0], [0.0]
    assert solved_after(good * 99) is None
    assert solved_after(good * 100) == 100
    assert solved_after(bad * 7 + good * 200) == 7 + 95  # five of the bad ones in the window
    assert solved_after([475.0] * 100) == 100
    assert solved_after([474.9] * 300) is None


def test_a_run_ends_when_solved_or_out_of_steps(monkeypatch):
    monkeypatch.setattr(module, "SOLVED", 5.0)
    monkeypatch.setattr(module, "EVALUATION_EPISODES", 3)
    made = run("random", 5, steps=40_000)
    assert made.solved_after == len(made.returns) == 100
    assert made.steps == sum(made.returns)
    assert len(made.evaluation) == 3
    monkeypatch.setattr(module, "SOLVED", 501.0)
    failed = run("random", 5, steps=300)
    assert (failed.steps, failed.solved_after) == (300, None)
    assert failed.returns == made.returns[: len(failed.returns)]


def test_an_evaluation_is_that_of_the_package():
    model = make_agent("local-actor-critic", "CartPole-v1", 3).learn(2_000)
    scores = evaluate(model, "CartPole-v1", episodes=6)
    assert play_without_exploration(model, 6) == tuple(scores.returns)


def test_stored_runs_are_skipped_and_shown_on_the_page(tmp_path, monkeypatch):
    asked = []

    def fake(arm, seed):
        asked.append(seed)
        good = (500.0,) * 100 if seed != 102 else (20.0,) * 150
        return LocalRun(arm, seed, 10_000, good, (500.0, 480.0 if seed == 101 else 500.0))

    monkeypatch.setattr(module, "run", fake)
    for seeds in ((100, 101), (100, 101, 102)):
        monkeypatch.setitem(ARMS, "random", replace(ARMS["random"], seeds=seeds))
        run_missing("random", tmp_path, lambda line: None)
    assert asked == [100, 101, 102]
    assert [x.seed for x in read_runs("random", tmp_path)] == [100, 101, 102]
    page = write_report(tmp_path, tmp_path).read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {ARMS['random'].says} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        "3", "2 of 3", "100.0", "100 to 100", "10,000", "3 of 3", "496.7", "490.0",
    ]  # fmt: skip
    assert "102: – (500.0)" in page


def test_an_unknown_arm_is_refused():
    answer = CliRunner().invoke(app, ["run", "--arms", "nobody"])
    assert answer.exit_code == 2
    assert "is unknown" in answer.output


# Compiling a rule takes numba some seconds.
SLOW = {"r-stdp": pytest.mark.slow}


@pytest.mark.parametrize("arm", [pytest.param(x, marks=SLOW.get(x, ())) for x in ARMS])
def test_every_arm_can_be_made(arm, monkeypatch):
    monkeypatch.setattr(module, "EVALUATION_EPISODES", 2)
    assert run(arm, 1000, steps=40).steps >= 40
