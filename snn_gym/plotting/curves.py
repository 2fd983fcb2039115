"""Draw what changes over training: returns, and the network's dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from snn_gym.plotting.style import BLACK, layer_colours, new_figure, title

MEDIAN_EPISODES = 20
"""Episodes of the running median."""

FloatArray = NDArray[np.float64]
Series = Mapping[tuple[str, str], tuple[FloatArray, FloatArray]]
"""Environment steps and values by (layer or connection, measure)."""


@dataclass(frozen=True)
class _Panel:
    """One panel of the dynamics over training."""

    measure: str
    heading: str
    label: str
    limits: tuple[float, float] | None = None
    """Limits of the axis; from 0 to beyond the highest value if None."""
    log: bool = False
    """Whether the layers differ by orders of magnitude."""


_SHARE = (-0.02, 1.02)
_PANELS = (
    _Panel("rate_hz", "Firing rate", "rate (Hz)"),
    _Panel("silent_share", "Silent neurons", "share of neurons", limits=_SHARE),
    _Panel(
        "saturated_share", "Saturated neurons (≥ 0.9 per step)", "share of neurons", limits=_SHARE
    ),
    _Panel("margin_mean", "Margin to threshold", "θ − v (voltage), mean"),
    _Panel("window_share", "Time in the surrogate window", "share of time"),
    _Panel("synchrony", "Synchrony χ²", "χ² (0 independent, 1 as one)"),
    _Panel("participation_dimension", "Dimension of activity", "participation dimension"),
    _Panel("synops_per_decision", "Synaptic operations", "SynOps per decision", log=True),
    _Panel("relative_change", "Change of the weights", "‖Δw‖ / ‖w‖ since the first row"),
)
_COLUMNS = 3
_THOUSANDS_FROM = 10_000


def running_median(values: FloatArray, window: int) -> FloatArray:
    """Return the median of the last ``window`` values at every place, of fewer at the start.

    Args:
        values: (n,).
        window: Values in the window, at least 1.

    Returns:
        (n,).
    """
    return np.array([np.median(values[max(0, k + 1 - window) : k + 1]) for k in range(len(values))])


def draw_learning_curve(timesteps: FloatArray, returns: FloatArray, heading: str) -> Figure:
    """Draw the return of every training episode, and their running median.

    Args:
        timesteps: (episodes,) environment steps of the whole training at each episode's end.
        returns: (episodes,) undiscounted returns.
        heading: Title.
    """
    figure = new_figure(6.5, 3.8)
    axes = figure.subplots()
    axes.plot(
        timesteps, returns, color="#0072B2", linestyle="", marker="o", markersize=3.0,
        markeredgewidth=0, alpha=0.4, label="training episode",
    )  # fmt: skip
    median = running_median(returns, MEDIAN_EPISODES)
    label = f"median of the last {MEDIAN_EPISODES}"
    axes.plot(timesteps, median, color="#D55E00", linewidth=2.0, label=label)
    title(axes, heading)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return of an episode (reward units)")
    _step_axis(axes, timesteps)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_dynamics(series: Series, layers: Sequence[str], heading: str) -> Figure:
    """Draw measures over training, one line for each layer, or connection of the weights.

    Args:
        series: Environment steps and values by (layer or connection, measure).
        layers: Names of the layers, input side first.
        heading: Title.
    """
    panels = [x for x in _PANELS if any(measure == x.measure for _, measure in series)]
    rows = -(-len(panels) // _COLUMNS)
    figure = new_figure(9.5, 2.35 * rows + 0.8)
    grid = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).ravel()
    lines: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=False):
        lines |= _draw_panel(axes, panel, series, layers)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for column in range(min(_COLUMNS, len(panels))):
        lowest = [k for k in range(len(panels)) if k % _COLUMNS == column][-1]
        grid[lowest].set_xlabel("environment steps")
        grid[lowest].xaxis.set_tick_params(labelbottom=True)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11)
    figure.legend(
        handles=list(lines.values()), labels=list(lines), loc="outside lower center",
        ncols=min(6, max(1, len(lines))),
    )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, panel: _Panel, series: Series, layers: Sequence[str]) -> dict[str, Any]:
    colours = layer_colours(layers)
    drawn: dict[str, Any] = {}
    for (part, measure), (timesteps, values) in series.items():
        if measure != panel.measure:
            continue
        layer = part.removesuffix("_recurrent")
        # The readout's weights are no layer's.
        colour = colours.get(layer, BLACK)
        dashed = ":" if layer != part else "-"
        (drawn[part],) = axes.plot(
            timesteps, values, color=colour, linestyle=dashed, marker="o", markersize=1.8
        )
        _step_axis(axes, timesteps)
    title(axes, panel.heading)
    axes.set_ylabel(panel.label)
    if panel.log:
        axes.set_yscale("log")
    elif panel.limits is not None:
        axes.set_ylim(*panel.limits)
    elif axes.dataLim.y0 >= 0:
        axes.set_ylim(0.0, 1.08 * axes.dataLim.y1 or 1.0)
    return drawn


def _step_axis(axes: Axes, timesteps: FloatArray) -> None:
    last = float(timesteps[-1])
    axes.set_xlim(0, 1.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if last >= _THOUSANDS_FROM:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0"))
