"""Tests of the study's statistics against values worked by hand."""

import pytest

from studies.lean.statistics import holm, permutation_p


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([-1.0, -2.0, -3.0], 1 / 8),  # the observed signs alone
        ([-1.0, -2.0, 3.0], 5 / 8),  # sums of at most 0: 0, 0, -2, -4, -6
        ([0.0, 0.0], 1.0),
        ([1.0], 1.0),
        ([-1.0], 0.5),
    ],
)
def test_all_signs_are_counted(differences: list[float], p: float) -> None:
    assert permutation_p(differences) == p


def test_too_many_signs_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 20 seeds"):
        permutation_p([0.0] * 21)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    # ordered: 0.01 * 3, 0.03 * 2, 0.04 * 1 raised to the one before
    assert holm({"b": 0.04, "a": 0.01, "c": 0.03}) == pytest.approx(
        {"b": 0.06, "a": 0.03, "c": 0.06}
    )
