"""Tables of runs: sorted, whole after any kill, shared by processes; pages of today's runs."""

import importlib
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import pytest

from snn_gym._base.config import Config
from studies import runs as module
from studies.runs import Planned, Runs, make_missing

STUDIES = ("dynamics", "eprop", "lean", "local")
DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Run(Config):
    """A run of a moment."""

    seed: int
    mean: float | None = None


def test_runs_are_sorted_by_the_parts_of_their_names_and_read_as_added(tmp_path):
    table = Runs(tmp_path / "a" / "runs.jsonl")
    for name in ("b/x/10", "b/x/9", "a/y/1", "b/a/2", "b/xy/1"):
        table.add(name, Run(int(name.split("/")[-1]), 0.5))
    names = ["a/y/1", "b/a/2", "b/x/9", "b/x/10", "b/xy/1"]
    assert Runs(table.path).names() == table.names() == names
    assert [x.seed for x in table.read(Run, "b/x/")] == [9, 10]
    assert Runs(table.path).read(Run, "a/") == [Run(1, 0.5)]
    table.add("b/x/9", Run(9, 2.0))
    table.remove("b/xy/")
    assert [json.loads(x)["run"] for x in table.path.read_text().splitlines()] == names[:4]
    assert table.read(Run, "b/x/")[0].mean == 2.0


def test_a_kill_while_the_file_is_written_leaves_the_table_as_it_was(tmp_path, monkeypatch):
    table = Runs(tmp_path / "runs.jsonl")
    table.add("a/1", Run(1))

    def killed(path, text):
        path.with_suffix(".part").write_text(text[:-5])
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_text_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        table.add("a/2", Run(2))
    monkeypatch.undo()
    assert Runs(table.path).names() == ["a/1"]
    table.add("a/2", Run(2))
    assert Runs(table.path).names() == ["a/1", "a/2"]


def add_ten(path, first):
    for seed in range(first, first + 10):
        Runs(path).add(f"a/{seed}", Run(seed))


def test_processes_share_a_table(tmp_path):
    path, context = tmp_path / "runs.jsonl", multiprocessing.get_context("fork")
    both = [context.Process(target=add_ten, args=(path, first)) for first in (0, 10)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [x.seed for x in Runs(path).read(Run)] == list(range(20))


def test_what_is_there_is_not_run_again_nor_what_another_process_added(tmp_path):
    table, made = Runs(tmp_path / "runs.jsonl"), []

    def make(seed):
        made.append(seed)
        Runs(table.path).add("a/3", Run(3))  # by another process
        return Run(seed)

    plan = [Planned(f"a/{seed}", lambda seed=seed: make(seed)) for seed in (1, 2, 3)]
    make_missing(table, plan, "a/1")
    assert made == [1]
    make_missing(table, plan)
    assert made == [1, 2]


def test_a_line_that_is_no_run_is_named(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"run":"a/1","seed":1}\n{"seed":2}\n')
    with pytest.raises(ValueError, match="line 2: expected an object of JSON with a field 'run'"):
        Runs(path)
    path.write_text('{"run":"a/1","sede":1}\n')
    with pytest.raises(ValueError, match="a/1"):
        Runs(path).read(Run)


@pytest.mark.parametrize("study", STUDIES)
def test_pages_are_of_the_runs_and_the_plan_is_what_was_run(study):
    own = importlib.import_module(f"studies.{study}.__main__").STUDY
    table = own.table()
    for name, text in own.pages(table).items():
        command = f"run: python -m studies.{study} report"
        assert (DOCS / name).read_text(encoding="utf-8") == text, command
    assert not {name for name, _ in own.plan(table)} - set(table.names())
