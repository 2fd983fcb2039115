"""Draw spike rasters and membrane traces."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from snn_gym.plotting.episode import EpisodeTrace, LayerTrace
from snn_gym.plotting.style import BLACK, GREY, layer_colours, new_figure, title

TRACED_NEURONS = 3
"""Membrane traces of each layer."""
TRACED_DECISIONS = 8

_PANEL_INCHES = (0.7, 2.4)
_INCHES_PER_NEURON = 0.028


def draw_raster(trace: EpisodeTrace, heading: str) -> Figure:
    """Draw every spike, one panel for each layer and one row for each neuron.

    Args:
        trace: What the network did.
        heading: Title.
    """
    # The output side on top, as signals rise.
    layers = trace.layers[::-1]
    heights = [
        float(np.clip(_INCHES_PER_NEURON * layer.spikes.shape[1], *_PANEL_INCHES))
        for layer in layers
    ]
    figure = new_figure(8.0, sum(heights) + 0.35 * len(heights) + 0.8)
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    colours = layer_colours([layer.name for layer in trace.layers])
    for axes, layer in zip(panels, layers, strict=True):
        _draw_layer(axes, trace, layer, colours[layer.name])
    title(panels[0], heading)
    panels[-1].set_xlabel(_time_label(trace))
    panels[-1].set_xlim(0, trace.decisions * trace.decision_ms)
    panels[-1].xaxis.set_major_locator(MultipleLocator(5 * trace.decision_ms))
    figure.align_ylabels(list(panels))
    return figure


def _draw_layer(axes: Axes, trace: EpisodeTrace, layer: LayerTrace, colour: str) -> None:
    size = layer.spikes.shape[1]
    steps, neurons = np.nonzero(layer.spikes)
    # One line with gaps: a mark of its own for every spike would make large files.
    times_ms = np.repeat(trace.times_ms[steps], 3)
    rows = (neurons[:, np.newaxis] + np.array([-0.45, 0.45, np.nan])).ravel()
    axes.plot(times_ms, rows, color=colour, linewidth=1.1, solid_capstyle="butt")
    _draw_boundaries(axes, trace, trace.decisions)
    rate_hz = layer.spikes.mean() * 1000.0 / trace.dt_ms
    axes.set_ylabel(f"{layer.name}\nneuron")
    axes.set_ylim(-0.5, size - 0.5)
    axes.set_yticks(sorted({0, size - 1}))
    label = f"mean\n{rate_hz:.0f} Hz"
    axes.text(1.005, 0.5, label, transform=axes.transAxes, va="center", color=colour)


def draw_membranes(trace: EpisodeTrace, heading: str) -> Figure:
    """Draw membrane potentials with their threshold and spikes, of a few neurons of each layer.

    Of each layer the neurons of the highest, the median and the lowest rate among those that fire.

    Args:
        trace: What the network did.
        heading: Title.
    """
    chosen = [
        (layer, neuron)
        for layer in reversed(trace.layers)
        if layer.voltages is not None
        for neuron in choose_neurons(layer.spikes)
    ]
    decisions = min(trace.decisions, TRACED_DECISIONS)
    figure = new_figure(8.0, 0.85 * len(chosen) + 1.1)
    panels = figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
    colours = layer_colours([layer.name for layer in trace.layers])
    for axes, (layer, neuron) in zip(panels, chosen, strict=True):
        _draw_membrane(axes, trace, layer, neuron, decisions, colours[layer.name])
    title(panels[0], heading)
    panels[-1].set_xlabel(_time_label(trace))
    panels[-1].set_xlim(0, decisions * trace.decision_ms)
    figure.supylabel("membrane potential (model's units)", fontsize=9)
    handles = [
        Line2D([], [], color=BLACK, label="potential before the reset"),
        Line2D([], [], color=GREY, linestyle="--", linewidth=1.0, label="threshold"),
        Line2D([], [], color=BLACK, linestyle="", marker="v", markersize=4, label="spike"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def choose_neurons(spikes: NDArray[np.float64]) -> list[int]:
    """Return the neurons of the highest, the median and the lowest rate among those that fire.

    Silent neurons fill the places that are left; of equal rates the first counts as higher.

    Args:
        spikes: (time steps, N), 0 or 1.

    Returns:
        At most ``TRACED_NEURONS`` different neurons, the highest rate first.
    """
    counts = spikes.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    firing = int((counts > 0).sum())
    if firing < TRACED_NEURONS:
        return [int(neuron) for neuron in order[:TRACED_NEURONS]]
    places = np.linspace(0, firing - 1, TRACED_NEURONS).astype(int)
    return [int(order[place]) for place in places]


def _draw_membrane(
    axes: Axes, trace: EpisodeTrace, layer: LayerTrace, neuron: int, decisions: int, colour: str
) -> None:
    assert layer.voltages is not None  # of a chosen layer
    steps = decisions * trace.time_steps
    times_ms = trace.times_ms[:steps]
    voltage = layer.voltages[:steps, neuron]
    # A line joins what one state joins: from rest every decision is a line of its own.
    length = steps if trace.stateful else trace.time_steps
    for start in range(0, steps, length):
        part = slice(start, start + length)
        axes.plot(times_ms[part], voltage[part], color=colour, marker="o", markersize=2)
        if layer.thresholds is not None:
            threshold = layer.thresholds[:steps, neuron]
            axes.plot(times_ms[part], threshold[part], color=GREY, linestyle="--", linewidth=1.0)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))
    fired = layer.spikes[:steps, neuron] > 0
    # Above the traces, in the room just made.
    heights = np.full(int(fired.sum()), high + 0.15 * (high - low))
    axes.plot(times_ms[fired], heights, color=colour, linestyle="", marker="v", markersize=4)
    _draw_boundaries(axes, trace, decisions)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.text(
        1.005, 0.5, f"{layer.name}\nneuron {neuron}",
        transform=axes.transAxes, va="center", color=colour,
    )  # fmt: skip


def _draw_boundaries(axes: Axes, trace: EpisodeTrace, decisions: int) -> None:
    for decision in range(1, decisions):
        axes.axvline(decision * trace.decision_ms, color="#dddddd", linewidth=0.6, zorder=0)


def _time_label(trace: EpisodeTrace) -> str:
    start = "goes on from the state before" if trace.stateful else "starts from rest"
    return (
        f"network time (ms); a decision takes {trace.decision_ms:g} ms "
        f"({trace.time_steps} time steps) and {start}"
    )
