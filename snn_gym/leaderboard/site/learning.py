"""Learning curves over environment steps and wall time, of an agent beside its twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.headings import references
from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.site.front import Plot, columns, grid, ticks
from snn_gym.leaderboard.site.layout import Site, folded, sources_of
from snn_gym.leaderboard.site.marks import Scale
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.table import TableRow
from snn_gym.zoo import agent_ids, load_agent_spec

PLOT = Plot(width=400, height=250, left=80, right=376, top=12, bottom=204)
"""Axes of a panel."""
MEANS_PLOT = Plot(width=720, height=300, left=80, right=690, top=12, bottom=252)
"""Axes of the mean lines of all agents."""
CURVES_TEXT = (
    "Mean return of the training episodes over environment steps and over wall time. A thin line "
    "is a training run. The thick line over steps is the interquartile mean of runs, where all "
    "have values. Lines of an ANN are dashed. Returns beyond the axis are drawn at its end. Wall "
    "time depends on each run's machine and its load, so that it has no mean, and runs are cut at "
    "twice the median duration. Agents explore in training, so that returns differ from the "
    "table's. A curve is a claim until training the run again gives the same curve."
)
MEANS_TEXT = (
    "Interquartile mean of the training returns of each agent's runs. Lines of an ANN are dashed; "
    "a line shows its agent when the pointer is on it."
)
_MOVES = (
    "current weights and of every tried move, accepted or not; the table's row has the final "
    "weights"
)
_SAMPLES = (
    "sampled networks; the table's row has the final mean of their distribution, which plays no "
    "training episode"
)
JUDGED: Mapping[str, str] = {
    "AcceptReject": _MOVES,
    "CMAES": _SAMPLES,
    "EvolutionStrategies": _SAMPLES,
    "RandomSearch": "every random network beside the best; the table's row has the final best",
    "SynapseAgents": _MOVES,
    "WinStay": _MOVES,
}
"""Networks whose returns a curve shows, by the name of an algorithm that tries candidates."""
NO_CURVES = "Without learning curves"
_BEYOND = 0.5  # limit of the axis beyond the reference scores, as a share of their range
_MEDIANS = 2  # limit of the axis of wall time, in median durations
_TIMES = ((3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_COUNTS = ((1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))

Line = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rising positions and returns, each (points,)."""


@dataclass(frozen=True)
class Axis:
    """Horizontal axis of learning curves."""

    field: Literal["steps", "seconds"]
    """Field of `LearningCurve`."""
    unit: float
    suffix: str
    """Suffix of each number."""
    label: str
    last: float
    """End of the axis."""

    def text(self, value: float, digits: int = 6) -> str:
        """Return a value as a number on the axis."""
        number = f"{value / self.unit:.{digits}g}"
        return number if number == "0" else number + self.suffix


def steps_axis(ends: Sequence[float]) -> Axis:
    """Return the axis of environment steps for runs with these numbers of steps."""
    last = max(ends)
    _, unit, suffix = next(entry for entry in _COUNTS if last >= entry[0])
    return Axis("steps", unit, suffix, "environment steps", last)


def time_axis(ends: Sequence[float]) -> Axis:
    """Return the axis of wall time for runs with these durations (s), cut at twice the median."""
    last = min(max(ends), _MEDIANS * float(np.median(ends)))
    _, unit, name = next(entry for entry in _TIMES if last >= entry[0])
    return Axis("seconds", unit, "", f"wall time ({name})", last)


@dataclass(frozen=True)
class Trained:
    """A line of the table with the learning curves of its runs, at least one."""

    row: TableRow
    curves: tuple[LearningCurve, ...]
    confirmed: int
    """Number of curves that training again has reproduced."""

    @property
    def css_class(self) -> str:
        """Style of its lines."""
        return "curves spiking" if self.row.spiking else "curves"

    def lines(self, field: str) -> list[Line]:
        """Return (positions, returns) of each run with a ``field``, ``steps`` or ``seconds``."""
        known = [curve for curve in self.curves if getattr(curve, field)]
        return [(np.array(getattr(x, field), np.float64), np.array(x.returns)) for x in known]

    def in_words(self) -> str:
        """Return the numbers of confirmed and claimed curves, and whose returns they show."""
        counts = {
            "trained again": self.confirmed,
            "as submitted": len(self.curves) - self.confirmed,
        }
        total = f"of {len(self.row.seeds)} runs"
        numbers = ", ".join(f"{n} {total} {source}" for source, n in counts.items() if n)
        agent = self.row.agent
        algorithm = load_agent_spec(agent).algorithm if agent in agent_ids() else None
        judged = JUDGED.get(algorithm or "")
        return f"{self.row.name}: {numbers}" + (f"; episodes of {judged}" if judged else "")


