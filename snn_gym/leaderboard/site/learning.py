"""Learning curves: returns over environment steps and over wall time, an agent beside its twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.site.elements import Markup, element, joined
from snn_gym.leaderboard.site.front import Plot, grid, ticks
from snn_gym.leaderboard.site.layout import Site, sources_of
from snn_gym.leaderboard.site.marks import Scale, references
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.table import TableRow
from snn_gym.zoo import agent_ids, load_agent_spec

PLOT = Plot(width=400, height=250, left=80, right=376, top=12, bottom=204)
"""Where the axes of a panel lie."""
CURVES_TEXT = (
    "Mean return of the training episodes over environment steps and over wall time. A thin line "
    "is a training run, the thick one over steps their interquartile mean where all of them are; "
    "lines of an ANN are dashed. Returns beyond the axis are drawn at its end. Wall time is that "
    "of each run's machine and of what else ran there, so that no mean is drawn over it, and runs "
    "are cut at twice the median duration of those shown. Trainings explore, so that returns "
    "differ from the table's. A curve is what was submitted until the run is trained again and "
    "gives the same."
)
"""Note on figures of learning curves, and how far they can be trusted."""
_MOVES = (
    "the weights held and every move tried from them, kept or not; the table's row is of those "
    "held at the end"
)
_SAMPLES = (
    "sampled networks; the table's row is of their distribution's mean at the end, which plays no "
    "training episode"
)
JUDGED: Mapping[str, str] = {
    "AcceptReject": _MOVES,
    "CMAES": _SAMPLES,
    "EvolutionStrategies": _SAMPLES,
    "RandomSearch": "every network guessed, beside the one held; the table's row is of the "
    "one held at the end",
    "SynapseAgents": _MOVES,
    "WinStay": _MOVES,
}
"""Whose returns a curve shows, by the name of an algorithm that judges networks as candidates."""
NO_CURVES = "Without learning curves"
"""How a line begins that names agents without any."""
_BEYOND = 0.5
"""How far the axis may go on beyond the reference scores, as a share of their range."""
_MEDIANS = 2
"""Median durations that the axis of wall time goes on for, at most."""
_TIMES = ((3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_COUNTS = ((1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))

Line = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Places from left to right, rising, and returns, each (points,)."""


@dataclass(frozen=True)
class Axis:
    """Horizontal axis of learning curves."""

    field: Literal["steps", "seconds"]
    """Field of `LearningCurve`."""
    unit: float
    """Unit of a number on the axis."""
    suffix: str
    """Suffix of each number."""
    label: str
    """Label of the axis, with the unit of time."""
    last: float
    """Where it ends."""

    def text(self, value: float, digits: int = 6) -> str:
        """Return a value as the axis has it."""
        number = f"{value / self.unit:.{digits}g}"
        return number if number == "0" else number + self.suffix


def steps_axis(ends: Sequence[float]) -> Axis:
    """Return the axis of environment steps for runs of so many."""
    last = max(ends)
    _, unit, suffix = next(entry for entry in _COUNTS if last >= entry[0])
    return Axis("steps", unit, suffix, "environment steps", last)


def time_axis(ends: Sequence[float]) -> Axis:
    """Return the axis of wall time for runs of so many seconds, few of which may be far slower."""
    last = min(max(ends), _MEDIANS * float(np.median(ends)))
    _, unit, name = next(entry for entry in _TIMES if last >= entry[0])
    return Axis("seconds", unit, "", f"wall time ({name})", last)


@dataclass(frozen=True)
class Trained:
    """A line of the table with the learning curves of its runs."""

    row: TableRow
    """The line."""
    curves: tuple[LearningCurve, ...]
    """Of its runs that have one, at least one."""
    confirmed: int
    """How many of these training again has given."""

    @property
    def name(self) -> str:
        """Name of the agent, marked as in the table."""
        return self.row.name

    def lines(self, field: str) -> list[Line]:
        """Return the lines over ``steps`` or ``seconds``, of the runs of which these are known."""
        known = [curve for curve in self.curves if getattr(curve, field)]
        return [(np.array(getattr(x, field), np.float64), np.array(x.returns)) for x in known]

    def in_words(self) -> str:
        """Return of how many runs the curves are, whose word that is, and what they show."""
        counts = {
            "trained again": self.confirmed,
            "as submitted": len(self.curves) - self.confirmed,
        }
        of = f"of {len(self.row.seeds)} runs"
        text = f"{self.name}: " + ", ".join(f"{n} {of} {how}" for how, n in counts.items() if n)
        agent = self.row.agent
        algorithm = load_agent_spec(agent).algorithm if agent in agent_ids() else None
        judged = JUDGED.get(algorithm or "")
        return f"{text}; episodes of {judged}" if judged else text


