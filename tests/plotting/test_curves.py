"""Learning curves and dynamics over training: what is drawn is what was logged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.plotting.curves import draw_dynamics, draw_learning_curve, running_median


def test_a_running_median_by_hand():
    values = np.array([5.0, 1.0, 3.0, 9.0, 7.0])
    assert running_median(values, 3).tolist() == [5.0, 3.0, 3.0, 3.0, 7.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 70))
def test_a_running_median_is_a_median_of_values_seen(values, window):
    median = running_median(np.array(values), window)
    assert median[0] == values[0]
    for k, value in enumerate(median):
        seen = values[max(0, k + 1 - window) : k + 1]
        assert min(seen) <= value <= max(seen)


def test_the_learning_curve_has_every_episode():
    steps, returns = np.arange(1, 51) * 100.0, np.arange(50.0)
    figure = draw_learning_curve(steps, returns, "Training")
    dots, median = figure.axes[0].lines
    assert np.array_equal(dots.get_xydata(), np.stack([steps, returns], axis=1))
    assert median.get_ydata()[-1] == 39.5  # of 30 to 49
    assert figure.axes[0].get_xlim()[1] > 5000
    assert figure.axes[0].get_xlabel() == "environment steps"


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
