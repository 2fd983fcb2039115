"""Tests of learning curves as lines, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.site.environments import environment
from snn_gym.leaderboard.site.files import agent
from snn_gym.leaderboard.site.layout import Site
from snn_gym.leaderboard.site.learning import (
    Trained,
    cut,
    learning_figure,
    learning_figures,
    overall,
    pairs,
    steps_axis,
    time_axis,
    trained,
)
from snn_gym.leaderboard.table import summaries
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import make_row

SITE = Site(frozenset({"ppo-lif"}))
# From random play to the solved score of CartPole-v1.
CURVE = LearningCurve(
    steps=(50_000, 100_000), returns=(21.65, 475.0), episodes=(9, 3), seconds=(30.0, 120.0)
)
AGAIN = {"same": "weights", "versions": {}, "processor": {}, "date": "2026-01-03T00:00:00Z"}
POINTS = st.lists(
    st.tuples(st.integers(1, 1000), st.floats(-1e6, 1e6)),
    min_size=1,
    unique_by=lambda point: point[0],
)


def line(*points):
    places, returns = np.array(points, dtype=np.float64).T
    return places, returns


def line_of(sources, name):
    (row,) = [row for row in summaries(sources) if row.agent == name]
    return trained(row, sources)


def paths(markup):
    return [(x.get("class"), x["d"]) for x in Parsed(markup).attributes("path")]


def said(markup):
    return "".join(Parsed(markup).said)


def test_the_thick_line_by_hand():
    lines = [line((10, 0.0), (30, 20.0)), line((20, 0.0), (40, 40.0))]
    places, means = overall(lines)
    # Only at 30, where the first line has a point, do both lines have a value: 20 and 20.
    assert (places.tolist(), means.tolist()) == ([30.0], [20.0])
    four = [line((10, 0.0), (30, value)) for value in (1.0, 2.0, 4.0, 1000.0)]
    assert overall(four)[1].tolist() == [0.0, 3.0]  # the middle half of four are 2 and 4


def test_curves_without_common_steps_have_no_mean():
    assert overall([line((10, 0.0), (20, 1.0)), line((30, 0.0), (40, 1.0))]) is None
    # All are there between 25 and 35, where the first has no point.
    assert overall([line((10, 0.0), (40, 1.0)), line((25, 0.0), (35, 1.0))]) is None


@given(points=POINTS, times=st.integers(1, 6))
def test_mean_of_equal_curves_is_that_curve(points, times):
    one = line(*sorted(points))
    places, means = overall([one] * times)
    assert places.tolist() == one[0].tolist()
    assert means == pytest.approx(one[1], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("axis", "value", "text"),
    [
        (steps_axis([3e6]), 500_000, "0.5M"),
        (steps_axis([999_999]), 200_000, "200k"),
        (steps_axis([9_999]), 2_500, "2500"),
        (steps_axis([3e6]), 0, "0"),
        (time_axis([179.0]), 90, "90"),
        (time_axis([180.0]), 90, "1.5"),
        (time_axis([3 * 3600.0]), 5400, "1.5"),
    ],
)
def test_numbers_on_the_axes(axis, value, text):
    assert axis.text(value) == text


def test_the_unit_of_time_is_on_the_axis():
    labels = [time_axis([seconds]).label for seconds in (100.0, 1000.0, 100_000.0)]
    assert labels == [f"wall time ({unit})" for unit in ("seconds", "minutes", "hours")]


def test_the_axis_of_time_ends_at_twice_the_median_duration():
    assert time_axis([100.0, 110.0, 120.0, 1400.0]).last == 230.0
    assert time_axis([100.0, 110.0, 150.0]).last == 150.0
    assert steps_axis([100.0, 110.0, 1400.0]).last == 1400.0


def test_curves_are_clipped_at_the_end_of_the_axis():
    lines = [line((10, 0.0), (20, 5.0)), line((10, 0.0), (40, 30.0), (50, 7.0)), line((31, 1.0))]
    shown = [np.transpose(one).tolist() for one in cut(lines, 30.0)]
    # Two thirds of the way from 10 to 40 the second is at 20; the third begins beyond.
    assert shown == [[[10, 0], [20, 5]], [[10, 0], [30, 20]]]


def test_agents_are_shown_once_next_to_their_twin():
    names = ("ppo-lif", "ppo-mlp", "ppo-lif-dynamics", "a2c-lif")
    rows = summaries([make_row(name) for name in names])
    found = [[row.agent for row in pair] for pair in pairs(rows)]
    # The MLP is the twin of both, and is not shown a third time alone.
    assert sorted(found) == [["a2c-lif"], ["ppo-lif", "ppo-mlp"], ["ppo-lif-dynamics", "ppo-mlp"]]
    assert [[row.agent for row in pair] for pair in pairs([rows[-1]])] == [[rows[-1].agent]]


def test_a_figure_by_hand():
    """The axis of steps runs from 80 to 376, that of returns from 204 up to 12."""
    found = line_of([make_row(curve=CURVE)], "ppo-lif")
    figure = learning_figure(SITE, [found], up="../")
    read = Parsed(figure)
    assert paths(figure) == [
        ("overall", "M2 8H26"),
        (None, "m228+204 148-192h0"),
        ("overall", "m228+204 148-192h0"),
        (None, "m154+204 222-192h0"),  # after a quarter of 120 s
    ]
    _, steps, time = read.attributes("svg")
    assert steps["aria-label"] == (
        "Return over environment steps, CartPole-v1. ppo-lif, interquartile mean over runs (1): "
        "21.6 at 50k to 475.0 at 100k"
    )
    assert time["aria-label"] == (
        "Return over wall time (seconds), CartPole-v1. ppo-lif, runs (1), of a duration of 120"
    )
    assert read.said.count("mean return") == 2
    assert [x["class"] for x in read.attributes("g")] == ["curves spiking"] * 3
    assert [x["href"] for x in read.attributes("a")] == ["../agents/ppo-lif.html"]
    assert said(figure).endswith("ppo-lif: 1 of 1 runs as submitted.")


def test_missing_wall_time_has_no_panel():
    found = line_of([make_row(curve=replace(CURVE, seconds=()))], "ppo-lif")
    assert "wall time" not in learning_figure(SITE, [found], up="")


def test_slow_runs_are_clipped_without_a_mean_over_time():
    seconds = ((30.0, 60.0), (30.0, 60.0), (60.0, 600.0))
    curves = [replace(CURVE, seconds=one) for one in seconds]
    rows = [make_row(seed=seed, curve=curve) for seed, curve in enumerate(curves)]
    figure = learning_figure(SITE, [line_of(rows, "ppo-lif")], up="")
    over_time = paths(figure)[-3:]
    # The axis ends at 120 s: 80, 154, 228 and 376 are 0, 30, 60 and 120 s. The slow run has by
    # then gone 60 of 540 s to its end, a ninth of 192 pixels.
    assert over_time == [
        (None, "m154+204 74-192h0"),
        (None, "m154+204 74-192h0"),
        (None, "m228+204 148-21h0"),
    ]
    assert "ppo-lif, runs (3), of a duration of 60 to 600" in figure


@pytest.mark.parametrize(
    ("agent", "judged"),
    [
        ("random-search", "every random network"),
        ("es", "sampled networks"),
        ("cma-es", "sampled networks"),
        ("accept-reject", "current weights and of every tried move"),
        ("win-stay", "current weights and of every tried move"),
        ("synapse-agents", "current weights and of every tried move"),
        ("local-actor-critic", None),
        ("ppo-lif", None),
        ("an-agent-that-left", None),
    ],
)
def test_captions_name_the_networks_behind_the_returns(agent, judged):
    text = line_of([make_row(agent, curve=CURVE)], agent).in_words()
    start = f"{agent}: 1 of 1 runs as submitted"
    assert text == start if judged is None else text.startswith(f"{start}; episodes of {judged}")


def test_outlier_runs_do_not_stretch_the_axis():
    wild = replace(CURVE, returns=(-1e12, 1e12))
    rows = [make_row(seed=0, curve=CURVE), make_row(seed=1, curve=wild)]
    figure = learning_figure(SITE, [line_of(rows, "ppo-lif")], up="")
    # The axis runs from 21.65 to 475, and on by half of that at both ends.
    assert ("m228+204 148-192h0") in [d for _, d in paths(figure)]
    assert ("m228+156 148-96h0") in [d for _, d in paths(figure)]


def test_captions_separate_confirmed_from_claimed_curves():
    again = [make_row(seed=k, trained_again={**AGAIN, "curve": CURVE}) for k in (0, 1)]
    other = replace(CURVE, returns=(0.0, 1.0))
    rows = [*again, make_row(seed=2, curve=other), make_row(seed=3, trained_again=AGAIN)]
    found = line_of(rows, "ppo-lif")
    # Weights of seed 3 were found again before there were curves.
    assert found.in_words() == "ppo-lif: 2 of 4 runs trained again, 1 of 4 runs as submitted"
    assert found.curves == (CURVE, CURVE, other)
    both = [make_row(curve=other, trained_again={**AGAIN, "curve": CURVE})]
    assert line_of(both, "ppo-lif").curves == (CURVE,)  # the verifier's


def test_environment_pages_show_pairs_and_list_agents_without_curves():
    sources = [make_row(curve=CURVE), make_row("ppo-mlp", curve=CURVE), make_row("a2c-lif")]
    rows = summaries(sources)
    page = environment(SITE, rows, sources)
    assert "Without learning curves: a2c-lif." in said(page)
    assert said(page).count("1 of 1 runs as submitted") == 2
    figures = learning_figures(SITE, rows, sources, up="")
    read = Parsed(figures)
    assert len(read.attributes("figure")) == 2  # means of all agents, and the pair
    assert len(read.attributes("svg")) == 5  # their panel; two panels, two samples
    means = [x for x in read.attributes("path") if x.get("class") == "overall"]
    assert len(means) == 6  # a line and a sample of each agent, and a line among the means
    bare = learning_figures(SITE, rows, (), up="")
    assert bare.count("<p") == 1
    assert "figure" not in bare


def test_agent_pages_show_curves_next_to_the_twin():
    sources = [make_row(curve=CURVE), make_row("ppo-mlp", curve=CURVE)]
    table = summaries(sources)
    shown = agent(SITE, table[:1], table, sources)
    assert len([x for x in Parsed(shown).attributes("g") if "curves" in x["class"]]) == 6
    assert "Learning curves." in said(shown)
    bare = agent(SITE, table[:1], table, [make_row(), sources[1]])
    assert "Without learning curves." in said(bare)
    assert "figure" not in bare


def test_script_in_a_name_is_escaped():
    hostile = '"><script>alert(1)</script>'
    row = replace(summaries([make_row()])[0], agent=hostile, environment=hostile)
    read = Parsed(learning_figure(SITE, [Trained(row, (CURVE,), 0)], up=""))
    assert read.attributes("script") == []
    assert hostile in "".join(read.said)


def test_a_figure_of_twenty_runs_is_small():
    steps = tuple(range(2_000, 102_000, 2_000))
    rng = np.random.default_rng(0)
    sources = [
        make_row(
            name,
            seed=seed,
            curve=LearningCurve(
                steps=steps,
                returns=tuple(rng.uniform(0.0, 500.0, 50).tolist()),
                episodes=(1,) * 50,
                seconds=tuple(range(1, 51)),
            ),
        )
        for name in ("ppo-lif", "ppo-mlp")
        for seed in range(10)
    ]
    assert len(learning_figures(SITE, summaries(sources), sources, up="")) < 30_000