def trained(row: TableRow, sources: Sequence[Row]) -> Trained | None:
    """Return a line of the table with its learning curves, None where none of its runs has one.

    Args:
        row: The line.
        sources: Stored rows, those behind it among them.
    """
    own = sources_of(row, sources)
    found = [source.learning_curve for source in own]
    curves = tuple(curve for curve in found if curve is not None)
    again = [source.trained_again for source in own]
    confirmed = sum(one is not None and one.curve is not None for one in again)
    return Trained(row, curves, confirmed) if curves else None


def learning_figures(
    site: Site, rows: Sequence[TableRow], sources: Sequence[Row], *, up: str
) -> Markup:
    """Return a figure for each agent and its twin, and a line on those without curves.

    Args:
        site: What the page has to know of the others.
        rows: Of one environment, version and budget class, in the table's order.
        sources: Stored rows, those behind them among them.
        up: From the page's folder to the site's.
    """
    found = {row: curves for row in rows if (curves := trained(row, sources)) is not None}
    figures = [
        learning_figure(site, [found[row] for row in pair], up=up) for pair in pairs(list(found))
    ]
    heading = element("h3", "Learning curves")
    shown = [heading, element("p", CURVES_TEXT), *figures] if figures else []
    without = ", ".join(row.name for row in rows if row not in found)
    rest = element("p", f"{NO_CURVES}: {without}.", class_="note") if without else Markup()
    return joined([*shown, rest])


def twin_figure(
    site: Site, row: TableRow, rows: Sequence[TableRow], sources: Sequence[Row], *, up: str
) -> Markup:
    """Return the figure of an agent beside its twin, or a line where it has no curve.

    Args:
        site: What the page has to know of the others.
        row: The agent's line.
        rows: All lines of its environment, version and budget class.
        sources: Stored rows, those behind them among them.
        up: From the page's folder to the site's.
    """
    curves = [trained(one, sources) for one in (row, *twins(row, rows))]
    if curves[0] is None:
        return element("p", f"{NO_CURVES}.", class_="note")
    return learning_figure(site, [one for one in curves if one is not None], up=up)


def pairs(rows: Sequence[TableRow]) -> list[list[TableRow]]:
    """Return each agent with its twin, or alone where no agent's twin is there.

    Args:
        rows: Of one environment, version and budget class.

    Returns:
        Every pair once, in the order of the rows.
    """
    found: dict[frozenset[int], list[TableRow]] = {}
    for row in rows:
        pair = [row, *twins(row, rows)]
        found.setdefault(frozenset(map(id, pair)), pair)
    return [pair for key, pair in found.items() if not any(key < other for other in found)]


