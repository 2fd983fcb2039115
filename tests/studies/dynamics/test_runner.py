"""The study's runner: which cases it runs and which it passes over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from studies.dynamics import __main__ as command
from studies.dynamics import plan as plan_module
from studies.dynamics.outcome import Outcome, read_result
from studies.dynamics.plan import Planned
from studies.dynamics.runner import missing_runs, run_part


@dataclass
class CountingCase:
    """A case that notes the seeds it was trained on."""

    trained: list[int] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=lambda: {"rate": 0.5})

    def train(self, seed):
        self.trained.append(seed)
        return Outcome((float(seed),), 1, 10, ((10, 0.0),))


@pytest.fixture
def planned(monkeypatch):
    entries = [
        Planned("toy", ("easy", "a"), 3, CountingCase()),
        Planned("toy", ("hard", "b"), 2, CountingCase()),
    ]
    monkeypatch.setitem(plan_module.PARTS, "toy", lambda part: entries)
    return entries


def trained(planned):
    return [entry.case.trained for entry in planned]


def test_runs_with_a_file_are_skipped(planned, tmp_path):
    seen = []
    run_part("toy", tmp_path, seen.append, seeds=range(1))
    assert trained(planned) == [[0], [0]]
    run_part("toy", tmp_path, seen.append)
    assert trained(planned) == [[0, 1, 2], [0, 1]]
    run_part("toy", tmp_path, seen.append)
    assert trained(planned) == [[0, 1, 2], [0, 1]]
    assert [(x.case[0], x.seed) for x in seen] == [
        ("easy", 0), ("hard", 0), ("easy", 1), ("hard", 1), ("easy", 2),
    ]  # fmt: skip
    files = {path: read_result(path) for path in tmp_path.rglob("*.json")}
    assert {(result.case, result.seed) for result in files.values()} == {
        (x.case, x.seed) for x in seen
    }
    assert files[tmp_path / "toy/easy/a/2.json"].settings == {"rate": 0.5}


def test_a_lost_file_is_made_again(planned, tmp_path):
    run_part("toy", tmp_path, lambda result: None)
    (tmp_path / "toy/hard/b/1.json").unlink()
    assert [(e.labels, seed) for e, seed in missing_runs("toy", tmp_path)] == [(("hard", "b"), 1)]


def test_seeds_and_cases_can_be_chosen(planned, tmp_path):
    found = missing_runs("toy", tmp_path, range(1000, 1002), "hard/b")
    assert [(entry.labels[0], seed) for entry, seed in found] == [("hard", 1000), ("hard", 1001)]


def test_a_run_that_fails_leaves_no_file(planned, tmp_path, monkeypatch):
    def fail(self, seed):
        raise ValueError("no luck")

    monkeypatch.setattr(CountingCase, "train", fail)
    with pytest.raises(ValueError, match="no luck"):
        run_part("toy", tmp_path, lambda result: None)
    assert not list(tmp_path.rglob("*.json"))


def test_impossible_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="part 'presents' is unknown; known: presets, hidden"):
        run_part("presents", tmp_path, lambda result: None)
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run_part("presets", tmp_path, lambda result: None, workers=0)


def test_seeds_of_the_command_line():
    assert command.parse_seeds(None) is None
    assert command.parse_seeds("0-9") == range(10)
    assert command.parse_seeds("7") == range(7, 8)
    for text in ("9-0", "a", "1,2", ""):
        with pytest.raises(ValueError, match="seeds must be a number or a range such as 0-9"):
            command.parse_seeds(text)


def test_the_command_prints_its_runs(planned, tmp_path):
    words = ["run", "--part", "toy", "--seeds", "1", "--only", "easy", "--out", str(tmp_path)]
    done = CliRunner().invoke(command.app, words)
    assert done.exit_code == 0
    assert done.output == "toy/easy/a/1: mean 1, 1 episodes, 10 steps\n"
    refused = CliRunner().invoke(command.app, [*words[:2], "toys"])
    assert refused.exit_code == 2
    assert "part 'toys' is unknown" in refused.output


@pytest.mark.slow
def test_several_processes_write_the_files_of_one(tmp_path):
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        run_part(
            "presets", folder, lambda result: None, seeds=range(1000, 1002),
            only="Teacher/accept-reject", workers=workers,
        )  # fmt: skip
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.json")}
        for name in ("1", "2")
    )
    assert first == second
    assert first.keys() == {"1000.json", "1001.json"}
