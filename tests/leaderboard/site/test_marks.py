"""Tests of the places of dots, intervals and reference scores, by hand."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.envs.registry import ReferenceScores
from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.site.marks import (
    MARGIN,
    RADIUS,
    WIDTH,
    Scale,
    legend,
    score_scale,
    seeds_drawing,
    stacked,
)
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import fill, make_row

REFERENCE = ReferenceScores(
    random=0.0,
    random_standard_error=1.0,
    random_episodes=10,
    memoryless=61.0,
    solved=122.0,
    oracle=244.0,
    maximum=244.0,
)


@pytest.fixture
def row(tmp_path):
    """Return a row of five seeds on an axis of 244 pixels for 244 points: x is score plus 8."""
    scores = (122.0, 122.0, 124.0, 130.0, 112.0)
    rows = [make_row(seed=seed, returns=(x, x)) for seed, x in enumerate(scores)]
    (found,) = table_rows(fill(tmp_path, *rows))
    return replace(found, reference=REFERENCE)


def test_axis_covers_all_marks(row):
    assert score_scale([row]) == Scale(0.0, 244.0)
    above = replace(row, seed_means=(-10.0, 300.0), seeds=(0, 1))
    assert score_scale([row, above]) == Scale(-10.0, 300.0)
    alone = replace(above, reference=None)
    assert score_scale([alone]) == Scale(-10.0, 300.0)


def test_an_axis_by_hand():
    scale = Scale(0.0, 244.0)
    assert [scale(x) for x in (0.0, 61.0, 244.0)] == [8.0, 69.0, 252.0]
    assert Scale(3.0, 3.0)(3.0) == WIDTH / 2


def test_dots_are_at_their_scores_and_stacked(row):
    drawn = Parsed(seeds_drawing(row, Scale(0.0, 244.0)))
    dots = [(dot["cx"], dot["cy"]) for dot in drawn.attributes("circle")]
    # The second is where the first is, the third 2 pixels further; the others are far enough.
    assert dots == [
        ("130.0", "24"),
        ("130.0", "18"),
        ("132.0", "12"),
        ("138.0", "24"),
        ("120.0", "24"),
    ]
    assert "seed 3: 130.0" in drawn.said
    marks = {x["class"]: (x["x1"], x["x2"]) for x in drawn.attributes("line")}
    assert marks == {
        "reference random": ("8.0", "8.0"),
        "reference memoryless": ("69.0", "69.0"),
        "reference solved": ("130.0", "130.0"),
        "reference oracle": ("252.0", "252.0"),
    }


def test_mean_and_interval_lie_where_the_row_says(row):
    drawn = Parsed(seeds_drawing(row, Scale(0.0, 244.0)))
    mean, interval = (
        next(x["d"] for x in drawn.attributes("path") if x["class"] == name)
        for name in ("mean", "interval")
    )
    # The mean is 122; deviations 0, 0, 2, 8, -10 give a variance of 42, a standard error of
    # sqrt(42 / 5) = 2.898, and t(0.975, 4) = 2.77645 an interval of 122 ± 8.047.
    assert mean == "M126.0 34l4 -4 4 4 -4 4z"
    assert interval == "M122.0 30v8M122.0 34H138.0M138.0 30v8"
    (svg,) = drawn.attributes("svg")
    assert svg["aria-label"] == (
        "ppo-lif, mean return of each seed: 122.0, 122.0, 124.0, 130.0, 112.0; mean 122.0; "
        "95 % interval 114.0 to 130.0"
    )
    assert svg["class"] == "seeds spiking"


def test_without_interval_or_reference_neither_is_drawn(row):
    few = replace(row, seeds=(0, 1), seed_means=(1.0, 2.0), reference=None, spiking=False)
    drawn = Parsed(seeds_drawing(few, score_scale([few])))
    assert [x["class"] for x in drawn.attributes("path")] == ["mean"]
    assert drawn.attributes("line") == []
    assert drawn.attributes("svg")[0]["class"] == "seeds"


def test_the_legend_has_the_known_reference_scores(row):
    said = "".join(Parsed(legend(replace(row, reference=replace(REFERENCE, oracle=None)))).said)
    assert "random play: 0.0" in said
    assert "best without memory: 61.0" in said
    assert "solved from here on: 122.0" in said
    assert "oracle" not in said


@given(places=st.lists(st.floats(MARGIN, WIDTH - MARGIN), max_size=30))
def test_dots_below_the_highest_level_never_cover_each_other(places):
    levels = stacked(places)
    assert len(levels) == len(places)
    for level in range(3):
        here = sorted(x for x, own in zip(places, levels, strict=True) if own == level)
        gaps = [b - a for a, b in itertools.pairwise(here)]
        assert all(gap >= 2 * RADIUS for gap in gaps)
