"""Figures of learning curves, from rows made up here: what is drawn, how it is told apart."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from snn_gym.leaderboard.manifest import LearningCurve
from tests.docs.scripts import load_script
from tests.leaderboard.test_table import make_row

draw_curves = load_script("draw_curves")
TASK = "CartPole-v1"
AGENTS = ("ppo-lif", "ppo-mlp")


def curve(end):
    return LearningCurve(steps=(1_000, 4_000), returns=(10.0, end), episodes=(9, 3))


ROWS = [
    *(make_row(name, k, curve=curve(30.0 + 2 * k)) for name in AGENTS for k in (0, 1)),
    make_row("ppo-mlp", 2),
    make_row("ppo-lif", 3, environment_version=99, curve=curve(0.0)),
]
"""Two agents whose curves coincide; a seed without one, and one of another version."""


def drawn(rows, agents=AGENTS):
    axes = Figure().subplots()
    draw_curves.draw_task(axes, rows, TASK, agents, draw_curves.colours_of(agents))
    return axes


def test_a_figure_says_of_how_many_seeds_its_curves_are():
    texts = [text.get_text() for text in drawn(ROWS).get_legend().get_texts()]
    assert texts == [
        "ppo-lif (mean of 2 seeds)",
        "ppo-mlp (mean of 2 of 3 seeds)",
        "score of a seed",
    ]
    assert draw_curves.seeds_in_words(1, 10) == "1 of 10 seeds"
    assert draw_curves.seeds_in_words(1, 1) == "1 seed"


def test_curves_that_coincide_are_told_apart_by_colour_and_width():
    axes = drawn(ROWS)
    lif, mlp = (next(x for x in axes.lines if x.get_label().startswith(name)) for name in AGENTS)
    assert np.array_equal(lif.get_ydata(), mlp.get_ydata())
    # Seeds end at 30 and 32.
    assert lif.get_ydata()[[0, -1]].tolist() == pytest.approx([10.0, 31.0])
    assert lif.get_xdata()[[0, -1]].tolist() == pytest.approx([1.0, 4.0])
    assert axes.lines.index(mlp) < axes.lines.index(lif)
    assert mlp.get_linewidth() > lif.get_linewidth() + 1
    (lif_red, _, lif_blue), (mlp_red, _, mlp_blue) = (to_rgb(x.get_color()) for x in (lif, mlp))
    assert lif_red > lif_blue
    assert mlp_blue > mlp_red


def test_only_seeds_with_curves_show_their_scores():
    marks = [line for line in drawn(ROWS).lines if line.get_marker() == "D"]
    assert sorted(line.get_xydata().tolist()[0] for line in marks) == [
        *[[100.0, 450.0]] * 2,
        *[[100.0, 450.5]] * 2,
    ]


def test_all_agents_of_a_figure_have_their_own_colours():
    agents = draw_curves.GUIDE_TASKS["Pendulum-v1"]
    assert len(set(draw_curves.colours_of(agents).values())) == len(agents) == 4


def test_labels_lie_below_and_beside_the_curves():
    rows = [make_row("ppo-lif", environment="snn/CueAccumulation-v0", curve=curve(1.0))]
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    env_id, agents = rows[0].environment, ("ppo-lif",)
    draw_curves.draw_task(axes, rows, env_id, agents, draw_curves.colours_of(agents))
    figure.draw_without_rendering()
    inside = axes.get_window_extent()
    assert axes.get_legend().get_window_extent().y1 < axes.xaxis.label.get_window_extent().y0
    assert {text.get_text() for text in axes.texts} == {"random,\nmemoryless", "oracle"}
    assert all(text.get_window_extent().x0 > inside.x1 for text in axes.texts)


def test_a_figure_is_written_where_there_are_curves(tmp_path, monkeypatch):
    monkeypatch.setattr(draw_curves, "IMAGES", tmp_path)
    draw_curves.draw_figure(ROWS, "some", {TASK: AGENTS})
    draw_curves.draw_figure(ROWS[-2:], "none", {TASK: AGENTS})
    draw_curves.draw_figure(ROWS, "other", {"Pendulum-v1": ("sac-lif",)})
    assert imread(tmp_path / "some.png").std() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["some.png"]
