"""The whole report, of a few runs and of none."""

import csv
import io

from studies.dynamics.__main__ import DOCS, RESULTS
from studies.dynamics.plan import PARTS, plan
from studies.dynamics.report import document as module
from studies.dynamics.report import write_report
from studies.dynamics.report.document import LOG, REPORT, document, read_study
from studies.dynamics.report.figures import FIGURES
from studies.dynamics.report.log import FIELDS, log
from tests.studies.dynamics.runs import write_runs


def test_a_report_without_runs_makes_no_claims(tmp_path):
    study = read_study(tmp_path)
    text = document(study)
    planned = sum(entry.seeds for part in PARTS for entry in plan(part))
    assert f"from 0 of {planned:,} planned runs" in text
    for claim in ("**met**", "**missed**", "setting with dynamics", "fewer than every", "rises"):
        assert claim not in text
    assert text.count("**Not known: runs are missing.**") == 4
    assert "With a teacher runs are missing. Without one runs are missing." in text
    assert log(study) == f"{','.join(FIELDS)}\n"


def test_a_report_of_a_few_runs(tmp_path, monkeypatch):
    results, docs = tmp_path / "results", tmp_path / "docs"
    for part in PARTS:
        for entry in plan(part):
            write_runs(results, part, entry.labels, [-1.5, -2.5], [40, None])
    write_runs(results, "size", ("es", "7"), [1.0, 2.0], [1, 2], budget={"episodes": 1})
    monkeypatch.setattr(module, "FORMATS", ("png",))
    paths = write_report(results, docs)
    text = paths[0].read_text(encoding="utf-8")
    assert paths[:2] == [docs / REPORT, tmp_path / LOG]
    assert "These runs have other settings than the present ones**" in text
    assert "and must run again: size/es/7." in text
    links = [line.split("](")[1][:-1] for line in text.splitlines() if line.startswith("![")]
    assert [docs / link for link in links] == paths[2:]
    assert len(links) == len(FIGURES) == 5
    assert text.count("\n## ") == 8
    assert document(read_study(results)) == text


def test_the_log_has_a_line_for_each_run(tmp_path):
    write_runs(tmp_path, "presets", ("CartPole-v1", "weight+dynamics"), [480.25, 9.0], [7, None])
    write_runs(tmp_path, "presets", ("Teacher", "es"), [None, -0.5])
    first, failed, taught = csv.DictReader(io.StringIO(log(read_study(tmp_path))))
    assert first == {
        "part": "presets", "case": "CartPole-v1/weight+dynamics", "seed": "0", "version": "0.0.1",
        "reward": "local", "exploration": "0.5", "solved_episodes": "7", "solved_steps": "70",
        "episodes": "100", "steps": "1000", "mean": "480.25", "iqm": "480.25",
    }  # fmt: skip
    assert (failed["seed"], failed["solved_episodes"], failed["mean"]) == ("1", "", "9")
    assert (taught["case"], taught["reward"], taught["seed"]) == ("Teacher/es", "", "1")


def test_report_and_log_are_those_of_the_stored_runs():
    study = read_study(RESULTS)
    text, lines = document(study), log(study)
    assert (DOCS / REPORT).read_text("utf-8") == text, "run: python -m studies.dynamics report"
    assert (RESULTS.parent / LOG).read_text("utf-8") == lines, (
        "run: python -m studies.dynamics report"
    )
    assert "other settings than the present ones" not in text
    assert lines.count("\n") == 1 + len(list(RESULTS.rglob("*.json")))


def test_every_stored_run_is_of_a_part():
    assert {path.name for path in RESULTS.iterdir()} <= PARTS.keys()
