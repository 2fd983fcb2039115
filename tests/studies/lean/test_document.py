"""The committed pages are those that the runs give."""

from studies.lean.__main__ import DOCS, RESULTS
from studies.lean.report import write_report


def test_the_committed_pages_are_up_to_date(tmp_path):
    written = write_report(RESULTS, tmp_path)
    assert len(written) == 7
    for page in written:
        committed = DOCS / page.relative_to(tmp_path)
        assert page.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), page.name
    assert len(written[0].read_text(encoding="utf-8").splitlines()) <= 100  # two screens
