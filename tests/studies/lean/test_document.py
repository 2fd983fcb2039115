"""The committed report is what its runs give."""

from pathlib import Path

from studies.lean.__main__ import DOCS, RESULTS
from studies.lean.report import write_report


def test_the_committed_report_is_up_to_date(tmp_path: Path) -> None:
    committed = (DOCS / "lean-study.md").read_text(encoding="utf-8")
    assert write_report(RESULTS, tmp_path).read_text(encoding="utf-8") == committed