def trained(row: TableRow, sources: Sequence[Row]) -> Trained | None:
    """Return a line of the table with its learning curves, None without any."""
    own = sources_of(row, sources)
    curves = tuple(curve for source in own if (curve := source.learning_curve) is not None)
    outcomes = [source.trained_again for source in own]
    confirmed = sum(again is not None and again.curve is not None for again in outcomes)
    return Trained(row, curves, confirmed) if curves else None


def learning_figures(
    site: Site, rows: Sequence[TableRow], sources: Sequence[Row], *, up: str
) -> Markup:
    """Return a figure of all agents, folded ones of pairs, and names of agents without curves."""
    known = {row: curves for row in rows if (curves := trained(row, sources)) is not None}
    figures = [
        learning_figure(site, [known[row] for row in pair], up=up) for pair in pairs(list(known))
    ]
    shown = []
    if figures:
        pairs_shown = joined([element("p", CURVES_TEXT), *figures])
        shown = [
            element("h3", "Learning curves"),
            _means_figure(list(known.values())),
            folded("Runs of each agent, beside its twin", pairs_shown),
        ]
    without = ", ".join(row.name for row in rows if row not in known)
    rest = element("p", f"{NO_CURVES}: {without}.", class_="note") if without else Markup()
    return joined([*shown, rest])


def _means_figure(shown: Sequence[Trained]) -> Markup:
    """Return the figure of all agents' mean lines over steps; nothing without any."""
    with_means = [x for x in shown if (lines := x.lines("steps")) and overall(lines) is not None]
    if not with_means:
        return Markup()
    ends = [float(places[-1]) for agent in with_means for places, _ in agent.lines("steps")]
    panel = _panel(with_means, steps_axis(ends), MEANS_PLOT)
    caption = element("figcaption", MEANS_TEXT)
    return element("figure", element("div", panel, class_="panels means"), caption)


def twin_figure(
    site: Site, row: TableRow, rows: Sequence[TableRow], sources: Sequence[Row], *, up: str
) -> Markup:
    """Return the figure of an agent beside its twin, or a note if the agent has no curves."""
    curves = [trained(line, sources) for line in (row, *twins(row, rows))]
    if curves[0] is None:
        return element("p", f"{NO_CURVES}.", class_="note")
    return learning_figure(site, [agent for agent in curves if agent is not None], up=up)


def pairs(rows: Sequence[TableRow]) -> list[list[TableRow]]:
    """Return each pair of agent and twin once, and agents without a twin in ``rows`` alone."""
    groups: dict[frozenset[int], list[TableRow]] = {}
    for row in rows:
        pair = [row, *twins(row, rows)]
        groups.setdefault(frozenset(map(id, pair)), pair)
    return [pair for key, pair in groups.items() if not any(key < other for other in groups)]


