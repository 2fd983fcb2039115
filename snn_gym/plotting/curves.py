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

from snn_gym.plotting.style import (
    BLACK,
    GREY,
    agent_colours,
    layer_colours,
    new_figure,
    stacked_widths,
    title,
)

FEWEST_AVERAGED = 20
"""Episodes of the running mean, at least."""
AVERAGED_SHARE = 0.05
"""Episodes of the running mean as a share of all: returns of 0 or 1 need hundreds."""

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


def running_mean(values: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last ``window`` values at every place, of fewer at the start.

    Args:
        values: (n,).
        window: Values in the window, at least 1.

    Returns:
        (n,).
    """
    sums = np.concatenate([np.zeros(1), np.cumsum(values, dtype=np.float64)])
    last = np.arange(1, len(sums))
    first = np.maximum(last - window, 0)
    mean: FloatArray = (sums[last] - sums[first]) / (last - first)
    return mean


def averaged_episodes(episodes: int) -> int:
    """Return how many of a training's episodes a point of its learning curve averages."""
    return max(FEWEST_AVERAGED, round(AVERAGED_SHARE * episodes))


def learning_curve(
    timesteps: FloatArray, returns: FloatArray, window: int
) -> tuple[FloatArray, FloatArray]:
    """Return the running mean of the returns once at each environment step at which any ended.

    Args:
        timesteps: (episodes,) environment steps at each episode's end, rising.
        returns: (episodes,) returns.
        window: Episodes averaged.

    Returns:
        Environment steps and means, each (different steps,).
    """
    # Episodes that end together have no order: the curve would jump up and down on the spot.
    last = np.flatnonzero(np.append(np.diff(timesteps) > 0, True)[: len(timesteps)])
    return timesteps[last], running_mean(returns, window)[last]


def draw_learning_curve(
    timesteps: FloatArray,
    returns: FloatArray,
    heading: str,
    *,
    spiking: bool = True,
    evaluations: tuple[FloatArray, FloatArray] | None = None,
) -> Figure:
    """Draw the return of every training episode and their running mean.

    Args:
        timesteps: (episodes,) environment steps of the whole training at each episode's end.
        returns: (episodes,) undiscounted returns.
        heading: Title.
        spiking: Whether the agent spikes, which its colour says.
        evaluations: Environment steps and mean returns of deterministic evaluations, drawn too.
    """
    figure = new_figure(6.5, 3.8)
    axes = figure.subplots()
    colour = agent_colours({"": spiking})[""]
    axes.plot(
        timesteps, returns, color=GREY, linestyle="", marker="o", markersize=3.0,
        markeredgewidth=0, alpha=0.3, label="training episode",
    )  # fmt: skip
    window = averaged_episodes(len(returns))
    label = f"mean of the last {window}, {'spiking' if spiking else 'ANN'}"
    curve = learning_curve(timesteps, returns, window)
    axes.plot(*curve, color=colour, linewidth=2.0, label=label)
    if evaluations is not None:
        axes.plot(
            *evaluations, color=BLACK, linestyle="--", linewidth=1.0, marker="D", markersize=4.5,
            label="deterministic evaluation",
        )  # fmt: skip
        timesteps = np.concatenate([timesteps, evaluations[0]])
    title(axes, heading)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return of an episode (reward units)")
    step_axis(axes, timesteps)
    figure.legend(loc="outside lower center", ncols=3)
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
    shown = [(part, *x) for (part, measure), x in series.items() if measure == panel.measure]
    widths = stacked_widths(len(shown))
    for (part, timesteps, values), width in zip(shown, widths, strict=True):
        layer = part.removesuffix("_recurrent")
        # The readout's weights are no layer's.
        colour = colours.get(layer, BLACK)
        dashed = ":" if layer != part else "-"
        (drawn[part],) = axes.plot(
            timesteps, values, color=colour, linestyle=dashed, linewidth=width, marker="o",
            markersize=width + 0.6,
        )  # fmt: skip
        step_axis(axes, timesteps)
    title(axes, panel.heading)
    axes.set_ylabel(panel.label)
    if panel.log:
        axes.set_yscale("log")
    elif panel.limits is not None:
        axes.set_ylim(*panel.limits)
    elif axes.dataLim.y0 >= 0:
        axes.set_ylim(0.0, 1.08 * axes.dataLim.y1 or 1.0)
    return drawn


def step_axis(axes: Axes, timesteps: FloatArray) -> None:
    """Make the horizontal axis one of environment steps from 0 to the last.

    Args:
        axes: Axes to change.
        timesteps: All that is drawn over, any order.
    """
    last = float(timesteps.max())
    axes.set_xlim(0, 1.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if last >= _THOUSANDS_FROM:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0"))