def twins(row: TableRow, rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the line of an agent's twin, if there is one.

    Args:
        row: The agent's.
        rows: Of the same environment, version and budget class.
    """
    return [one for one in rows if one.agent == row.twin and not one.derived]


def learning_figure(site: Site, shown: Sequence[Trained], *, up: str) -> Markup:
    """Return the figure of some agents: a panel over steps and, where it is known, over wall time.

    Args:
        site: What the page has to know of the others.
        shown: One or two agents on the same environment.
        up: From the page's folder to the site's.
    """
    panels = [
        _panel(shown, make_axis([float(x[-1]) for x, _ in lines]))
        for field, make_axis in (("steps", steps_axis), ("seconds", time_axis))
        if (lines := [line for one in shown for line in one.lines(field)])
    ]
    legend = element("ul", *(_entry(site, one, up) for one in shown), class_="legend")
    caption = element("figcaption", "; ".join(one.in_words() for one in shown) + ".")
    return element("figure", legend, element("div", *panels, class_="panels"), caption)


def _entry(site: Site, one: Trained, up: str) -> Markup:
    """Return what a legend has of an agent: its thick line, and its name."""
    line = element("g", element("path", d="M2 8H26", class_="overall"), class_=_kind(one))
    sample = element("svg", line, width=28, height=16, aria_hidden="true")
    return element("li", sample, site.agent(one.row.agent, one.name, up=up))


def _kind(one: Trained) -> str:
    return "curves spiking" if one.row.spiking else "curves"


def _panel(shown: Sequence[Trained], axis: Axis) -> Markup:
    """Return the drawing of some agents over one axis."""
    row = shown[0].row
    across, upright = PLOT.across(0.0, axis.last), _score_axis(shown)
    values = [axis.unit * value for value in ticks(0.0, axis.last / axis.unit)]
    numbered = [(across(value), axis.text(value)) for value in values]
    words = "; ".join(filter(None, (_in_words(one, axis) for one in shown)))
    return element(
        "svg",
        *grid(PLOT, numbered, upright, row, axis.label),
        *(_drawn(one, axis, across, upright) for one in shown),
        viewBox=PLOT.view_box,
        role="img",
        aria_label=f"Return over {axis.label}, {row.environment}. {words}",
    )


def _score_axis(shown: Sequence[Trained]) -> Scale:
    """Return the axis of returns; a run far from all that is known does not stretch it."""
    marks = list(references(shown[0].row.reference).values())
    values = [value for one in shown for curve in one.curves for value in curve.returns] + marks
    low, high = min(values), max(values)
    if marks:
        beyond = _BEYOND * (max(marks) - min(marks))
        low, high = max(low, min(marks) - beyond), min(high, max(marks) + beyond)
    return PLOT.upright(low, high)


def overall(lines: Sequence[Line]) -> Line | None:
    """Return the interquartile mean of some lines, where all of them are.

    Args:
        lines: At least one; between their points they are straight.

    Returns:
        Places of the first line and means there; None where it has none that all lines pass.
    """
    start, end = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    places = lines[0][0]
    places = places[(places >= start) & (places <= end)]
    if not len(places):
        return None
    values = np.stack([np.interp(places, *line) for line in lines])  # shape: (lines, places)
    return places, np.array([interquartile_mean(column) for column in values.T])


def cut(lines: Sequence[Line], last: float) -> list[Line]:
    """Return lines as far as a place; those that begin after it are left out.

    Args:
        lines: Between their points they are straight.
        last: The place.
    """
    found: list[Line] = []
    for places, returns in lines:
        end = min(places[-1], last)
        before = places < end
        shown = np.append(returns[before], np.interp(end, places, returns))
        if places[0] <= last:
            found.append((np.append(places[before], end), shown))
    return found


def _thick(one: Trained, axis: Axis) -> Line | None:
    """Return the thick line of an agent; none over wall time, which each machine has its own of."""
    lines = one.lines(axis.field)
    return overall(lines) if lines and axis.field == "steps" else None


def _drawn(one: Trained, axis: Axis, across: Scale, upright: Scale) -> Markup:
    """Return the lines of an agent, that of all its runs above the others."""
    lines = cut(one.lines(axis.field), axis.last)
    paths = [element("path", d=_path(line, across, upright)) for line in lines]
    mean = _thick(one, axis)
    if mean is not None:
        paths.append(element("path", d=_path(mean, across, upright), class_="overall"))
    return element("g", *paths, class_=_kind(one))


def _path(line: Line, across: Scale, upright: Scale) -> str:
    returns = np.clip(line[1], upright.low, upright.high)
    points = [(round(across(x)), round(upright(y))) for x, y in zip(line[0], returns, strict=True)]
    # From point to point, which takes two thirds of the letters that places do.
    steps = [f"{x - x0}{y - y0:+d}" for (x0, y0), (x, y) in pairwise([(0, 0), *points])]
    return f"m{' '.join(steps)}h0"  # a single point is a dot


def _in_words(one: Trained, axis: Axis) -> str:
    """Return where the thick line of an agent begins and ends, or how long its runs took.

    Empty where there is neither.
    """
    lines = one.lines(axis.field)
    if axis.field == "seconds" and lines:
        ends = [float(places[-1]) for places, _ in lines]
        shown = dict.fromkeys(axis.text(end, 3) for end in (min(ends), max(ends)))
        return f"{one.name}, runs ({len(lines)}), of a duration of {' to '.join(shown)}"
    mean = _thick(one, axis)
    if mean is None:
        return ""
    ends_in_words = [
        f"{one.row.score(float(mean[1][k]))} at {axis.text(float(mean[0][k]), 3)}" for k in (0, -1)
    ]
    return f"{one.name}, interquartile mean over runs ({len(lines)}): {' to '.join(ends_in_words)}"
