"""Small drawings beside rows, and columns that the Markdown table does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym.envs.registry import ReferenceScores
from snn_gym.leaderboard.rendering import COSTS_TEXT, notes, row_texts
from snn_gym.leaderboard.site.elements import Markup, element, from_markdown
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
WIDTH = 260
"""Width of a drawing (pixels)."""
HEIGHT = 40
"""Height of a drawing (pixels)."""
MARGIN = 8
"""Space at the left and right of the axis (pixels)."""
RADIUS = 3
"""Of a dot (pixels)."""
GROUND = 24
"""Height of the lowest dots (pixels from above)."""
INTERVAL_Y = 34
"""Height of the interval and the mean (pixels from above)."""
_LEVELS = 4

REFERENCES: Mapping[str, str] = {
    "random": "random play",
    "memoryless": "best without memory",
    "solved": "solved from here on",
    "oracle": "oracle",
}
"""Fields of `ReferenceScores` that are drawn, and their names."""


@dataclass(frozen=True)
class Scale:
    """A straight axis from scores to pixels."""

    low: float
    """Score at the left end."""
    high: float
    """Score at the right end."""
    left: float = MARGIN
    """Place of the left end (pixels)."""
    right: float = WIDTH - MARGIN
    """Place of the right end (pixels)."""

    def __call__(self, value: float) -> float:
        """Return the place of a score (pixels); the middle if the axis has no length."""
        if self.high == self.low:
            return (self.left + self.right) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)


def references(reference: ReferenceScores | None) -> dict[str, float]:
    """Return the scores that a task is compared with, by their names in `REFERENCES`."""
    found = {key: getattr(reference, key, None) for key in REFERENCES}
    return {key: value for key, value in found.items() if value is not None}


def score_scale(rows: Iterable[TableRow]) -> Scale:
    """Return the axis on which all seeds, intervals and reference scores of some rows lie.

    Args:
        rows: Of one environment, version and budget class; at least one.
    """
    values = [
        value
        for row in rows
        for value in (
            *row.seed_means,
            *(row.interval or ()),
            *references(row.reference).values(),
        )
    ]
    return Scale(min(values), max(values))


def stacked(places: Sequence[float], width: float = 2 * RADIUS) -> list[int]:
    """Return for each dot how many lie below it, so that few cover each other.

    Args:
        places: Of the dots on the axis (pixels).
        width: Of a dot (pixels).

    Returns:
        The level of each dot, in the order given; 0 is the lowest. What finds no free level is on
        the highest.
    """
    levels = [0] * len(places)
    last = [float("-inf")] * _LEVELS
    for k in sorted(range(len(places)), key=places.__getitem__):
        free = [level for level in range(_LEVELS) if places[k] - last[level] >= width]
        levels[k] = free[0] if free else _LEVELS - 1
        last[levels[k]] = places[k]
    return levels


def seeds_drawing(row: TableRow, scale: Scale) -> Markup:
    """Return a row's drawing: a dot for each seed, the interval below, reference scores behind.

    Args:
        row: The row.
        scale: Axis, common to all rows that are compared.
    """
    places = [scale(mean) for mean in row.seed_means]
    dots = [
        element(
            "circle",
            element("title", f"seed {seed}: {row.score(mean)}"),
            cx=x,
            cy=GROUND - 2 * RADIUS * level,
            r=RADIUS,
        )
        for seed, mean, x, level in zip(
            row.seeds, row.seed_means, places, stacked(places), strict=True
        )
    ]
    marks = [
        reference_mark(key, scale(value), f"{REFERENCES[key]}: {row.score(value)}")
        for key, value in references(row.reference).items()
    ]
    x = scale(row.mean)
    diamond = element(
        "path",
        d=f"M{x - 4:.1f} {INTERVAL_Y}l4 -4 4 4 -4 4z",
        class_="mean",
    )
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
    """Return the line of a row's interval with its ends, nothing where there is none."""
    if row.interval is None:
        return Markup()
    low, high = map(scale, row.interval)
    ends = f"M{low:.1f} {INTERVAL_Y - 4}v8M{low:.1f} {INTERVAL_Y}H{high:.1f}"
    return element("path", d=f"{ends}M{high:.1f} {INTERVAL_Y - 4}v8", class_="interval")


