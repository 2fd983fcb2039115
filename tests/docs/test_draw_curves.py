"""Tests of figures of learning curves from synthetic rows."""

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


# Two agents with equal curves, a seed without a curve, and a row of another version.
ROWS = [
    *(make_row(name, k, curve=curve(30.0 + 2 * k)) for name in AGENTS for k in (0, 1)),
    make_row("ppo-mlp", 2),
    make_row("ppo-lif", 3, environment_version=99, curve=curve(0.0)),
]


def draw(axes, rows, env_id, agents):
    draw_curves.draw_task(axes, rows, env_id, agents, draw_curves.colours_of(agents))


@pytest.fixture(scope="module")
def axes():
    axes = Figure().subplots()
    draw(axes, ROWS, TASK, AGENTS)
    return axes


def test_the_legend_states_the_number_of_seeds(axes):
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    means = ["ppo-lif (mean of 2 seeds)", "ppo-mlp (mean of 2 of 3 seeds)"]
    assert texts == [*means, "score of a seed"]
    assert draw_curves.seeds_in_words(1, 10) == "1 of 10 seeds"
    assert draw_curves.seeds_in_words(1, 1) == "1 seed"


def test_equal_curves_differ_in_colour_and_width(axes):
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


def test_only_seeds_with_curves_show_their_scores(axes):
    marks = [line.get_xydata().tolist()[0] for line in axes.lines if line.get_marker() == "D"]
    assert sorted(marks) == [[100.0, 450.0]] * 2 + [[100.0, 450.5]] * 2


def test_labels_lie_below_and_beside_the_curves():
    figure = Figure(layout="constrained")
    axes, env_id = figure.subplots(), "snn/CueAccumulation-v0"
    draw(axes, [make_row("ppo-lif", environment=env_id, curve=curve(1.0))], env_id, ("ppo-lif",))
    figure.draw_without_rendering()
    inside = axes.get_window_extent()
    assert axes.get_legend().get_window_extent().y1 < axes.xaxis.label.get_window_extent().y0
    assert {text.get_text() for text in axes.texts} == {"random,\nmemoryless", "oracle"}
    assert all(text.get_window_extent().x0 > inside.x1 for text in axes.texts)


def test_a_figure_is_written_only_with_curves(tmp_path, monkeypatch):
    agents = draw_curves.GUIDE_TASKS["Pendulum-v1"]
    assert len(set(draw_curves.colours_of(agents).values())) == len(agents) == 4
    monkeypatch.setattr(draw_curves, "IMAGES", tmp_path)
    draw_curves.draw_figure(ROWS, "some", {TASK: AGENTS})
    draw_curves.draw_figure(ROWS[-2:], "none", {TASK: AGENTS})
    draw_curves.draw_figure(ROWS, "other", {"Pendulum-v1": ("sac-lif",)})
    assert imread(tmp_path / "some.png").std() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["some.png"]
