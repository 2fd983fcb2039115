"""The ANN twins of the study's agents, trained for as long and judged in the same way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snn_gym._base.numerics import one_thread
from snn_gym.zoo import load_agent_spec, make_agent
from studies.lean.outcome import outcome_path, write_outcome
from studies.lean.plan import Task
from studies.lean.runner import Report, Trained, judge, learn_arm, scratch_folder

TWIN = "twin"
"""Name of the arm."""


def twin_of(task: Task) -> str:
    """Return the agent that the zoo compares a task's agent with."""
    twin = load_agent_spec(task.agent).twin
    if twin is None:
        raise ValueError(f"agent {task.agent!r} has no twin; name one in its agent.toml")
    return twin


def run_twin(task: Task, seed: int, results: Path, scratch: Path, report: Report) -> None:
    """Train the twin of a task's agent with one seed, unless its file exists."""
    if outcome_path(results, task.env_id, TWIN, seed).exists():
        return
    own = replace(task, agent=twin_of(task))
    with one_thread():
        model = make_agent(own.agent, own.env_id, seed)
        seconds = learn_arm(model, own, seed, scratch_folder(scratch, own, seed) / TWIN)
        outcome = judge(Trained(model, 0, seconds), own, TWIN, seed, {})
    write_outcome(results, outcome)
    report(outcome)