def reference_mark(key: str, x: float, text: str, height: int = HEIGHT) -> Markup:
    """Return the upright line of a reference score.

    Args:
        key: Which of `REFERENCES`.
        x: Its place (pixels).
        text: What is said of it.
        height: Of the line (pixels).
    """
    title = element("title", text)
    return element("line", title, x1=x, x2=x, y1=0, y2=height, class_=f"reference {key}")


def sample(key: str) -> Markup:
    """Return how the line of a reference score looks, for a legend."""
    line = reference_mark(key, 5.0, REFERENCES[key], 20)
    return element("svg", line, width=10, height=20, aria_hidden="true")


def in_words(row: TableRow) -> str:
    """Return what a row's drawing shows."""
    seeds = ", ".join(map(row.score, row.seed_means))
    text = f"{row.agent}, mean return of each seed: {seeds}; mean {row.score(row.mean)}"
    if row.interval is None:
        return text
    return text + "; 95 % interval {} to {}".format(*map(row.score, row.interval))


def legend(row: TableRow) -> Markup:
    """Return a list of the reference scores of a row's task, with their lines and values."""
    entries = [
        element("li", sample(key), f"{REFERENCES[key]}: {row.score(value)}")
        for key, value in references(row.reference).items()
    ]
    drawn = "dots: mean return of each seed; below, their mean (diamond), its 95 % interval (line)"
    return element("ul", element("li", drawn), *entries, class_="legend")


# ---- columns -------------------------------------------------------------------------------------
_NONE = count(None)

SITE_COSTS = {
    "Energy (nJ)": "SynOps at {:g} to {:g} pJ: an addition of 32-bit floats, bare, in 45 nm, and a "
    "SynOp of Loihi with its memory and routing; MACs at {:g} to {:g} pJ: of 8-bit integers and "
    "of 32-bit floats, bare, in 45 nm; and updates of spiking neurons at {:g} to {:g} pJ: of an "
    "inactive and an active neuron of Loihi ([Horowitz 2014]"
    "(https://doi.org/10.1109/ISSCC.2014.6757323), [Davies et al. 2018]"
    "(https://doi.org/10.1109/MM.2018.112130359)). A band by assumption, nothing measured: "
    "lower ends of SynOps and of MACs count other numbers, upper ends other memories, so that two "
    "bands that overlap say nothing. Silent neurons count; removed from the network they cost "
    "nothing. A chip at rest is not in it".format(*SYNOP_PJ, *MAC_PJ, *UPDATE_PJ),
    "Regime": "whether so few spikes take less energy than an ANN: by those that a synapse passes "
    "in a decision, below {:g} to {:g} by memory ([Dampfhoffer et al. 2023]"
    "(https://doi.org/10.1109/TETCI.2022.3214509)), and by those of a neuron in a time step, below "
    "{:g} ([Yan et al.](https://arxiv.org/abs/2409.08290v4))".format(
        *COMPETITIVE_SPIKES, COMPETITIVE_RATE
    ),
}
"""Columns of costs that the site has beside the table's, and what they mean."""
KIND = {
    "Kind": "spiking if the agent has spiking neurons from which synapses lead to its outputs, "
    "unheard if it has such neurons and no such synapses, else ANN"
}
"""Column of `kind`, and what it means."""


def kind(row: TableRow) -> str:
    """Return what kind of agent a row is of."""
    if row.unheard:
        return "unheard"
    return "spiking" if row.spiking else "ANN"


def seeds_in_words(row: TableRow) -> str:
    """Return of how many seeds a row is."""
    count = len(row.seeds)
    return f"{count} seed{'s' * (count != 1)}"


def texts(row: TableRow, rows: Sequence[TableRow]) -> dict[str, str]:
    """Return what is shown of a row by column: the Markdown table's texts and those of the site.

    Args:
        row: The row.
        rows: Those of the same environment, version and budget class.
    """
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
    """Return what marks in some rows mean, and how costs are counted.

    Args:
        rows: What a page shows.
    """
    paragraphs = [element("p", from_markdown(text), class_="note") for text in notes(rows)]
    return [*paragraphs, element("p", from_markdown(COSTS_TEXT), class_="note")]
