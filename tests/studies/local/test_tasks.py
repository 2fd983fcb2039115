"""One setting on four tasks: what is asked of it, runs and the page."""

import pytest

from snn_gym.zoo import load_agent_spec
from studies.local import report_tasks
from studies.local import tasks as module
from studies.local.report_tasks import is_met, tasks_section
from studies.local.tasks import AGENT, STEPS, Bar, TaskRun, bar, read_runs, run_missing, train


def run(final, steps=300_000, seed=300, task="Acrobot-v1"):
    return TaskRun(task, seed, steps, (final, final))


def test_a_bar_is_a_tenth_of_the_range_below_the_rows_of_the_table():
    found = bar("Acrobot-v1")
    assert found.seeds >= 5
    assert found.mean - found.least == pytest.approx(0.1 * (-100.0 + 498.59))
    assert found.steps == 303_104


def test_a_mean_at_the_bar_meets_it_and_too_many_steps_do_not():
    asked = Bar(5, -80.0, 100_000, -120.0)
    assert is_met([run(-110.0), run(-130.0)], asked)
    assert not is_met([run(-110.0), run(-130.2)], asked)
    assert not is_met([run(-80.0), run(-80.0, steps=300_001)], asked)


def test_one_setting_serves_all_tasks_within_the_steps_allowed():
    spec = load_agent_spec(AGENT)
    settings = {str(spec.settings(task)) for task in STEPS}
    assert len(settings) == 1
    assert spec.policy_kwargs == {"input_spread": 3.0}
    assert all(STEPS[task] <= 3 * bar(task).steps for task in STEPS)


def test_a_training_takes_its_steps_and_is_evaluated(monkeypatch):
    monkeypatch.setattr(module, "STEPS", {"Acrobot-v1": 600})
    monkeypatch.setattr(module, "evaluate", lambda model, task: type("", (), {"returns": [1.0]}))
    made = train("Acrobot-v1", 1000)
    assert (made.steps, made.evaluation) == (600, (1.0,))


def test_stored_runs_are_skipped_and_shown_on_the_page(tmp_path, monkeypatch):
    asked = []

    def fake(task, seed):
        asked.append(seed)
        return run(-90.0 - seed % 10, seed=seed)

    monkeypatch.setattr(module, "train", fake)
    for seeds in ((300,), (300, 302)):
        run_missing("Acrobot-v1", tmp_path, lambda line: None, seeds)
    assert asked == [300, 302]
    assert [x.seed for x in read_runs("Acrobot-v1", tmp_path)] == asked
    page = tasks_section(tmp_path)
    row = next(line for line in page.splitlines() if line.startswith("| Acrobot-v1"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:7] == ["Acrobot-v1", "300,000", "303,104", "2", "-91.0", "-91.0", "-92.0"]
    assert cells[-1] == "yes"
    assert "The target is met on 1 of 1 tasks" in page
    assert report_tasks.tasks_section(tmp_path / "nothing") == ""