def twins(row: TableRow, rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the line of an agent's twin as a list, empty without one."""
    return [other for other in rows if other.agent == row.twin and not other.derived]


def learning_figure(site: Site, shown: Sequence[Trained], *, up: str) -> Markup:
    """Return the figure of agents with a panel over steps and, if known, over wall time."""
    panels = [
        _panel(shown, make_axis([float(x[-1]) for x, _ in lines]))
        for field, make_axis in (("steps", steps_axis), ("seconds", time_axis))
        if (lines := [line for agent in shown for line in agent.lines(field)])
    ]
    entries = []
    for agent in shown:
        sample = element("path", d="M2 8H26", class_="overall")
        line = element("g", sample, class_=agent.css_class)
        drawing = element("svg", line, width=28, height=16, aria_hidden="true")
        name = site.agent(agent.row.agent, agent.row.name, up=up)
        entries.append(element("li", drawing, name))
    legend = element("ul", *entries, class_="legend")
    caption = element("figcaption", "; ".join(agent.in_words() for agent in shown) + ".")
    return element("figure", legend, element("div", *panels, class_="panels"), caption)


def _panel(shown: Sequence[Trained], axis: Axis, plot: Plot = PLOT) -> Markup:
    """Return the drawing of agents over one axis, with all runs, or of means alone if wide."""
    row = shown[0].row
    across, upright = plot.across(0.0, axis.last), _score_axis(shown, plot)
    values = [axis.unit * value for value in ticks(0.0, axis.last / axis.unit)]
    numbered = [(across(value), axis.text(value)) for value in values]
    words = "; ".join(filter(None, (_in_words(agent, axis) for agent in shown)))
    return element(
        "svg",
        *grid(plot, upright, row),
        *columns(plot, numbered, axis.label),
        *(_drawn(agent, axis, across, upright, means=plot is not PLOT) for agent in shown),
        viewBox=plot.view_box,
        role="img",
        aria_label=f"Return over {axis.label}, {row.environment}. {words}",
    )


def _score_axis(shown: Sequence[Trained], plot: Plot) -> Scale:
    """Return the axis of returns, limited by reference scores against outliers."""
    marks = list(references(shown[0].row.reference).values())
    values = [value for agent in shown for curve in agent.curves for value in curve.returns] + marks
    low, high = min(values), max(values)
    if marks:
        beyond = _BEYOND * (max(marks) - min(marks))
        low, high = max(low, min(marks) - beyond), min(high, max(marks) + beyond)
    return plot.upright(low, high)


def overall(lines: Sequence[Line]) -> Line | None:
    """Return the interquartile mean of lines where all have values, None if nowhere.

    Its positions are those of the first line; the others are interpolated.
    """
    start, end = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    places = lines[0][0]
    places = places[(places >= start) & (places <= end)]
    if not len(places):
        return None
    values = np.stack([np.interp(places, *line) for line in lines])  # shape: (lines, places)
    return places, np.array([interquartile_mean(column) for column in values.T])


def cut(lines: Sequence[Line], last: float) -> list[Line]:
    """Return lines up to a position, interpolated there, without lines that begin after it."""
    shortened: list[Line] = []
    for places, returns in lines:
        end = min(places[-1], last)
        before = places < end
        shown = np.append(returns[before], np.interp(end, places, returns))
        if places[0] <= last:
            shortened.append((np.append(places[before], end), shown))
    return shortened


def _mean_line(agent: Trained, axis: Axis) -> Line | None:
    """Return the thick line of an agent; None over wall time, which depends on the machine."""
    lines = agent.lines(axis.field)
    return overall(lines) if lines and axis.field == "steps" else None


def _drawn(agent: Trained, axis: Axis, across: Scale, upright: Scale, *, means: bool) -> Markup:
    """Return the lines of an agent, the mean line above the others."""
    lines = [] if means else cut(agent.lines(axis.field), axis.last)
    paths = [element("title", agent.row.name)]
    paths += [element("path", d=_path(line, across, upright)) for line in lines]
    mean = _mean_line(agent, axis)
    if mean is not None:
        paths.append(element("path", d=_path(mean, across, upright), class_="overall"))
    return element("g", *paths, class_=agent.css_class)


def _path(line: Line, across: Scale, upright: Scale) -> str:
    returns = np.clip(line[1], upright.low, upright.high)
    points = [(round(across(x)), round(upright(y))) for x, y in zip(line[0], returns, strict=True)]
    # Relative steps take two thirds of the letters of absolute positions.
    steps = [f"{x - x0}{y - y0:+d}" for (x0, y0), (x, y) in pairwise([(0, 0), *points])]
    return f"m{' '.join(steps)}h0"  # a single point is a dot


def _in_words(agent: Trained, axis: Axis) -> str:
    """Return the ends of an agent's mean line, or the durations of its runs, in words."""
    lines = agent.lines(axis.field)
    if axis.field == "seconds" and lines:
        ends = [float(places[-1]) for places, _ in lines]
        shown = dict.fromkeys(axis.text(end, 3) for end in (min(ends), max(ends)))
        return f"{agent.row.name}, runs ({len(lines)}), of a duration of {' to '.join(shown)}"
    mean = _mean_line(agent, axis)
    if mean is None:
        return ""
    points = [
        f"{agent.row.score(float(mean[1][k]))} at {axis.text(float(mean[0][k]), 3)}"
        for k in (0, -1)
    ]
    runs = f"interquartile mean over runs ({len(lines)})"
    return f"{agent.row.name}, {runs}: {' to '.join(points)}"
