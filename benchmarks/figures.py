"""Figures of docs/speed.md, from the measurements alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.families import crossover, roofline, scaling
from benchmarks.families.acting import FORWARD
from benchmarks.measurement import Curve
from benchmarks.peers import COMPILED
from benchmarks.run import Record, Speed
from snn_gym.plots.style import GREY, layer_colours, new_figure, save, style, title

Records = Mapping[str, Record]

_EDGES = (1e-1, 1e3)
"""Ends of the roofline (operations per byte)."""
_FLOORS = (crossover.PRODUCTS, crossover.MODULE, crossover.ONE_CALL, crossover.TRAINING)


def write_figures(speed: Speed, images: Path) -> dict[str, str]:
    """Draw the figures that have measurements."""
    images.mkdir(parents=True, exist_ok=True)
    written = {}
    with style():
        for name, (draw, caption) in _FIGURES.items():
            figure = draw(speed.records)
            if figure is not None:
                save(figure, images / name, ("png",))
                written[f"{name}.png"] = caption
    return written


def _roofline(records: Records) -> Figure | None:
    record = records.get("roofline")
    if record is None:
        return None
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    peak, bandwidth = (
        record.values[name].median for name in (roofline.PRODUCT_RATE, roofline.BANDWIDTH)
    )
    x = np.geomspace(*_EDGES)
    axes.loglog(x, np.minimum(peak, bandwidth * x), color=GREY)
    axes.annotate(f"{peak:.0f} GFLOP/s", (x[-1], peak), ha="right", va="bottom", color=GREY)
    axes.annotate(f"{bandwidth:.0f} GB/s", (x[0], bandwidth * x[0]), ha="left", va="bottom",
                  color=GREY)  # fmt: skip
    # Names are of a kind of pass and, after a comma, of sizes.
    colours = _colours([name.split(", ", 1)[1] for name in record.curves])
    for name, curve in record.curves.items():
        kind, sizes = name.split(", ", 1)
        marker = "o" if kind == "acting" else "s"
        axes.loglog(curve.x, curve.y, marker, color=colours[sizes], label=name, markersize=5)
    axes.set_xlabel("operations for each byte")
    axes.set_ylabel("GFLOP/s")
    title(axes, "Dense operations per second, beside the machine's")
    figure.legend(loc="outside right center")
    return figure


def _scaling(records: Records) -> Figure | None:
    found = [case for case in scaling.CASES if case.name in records]
    if not found:
        return None
    figure = new_figure(9.6, 5.6)
    panels = list(figure.subplots(2, 3, squeeze=False).flat)
    for axes, case in zip(panels, found, strict=False):
        curves = records[case.name].curves
        colours = _colours(curves)
        for kind, curve in curves.items():
            fitted = scaling.upper_half(curve)
            exponent = scaling.slope(fitted)
            axes.loglog(curve.x, curve.y, "o", color=colours[kind], markersize=4,
                        label=f"{kind}: {exponent:.2f}")  # fmt: skip
            axes.loglog(fitted.x, _fit(fitted, exponent), color=colours[kind], linewidth=0.9)
        axes.set_xlabel(case.axis)
        axes.set_ylabel("seconds of a call")
        axes.margins(y=0.35)
        axes.legend(title="slope", loc="upper left")
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    return figure


def _fit(curve: Curve, slope: float) -> list[float]:
    logs = np.log(curve.x), np.log(curve.y)
    middle = [float(values.mean()) for values in logs]
    return [float(np.exp(middle[1] + slope * (np.log(x) - middle[0]))) for x in curve.x]


def _ratios(records: Records) -> Figure | None:
    """Draw how many times faster we are than each library, an experiment to a row."""
    names = sorted(name for name in records if _has_peers(records[name]))
    if not names:
        return None
    libraries = _libraries(records, names)
    colours = _colours(libraries)
    figure = new_figure(7.2, 0.55 * len(names) + 1.2)
    axes = figure.subplots()
    for row, name in enumerate(names):
        timings = records[name].timings
        for library in libraries:
            if library in timings:
                times = timings[library].median / timings[FORWARD].median
                filled = colours[library] if COMPILED not in library else "none"
                axes.plot(times, row, "o", color=colours[library], markerfacecolor=filled,
                          label=library if row == 0 else "_")  # fmt: skip
    axes.axvline(1.0, color=GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("time of theirs in units of ours")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _has_peers(record: Record) -> bool:
    return FORWARD in record.timings and any(x in record.timings for x in _eager())


def _eager() -> tuple[str, ...]:
    return ("Norse", "SpikingJelly", "snnTorch")


def _libraries(records: Records, names: list[str]) -> list[str]:
    known = [*_eager(), *(f"{name}{COMPILED}" for name in _eager())]
    return [x for x in known if any(x in records[name].timings for name in names)]


def _crossover(records: Records) -> Figure | None:
    found = [x for x in crossover.EXPERIMENTS if x.name in records]
    if not found:
        return None
    figure = new_figure(11.6, 2.8 * len(found) + 0.4)
    grid = figure.subplots(len(found), len(_FLOORS), squeeze=False)
    for row, experiment in zip(grid, found, strict=True):
        batch = experiment.title.rsplit(", ", 1)[1]
        for axes, floor in zip(row, _FLOORS, strict=True):
            curves = _of_floor(records[experiment.name], floor)
            if curves:
                _activity_panel(axes, f"over {floor},\n{batch}", curves)
            else:
                axes.set_axis_off()  # and keeps its place
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _of_floor(record: Record, floor: str) -> dict[str, Curve]:
    """Return the curves over a kind of contender, by width."""
    return {
        f"{width}-{width}": record.curves[f"{floor}, {width}"]
        for width in crossover.WIDTHS
        if f"{floor}, {width}" in record.curves
    }


def _activity_panel(axes: Axes, heading: str, curves: dict[str, Curve]) -> None:
    colours = _colours(curves)
    for name, curve in curves.items():
        axes.loglog(curve.x, curve.y, "o-", color=colours[name], label=name, markersize=3)
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("active at a time step (%)")
    axes.set_ylabel("our time / theirs")
    title(axes, heading)


def _colours(names: Mapping[str, object] | list[str]) -> dict[str, str]:
    told_apart = dict.fromkeys(name.removesuffix(COMPILED) for name in names)
    colours = layer_colours(list(told_apart))
    return {name: colours[name.removesuffix(COMPILED)] for name in names}


_Draw = Callable[[Records], Figure | None]
_FIGURES: dict[str, tuple[_Draw, str]] = {
    "speed-roofline": (
        _roofline,
        "Operations per second of our passes, counted as dense products. The lines are the "
        "machine's measured product rate and bandwidth. A pass that skips silent neurons may lie "
        "above them.",
    ),
    "speed-ratios": (
        _ratios,
        "Time of the other libraries, each by its fastest path, in units of ours. Filled: without "
        "`torch.compile`; hollow: with it.",
    ),
    "speed-scaling": (_scaling, "Cost against size, with fitted power laws."),
    "speed-crossover": (
        _crossover,
        "Our time against activity, divided by the time of dense products and of an MLP of the "
        "same sizes. Below 1 spikes are cheaper.",
    ),
}
