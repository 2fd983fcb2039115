"""The picture of the page: ratios as there is more to remember, and more to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import typer
from matplotlib.axes import Axes

from snn_gym.plots.style import GREY, new_figure, save, style, title
from studies.floor.rate import RATES
from studies.floor.search import QUESTIONS, STUDY, grown_pairs, rate_pairs
from studies.floor.tasks import GROWTH

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "floors"
Pairs = Sequence[tuple[float, float]]
"""Two prices of each seed."""


def picture() -> None:
    """Draw the picture of the page."""
    with style():
        figure = new_figure(7.5, 3.0)
        left, right = figure.subplots(1, 2, sharey=True)
        draw(left, right)
        (path,) = save(figure, PICTURE, ["png"])
    typer.echo(f"wrote {path}")


def draw(left: Axes, right: Axes) -> None:
    """Draw what grows with the number of patterns, and with the rate."""
    grown, rated = grown_pairs(STUDY.table()), rate_pairs(STUDY.table())
    ((env_id, numbers),) = GROWTH.items()
    for price in dict.fromkeys(x for _, x in grown):
        _curve(left, price, {x: grown[f"{env_id} {x}", price] for x in numbers})
    for pair in QUESTIONS:
        _curve(right, " / ".join(pair), {x: rated[pair, x] for x in RATES})
    left.set(xlabel="patterns", ylabel="ratio", xticks=[*numbers], xticklabels=[*numbers])
    right.set(xlabel="times the rate", xticks=RATES, xticklabels=RATES)
    title(left, "Spiking over ANN, by price")
    title(right, "Operations, one over the other")


def _curve(axes: Axes, label: str, pairs: Mapping[int, Pairs]) -> None:
    """Draw a point for each seed, and a line through the geometric means, if there are any."""
    ratios = {x: np.array([one / other for one, other in y]) for x, y in pairs.items() if y}
    if not ratios:
        return
    means = [np.exp(np.log(y).mean()) for y in ratios.values()]
    (line,) = axes.plot(list(ratios), means, lw=1.2, label=label)
    for x, y in ratios.items():
        axes.plot(np.full(len(y), x), y, "o", ms=3, alpha=0.6, color=line.get_color())
    axes.axhline(1.0, color=GREY, lw=0.7, ls=":")
    axes.set(xscale="log", ylim=(0, 1.35))
    axes.minorticks_off()
    axes.legend(loc="lower right")
