"""Tests of pictures of learning curves and dynamics."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.plots.run import draw_dynamics, draw_learning_curve, learning_curve, running_mean


def test_a_running_mean_by_hand():
    values = np.array([5.0, 1.0, 3.0, 9.0, 8.0])
    assert running_mean(values, 3).tolist() == [5.0, 3.0, 3.0, 13 / 3, 20 / 3]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 70))
def test_a_running_mean_is_the_mean_of_the_values_seen(values, window):
    mean = running_mean(np.array(values), window)
    expected = [np.mean(values[max(0, k + 1 - window) : k + 1]) for k in range(len(values))]
    assert np.allclose(mean, expected, atol=1e-6)


def test_the_learning_curve_has_every_episode():
    steps, returns = np.arange(1, 51) * 100.0, np.arange(50.0)
    figure = draw_learning_curve(steps, returns, "Training")
    dots, mean = figure.axes[0].lines
    assert np.array_equal(dots.get_xydata(), np.stack([steps, returns], axis=1))
    assert mean.get_ydata()[-1] == 39.5  # of 30 to 49
    assert figure.axes[0].get_xlim()[1] > 5000
    assert figure.axes[0].get_xlabel() == "environment steps"


def test_simultaneous_episodes_share_one_point():
    steps = np.array([9.0, 9.0, 9.0, 18.0, 18.0])
    curve = learning_curve(steps, np.array([0.0, 1.0, 1.0, 0.0, 1.0]), 4)
    assert [x.tolist() for x in curve] == [[9.0, 18.0], [2 / 3, 3 / 4]]


def test_mean_of_returns_of_0_and_1_is_smooth():
    # 10,000 coins: a median of 20 would be 0, 1/2 or 1; the mean of 500 stays near 1/2.
    returns = np.random.default_rng(0).integers(0, 2, 10_000).astype(np.float64)
    _, mean = draw_learning_curve(np.arange(1.0, 10_001), returns, "Coins").axes[0].lines
    assert np.abs(mean.get_ydata()[1_000:] - 0.5).max() < 5 * 0.5 / np.sqrt(500)
    assert "mean of the last 500" in mean.get_label()


def test_evaluations_are_drawn_if_available():
    steps, returns = np.arange(1, 51) * 100.0, np.arange(50.0)
    evaluations = np.array([1_000.0, 6_000.0]), np.array([7.0, 45.0])
    axes = draw_learning_curve(steps, returns, "Training", evaluations=evaluations).axes[0]
    (line,) = [line for line in axes.lines if line.get_label() == "deterministic evaluation"]
    assert line.get_xydata().tolist() == [[1_000.0, 7.0], [6_000.0, 45.0]]
    assert axes.get_xlim()[1] > 6_000


def test_dynamics_have_a_panel_for_each_measure_and_a_line_for_each_part():
    steps = np.array([0.0, 20_000.0])
    series = {
        ("hidden_1", "rate_hz"): (steps, np.array([100.0, 200.0])),
        ("output", "rate_hz"): (steps, np.array([50.0, 75.0])),
        ("hidden_1", "margin_mean"): (steps, np.array([-0.5, 0.5])),
        ("hidden_1_recurrent", "relative_change"): (steps, np.array([0.0, 0.1])),
        ("hidden_1", "cv_isi"): (steps, np.array([0.2, 0.3])),  # has no panel
    }
    figure = draw_dynamics(series, ["hidden_1", "output"], "Dynamics")
    shown = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert list(shown) == ["Firing rate", "Margin to threshold", "Change of the weights"]
    rates = [line.get_ydata().tolist() for line in shown["Firing rate"].lines]
    assert rates == [[100.0, 200.0], [50.0, 75.0]]
    assert shown["Firing rate"].get_ylim()[0] == 0.0
    assert shown["Margin to threshold"].get_ylim()[0] < -0.5
    assert shown["Change of the weights"].lines[0].get_linestyle() == ":"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["hidden_1", "output", "hidden_1_recurrent"]
    # Values of no single panel set the axis of steps.
    assert all(axes.get_xlim()[1] > 20_000 for axes in shown.values())
