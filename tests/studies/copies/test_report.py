"""The committed report is that of the committed numbers, and these support the threshold."""

from snn_gym.leaderboard.weights import NEAR
from studies.copies.__main__ import RESULTS, ROOT
from studies.copies.measured import Measured
from studies.copies.report import render_report
from studies.files import read_run


def test_the_committed_report_is_that_of_the_committed_numbers():
    committed = (ROOT / "docs" / "copies.md").read_text(encoding="utf-8")
    assert committed == render_report(read_run(Measured, RESULTS))


def test_the_threshold_has_its_margin():
    measured = read_run(Measured, RESULTS)
    honest = (measured.pairs, measured.pairs_within, *measured.short.values())
    assert all(x.count > 0 and x.least > 2 * NEAR for x in honest)
    assert all(x.near == 0 for x in honest)
    loud = {"noise of 0.1", "noise of 0.3"}
    assert loud < measured.copies.keys()
    assert all(x.near == x.count for name, x in measured.copies.items() if name not in loud)
