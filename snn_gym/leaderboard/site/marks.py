"""Small drawings beside rows, and columns of the site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snn_gym._base.markup import Markup, element
from snn_gym.leaderboard.headings import REFERENCES, references
from snn_gym.leaderboard.rendering import COSTS_TEXT, notes, row_texts
from snn_gym.leaderboard.site.layout import from_markdown
from snn_gym.leaderboard.table import TableRow, count
from snn_gym.program.costs import (
    COMPETITIVE_RATE,
    COMPETITIVE_SPIKES,
    MAC_PJ,
    OPERATIONS,
    SYNOP_PJ,
    UPDATE_PJ,
    energy_nj,
    regimes,
)

# ---- marks ---------------------------------------------------------------------------------------
# Sizes and positions in pixels, from the left and from above.
WIDTH = 260
HEIGHT = 40
MARGIN = 8
RADIUS = 3  # of a dot
GROUND = 24  # of the lowest dots
INTERVAL_Y = 34  # of the interval and the mean
_LEVELS = 4


@dataclass(frozen=True)
class Scale:
    """Linear axis from scores (low, high) to pixels (left, right)."""

    low: float
    high: float
    left: float = MARGIN
    right: float = WIDTH - MARGIN

    def __call__(self, value: float) -> float:
        """Return the position of a score, the middle if all scores are equal."""
        if self.high == self.low:
            return (self.left + self.right) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)


def score_scale(rows: Iterable[TableRow]) -> Scale:
    """Return the axis for all seeds, intervals and reference scores of rows."""
    values: list[float] = []
    for row in rows:
        values += (*row.seed_means, *(row.interval or ()), *references(row.reference).values())
    return Scale(min(values), max(values))


def stacked(places: Sequence[float], width: float = 2 * RADIUS) -> list[int]:
    """Return the level of each dot, 0 for the lowest, so that few cover each other."""
    levels = [0] * len(places)
    last = [float("-inf")] * _LEVELS
    for k in sorted(range(len(places)), key=places.__getitem__):
        free = [level for level in range(_LEVELS) if places[k] - last[level] >= width]
        levels[k] = free[0] if free else _LEVELS - 1
        last[levels[k]] = places[k]
    return levels


def seeds_drawing(row: TableRow, scale: Scale) -> Markup:
    """Return a drawing with a dot for each seed, reference scores, the mean and its interval."""
    places = [scale(mean) for mean in row.seed_means]
    dots = []
    seeds = zip(row.seeds, row.seed_means, places, stacked(places), strict=True)
    for seed, mean, x, level in seeds:
        title = element("title", f"seed {seed}: {row.score(mean)}")
        dots.append(element("circle", title, cx=x, cy=GROUND - 2 * RADIUS * level, r=RADIUS))
    marks = [
        reference_mark(key, scale(value), f"{REFERENCES[key]}: {row.score(value)}")
        for key, value in references(row.reference).items()
    ]
    x = scale(row.mean)
    diamond = element("path", d=f"M{x - 4:.1f} {INTERVAL_Y}l4 -4 4 4 -4 4z", class_="mean")
    return element(
        "svg",
        *marks,
        *dots,
        interval_mark(row, scale),
        diamond,
        class_="seeds spiking" if row.spiking else "seeds",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=in_words(row),
    )


def interval_mark(row: TableRow, scale: Scale) -> Markup:
    """Return the line of a row's interval, nothing without an interval."""
    if row.interval is None:
        return Markup()
    low, high = map(scale, row.interval)
    ends = f"M{low:.1f} {INTERVAL_Y - 4}v8M{low:.1f} {INTERVAL_Y}H{high:.1f}"
    return element("path", d=f"{ends}M{high:.1f} {INTERVAL_Y - 4}v8", class_="interval")


def reference_mark(key: str, x: float, text: str, height: int = HEIGHT) -> Markup:
    """Return the vertical line of a reference score."""
    title = element("title", text)
    return element("line", title, x1=x, x2=x, y1=0, y2=height, class_=f"reference {key}")


