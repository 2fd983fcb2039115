"""Files of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.dynamics.outcome import (
    Outcome,
    make_result,
    read_result,
    reduced_curve,
    result_path,
    write_result,
)


def test_a_curve_is_reduced_by_hand():
    rows = [(10, 1.0), (20, 3.0), (30, 5.0), (40, 6.0), (50, 8.0)]
    # The first part takes the row that is left over.
    assert reduced_curve(rows, 2) == ((30, 3.0), (50, 7.0))
    assert reduced_curve(rows, 9) == tuple(rows)
    assert reduced_curve([]) == ()


@given(st.integers(1, 300), st.integers(1, 60))
def test_a_curve_keeps_its_end_and_its_bound(count, points):
    curve = reduced_curve([(k, float(k)) for k in range(count)], points)
    assert len(curve) == min(count, points)
    assert curve[-1][0] == count - 1
    assert [step for step, _ in curve] == sorted({step for step, _ in curve})


def test_a_file_holds_all_of_a_run(tmp_path):
    outcome = Outcome((1.0, 2.0, 3.0, 10.0), 7, 70, ((70, 4.0),), solved_episodes=5)
    result = make_result("part", ("a", "b"), 3, "0.1", {"rate": [1, None]}, outcome)
    assert (result.mean, result.iqm) == (4.0, 2.5)
    path = write_result(tmp_path, result)
    assert path == result_path(tmp_path, "part", ("a", "b"), 3) == tmp_path / "part/a/b/3.json"
    assert read_result(path) == result


def test_files_that_are_not_ours_are_refused(tmp_path):
    path = tmp_path / "0.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"0\.json: not valid JSON .*; delete it and run again"):
        read_result(path)
    path.write_text('{"part": "x"}')
    with pytest.raises(ValueError, match=r"0\.json: missing key case"):
        read_result(path)
