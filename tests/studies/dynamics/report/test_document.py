"""The whole report, of a few runs and of none."""

from __future__ import annotations

from pathlib import Path

from studies.dynamics.__main__ import DOCS, RESULTS
from studies.dynamics.groups import read_groups
from studies.dynamics.plan import PARTS, plan
from studies.dynamics.report import write_report
from studies.dynamics.report.document import REPORT, SECTIONS, document
from studies.dynamics.report.figures import FIGURES
from tests.studies.dynamics.runs import write_runs


def test_every_part_is_written_about() -> None:
    assert PARTS.keys() == SECTIONS.keys() >= FIGURES.keys()


def test_without_runs_nothing_is_claimed(tmp_path: Path) -> None:
    text = document({part: read_groups(part, tmp_path) for part in PARTS})
    planned = sum(entry.seeds for part in PARTS for entry in plan(part))
    assert f"There are 0 of {planned:,} planned runs" in text
    for claim in ("yes in these data", "not in these data", "**met**", "**better**", "**worse**"):
        assert claim not in text
    assert "runs are missing" in text


def test_a_report_of_a_few_runs(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    for part in PARTS:
        for entry in plan(part):
            write_runs(results, part, entry.labels, [-1.5, -2.5], [40, None])
    write_runs(results, "size", ("es", "7"), [1.0, 2.0], [1, 2], budget={"episodes": 1})
    paths = write_report(results, docs)
    text = paths[0].read_text(encoding="utf-8")
    assert paths[0] == docs / "dynamics-study.md"
    assert "made with other settings than the present ones**" in text
    assert "are to be made again: size/es/7." in text
    for entry in (entry for part in PARTS for entry in plan(part)):
        assert f"`{entry.labels[-1]}" in text or entry.labels[-1].isdigit()
    links = [line.split("](")[1][:-1] for line in text.splitlines() if line.startswith("![")]
    assert {docs / link for link in links} == {x for x in paths if x.suffix == ".png"}
    assert len(paths) == 1 + 2 * len(FIGURES)
    assert document({part: read_groups(part, results) for part in PARTS}) == text


def test_the_report_is_that_of_the_stored_runs() -> None:
    text = document({part: read_groups(part, RESULTS) for part in PARTS})
    written = (DOCS / REPORT).read_text(encoding="utf-8")
    assert written == text, "run: python -m studies.dynamics report"
    assert "other settings than the present ones" not in text


def test_every_stored_run_is_of_a_part() -> None:
    assert {path.name for path in RESULTS.iterdir()} <= PARTS.keys()
