"""Colours, figures and files of all pictures, without pyplot and its global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from snn_gym._base.storage import write_bytes_atomic

DOTS_PER_INCH = 150
GREY = "#666666"
BLACK = "#222222"
# Distinct with any colour vision: Okabe & Ito 2008, "Color Universal Design",
# https://jfly.uni-koeln.de/color/.
_LAYER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# Warm for agents that spike and cold for others, in every figure that shows returns.
_SPIKING_COLOURS = ("#D55E00", "#E69F00", "#8C3A00")
_ANN_COLOURS = ("#0072B2", "#56B4E9", "#00466E")

_STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    # Text stays text, and ids do not depend on chance.
    "svg.fonttype": "none",
    "svg.hashsalt": "snn_gym",
}


def style() -> AbstractContextManager[None]:
    """Return a context within which pictures are drawn and saved."""
    return mpl.rc_context(_STYLE)


def layer_colours(names: Sequence[str]) -> dict[str, str]:
    """Return the colour of each layer (input side first): grey of the input, then in order.

    More layers than there are distinct colours go from dark to light with depth.
    """
    driven = [name for name in names if name != "input"]
    colours = list(_LAYER_COLOURS)
    if len(driven) > len(colours):
        depths = [0.9 * k / (len(driven) - 1) for k in range(len(driven))]
        colours = [to_hex(mpl.colormaps["viridis"](depth)) for depth in depths]
    return {"input": GREY, **dict(zip(driven, colours, strict=False))}


def agent_colours(spiking: Mapping[str, bool]) -> dict[str, str]:
    """Return a colour by agent, warm if it spikes and cold if not; at most three of each kind."""
    palettes = {True: iter(_SPIKING_COLOURS), False: iter(_ANN_COLOURS)}
    return {name: next(palettes[spikes]) for name, spikes in spiking.items()}


def stacked_widths(count: int) -> list[float]:
    """Return falling line widths in the order of drawing, so that curves that coincide are seen."""
    step = min(1.4, 4.2 / max(1, count - 1))
    return [1.2 + step * (count - 1 - k) for k in range(count)]


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure whose parts make room for each other."""
    size = (width_inches, height_inches)
    return Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")


def title(axes: Axes, text: str) -> None:
    """Write a title that begins at the left edge of the axes."""
    axes.set_title(text, loc="left")


def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write a figure as STEM.FORMAT and return the files; equal content gives equal bytes.

    A suffix of ``stem`` is replaced.
    """
    # Laid out once: a format would otherwise look by a hair different beside another one.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    paths = []
    for suffix in formats:
        path = stem.with_suffix(f".{suffix}")
        # A date or a version would make equal pictures differ.
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        drawn = io.BytesIO()
        figure.savefig(drawn, format=suffix, metadata=metadata)
        write_bytes_atomic(path, drawn.getvalue())
        paths.append(path)
    return paths