def in_words(row: TableRow) -> str:
    """Return the content of a row's drawing in words."""
    seeds = ", ".join(map(row.score, row.seed_means))
    text = f"{row.agent}, mean return of each seed: {seeds}; mean {row.score(row.mean)}"
    if row.interval is None:
        return text
    return text + "; 95 % interval {} to {}".format(*map(row.score, row.interval))


def legend(row: TableRow) -> Markup:
    """Return the legend of a row's drawing, with its reference scores."""
    dots = "dots: mean return of each seed; below, their mean (diamond), its 95 % interval (line)"
    entries = [element("li", dots)]
    for key, value in references(row.reference).items():
        line = reference_mark(key, 5.0, REFERENCES[key], 20)
        sample = element("svg", line, width=10, height=20, aria_hidden="true")
        entries.append(element("li", sample, f"{REFERENCES[key]}: {row.score(value)}"))
    return element("ul", *entries, class_="legend")


# ---- columns -------------------------------------------------------------------------------------
_NONE = count(None)

SITE_COSTS = {
    "Energy (nJ)": "assumed range, not measured. SynOps at {:g} to {:g} pJ: an addition of 32-bit "
    "floats in 45 nm, and a SynOp of Loihi with memory and routing. MACs at {:g} to {:g} pJ: of "
    "8-bit integers and of 32-bit floats in 45 nm. Updates of spiking neurons at {:g} to {:g} pJ: "
    "of an inactive and an active neuron of Loihi ([Horowitz 2014]"
    "(https://doi.org/10.1109/ISSCC.2014.6757323), [Davies et al. 2018]"
    "(https://doi.org/10.1109/MM.2018.112130359)). Number formats and memories differ between the "
    "ends, so that ranges that overlap show no order. Silent neurons count; removed from the "
    "network they cost nothing. Idle energy of a chip is not included".format(
        *SYNOP_PJ, *MAC_PJ, *UPDATE_PJ
    ),
    "Regime": "whether spikes are few enough to take less energy than an ANN. By spikes per "
    "synapse and decision: below {:g} to {:g}, depending on memory ([Dampfhoffer et al. 2023]"
    "(https://doi.org/10.1109/TETCI.2022.3214509)). By spikes per neuron and time step: below {:g} "
    "([Yan et al.](https://arxiv.org/abs/2409.08290v4))".format(
        *COMPETITIVE_SPIKES, COMPETITIVE_RATE
    ),
}
"""Columns of costs that only the site has."""
KIND = {
    "Kind": "spiking if synapses lead from spiking neurons to the agent's outputs, unheard if it "
    "has spiking neurons without such synapses, else ANN"
}
"""Column of `kind`."""


def kind(row: TableRow) -> str:
    """Return the kind of a row's agent: "spiking", "unheard" or "ANN"."""
    if row.unheard:
        return "unheard"
    return "spiking" if row.spiking else "ANN"


def seeds_in_words(row: TableRow) -> str:
    """Return a row's number of seeds in words."""
    number = len(row.seeds)
    return f"{number} seed{'s' * (number != 1)}"


def texts(row: TableRow, rows: Sequence[TableRow]) -> dict[str, str]:
    """Return the texts of a row in a section of rows, for all columns and those of the site."""
    own = {"Energy (nJ)": row.cost_cell(_energy(row)), "Regime": _regime(row)}
    return row_texts(row, rows) | own | {"Kind": kind(row)}


def _energy(row: TableRow) -> str:
    if row.operations_per_decision is None:
        return _NONE
    synops, macs, updates = (getattr(row, name) or 0.0 for name in OPERATIONS)
    band = energy_nj(synops, macs, updates if row.spiking or row.unheard else 0.0)
    return " to ".join(f"{value:,.2f}" for value in band)


def _regime(row: TableRow) -> str:
    if row.spikes_per_synapse is None or row.firing_rate is None:
        return _NONE
    return ", ".join(regimes(row.spikes_per_synapse, row.firing_rate))


def remarks(rows: Sequence[TableRow]) -> list[Markup]:
    """Return explanations of marks in rows and of costs."""
    paragraphs = [element("p", from_markdown(text), class_="note") for text in notes(rows)]
    return [*paragraphs, element("p", from_markdown(COSTS_TEXT), class_="note")]
