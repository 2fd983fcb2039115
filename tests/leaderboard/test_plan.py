"""Tests of plans: the order of runs, and error messages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snn_gym._base.config import from_mapping
from snn_gym._base.folders import checkout_root
from snn_gym.leaderboard.plan import Group, Plan, PlannedRun, read_plan

PAIR = {"agents": ["ppo-lif", "ppo-mlp"], "environments": ["CartPole-v1"], "seeds": "0-1"}


def plan_of(*groups):
    return from_mapping(Plan, {"groups": groups}, "plan")


def test_all_agents_have_the_first_seed_before_any_has_the_second():
    # The budget of gradient learners on CartPole is 100,000 steps.
    assert plan_of(PAIR).runs() == (
        PlannedRun("ppo-lif", "CartPole-v1", 0, 100_000),
        PlannedRun("ppo-mlp", "CartPole-v1", 0, 100_000),
        PlannedRun("ppo-lif", "CartPole-v1", 1, 100_000),
        PlannedRun("ppo-mlp", "CartPole-v1", 1, 100_000),
    )


def test_runs_in_two_groups_are_trained_once():
    first = {**PAIR, "seeds": "1"}
    assert [job.seed for job in plan_of(first, PAIR).runs()] == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="ppo-lif CartPole-v1 seed 1 stands in two groups"):
        plan_of({**first, "steps": 50_000}, PAIR).runs()


def test_budgets_follow_the_agent_class():
    group = Group(("es", "ppo-lif"), ("Acrobot-v1",), "3")
    assert [job.steps for job in group.runs()] == [3_000_000, 300_000]
    assert [job.steps for job in Group(("dqsn",), ("CartPole-v1",), "3", 500).runs()] == [500]


def test_lean_runs_take_a_fifth_of_the_budget_by_default():
    pole = {"agents": ("ppo-lif-dynamics",), "environments": ("CartPole-v1",), "seeds": "0-0"}
    (job,) = Group(**pole, teacher="ppo-mlp").runs()
    assert (job.steps, job.teacher) == (20_000, "ppo-mlp")
    (job,) = Group(**pole, teacher="ppo-mlp", steps=300).runs()
    assert job.steps == 300


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": "9-0"}, "seeds must be a number or a range such as 0-9, got '9-0'"),
        ({"seeds": "all"}, "seeds must be a number or a range"),
        ({"agents": ["ppo-liff"]}, "agent 'ppo-liff' is unknown; did you mean 'ppo-lif'"),
        ({"agents": []}, "agents must have 1 to 1000 entries"),
        ({"environments": ["CartPole-v9"]}, "CartPole-v9"),
        ({"environments": ["payload:CartPole-v1"]}, "payload:CartPole-v1"),
        ({"agents": ["sac-lif"]}, "sac-lif is not registered for CartPole-v1; expected one of"),
        ({"steps": 100_001}, "100,001 steps are more than the budget of 100,000"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"teacher": "ppo-liff"}, "agent 'ppo-liff' is unknown; did you mean 'ppo-lif'"),
        ({"workers": 2}, "unknown key workers"),
    ],
)
def test_mistakes_are_named_in_one_line(change, named, tmp_path):
    lines = []
    for key, value in {**PAIR, **change}.items():
        lines.append(f"{key} = {value!r}".replace("'", '"'))
    path = tmp_path / "plan.toml"
    path.write_text("[[groups]]\n" + "\n".join(lines))
    with pytest.raises(ValueError, match=r"plan\.toml: ") as caught:
        read_plan(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_leaderboard_plan_names_existing_agents_and_environments():
    root = checkout_root()
    assert root is not None
    jobs = read_plan(root / "leaderboard" / "plan.toml").runs()
    assert PlannedRun("recurrent-ppo-gru", "snn/EventTracking-v0", 0, 300_000) in jobs
    assert len({job.folder(Path("runs")) for job in jobs}) == len(jobs)


def test_the_plan_has_at_most_forty_agents():
    root = checkout_root()
    assert root is not None
    runs = read_plan(root / "leaderboard" / "plan.toml").runs()
    assert len({x.agent for x in runs}) <= 40
    # Students have the seeds of their teachers, which are trained before.
    seen = set()
    for run in runs:
        assert run.teacher is None or (run.teacher, run.environment, run.seed) in seen, run.name
        seen.add((run.agent, run.environment, run.seed))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a = " + "[" * 5000, "not valid TOML: nested too deeply"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a = '\udcff'", "not valid TOML"),
        (
            '[[groups]]\nagents = ["es"]\nenvironments = ["x"]\nseeds = "0-99999999999999999999"',
            "runs",
        ),
    ],
)
def test_plans_that_are_too_long_or_malformed_are_named(text, named, tmp_path):
    path = tmp_path / "plan.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"plan\.toml: .*{named}"):
        read_plan(path)


def test_a_link_is_followed_and_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "plan").write_text(
        '[[groups]]\nagents = ["ppo-lif"]\nenvironments = ["CartPole-v1"]\nseeds = "3"'
    )
    (tmp_path / "link").symlink_to("plan")
    assert len(read_plan(tmp_path / "link").runs()) == 1
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a pipe"):
        read_plan(tmp_path / "pipe")
