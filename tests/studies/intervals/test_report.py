"""The report and the results table say what was measured."""

from snn_gym.leaderboard.comparison import MARGIN, WRONG_PERCENT
from snn_gym.leaderboard.headings import COVERAGE_PERCENT, FEWEST_SEEDS
from studies.files import read_run
from studies.intervals import coverage
from studies.intervals.__main__ import RESULTS, ROOT
from studies.intervals.coverage import Results
from studies.intervals.report import held, held_between, write_report

MEASURED = read_run(Results, RESULTS)


def test_the_committed_report_is_up_to_date(tmp_path):
    written = write_report(MEASURED, tmp_path).read_text(encoding="utf-8")
    assert written == (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8")
    row = next(x for x in MEASURED.coverage if x.seeds == 10 and x.population == "normal")
    assert f"| normal | **{100 * row.coverage:.1f}** ({row.width:.2f}) |" in written


def test_the_table_shows_the_coverage_of_its_intervals():
    assert min(COVERAGE_PERCENT) == FEWEST_SEEDS
    for seeds, shares in COVERAGE_PERCENT.items():
        assert shares == tuple(round(share) for share in held_between(MEASURED, seeds))
        # In the worst case a tenth of the seeds fails, in the best they are normal.
        least, most = held_between(MEASURED, seeds)
        assert abs(held(MEASURED, "10 % of the seeds fail", seeds, "mean", "t") - least) < 2
        assert abs(held(MEASURED, "normal", seeds, "mean", "t") - most) < 1


def test_comparisons_say_how_often_not_inferior_is_wrong():
    assert coverage.MARGIN == MARGIN
    for case, shares in WRONG_PERCENT.items():
        found = [
            round(100 * row.not_inferior)
            for row in MEASURED.verdicts
            if row.difference == -MARGIN and row.case.startswith(_CASES[case])
        ]
        assert tuple(found) == shares


_CASES = {"normal": "both normal", "failing": "no seed of the twin fails"}
