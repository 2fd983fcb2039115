"""Pictures of a training run, and of two agents side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import read_regular_file
from snn_gym.envs.registry import make_task
from snn_gym.leaderboard.comparison import Side
from snn_gym.leaderboard.efficiency import FEWEST_AVERAGED
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.leaderboard.floor import SearchResult
from snn_gym.leaderboard.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, parse_manifest
from snn_gym.leaderboard.submission import SUBMISSION_FOLDER
from snn_gym.learners.students import SPIKING
from snn_gym.plots.frames import EpisodeTrace, FloatArray, LayerTrace, record_episode
from snn_gym.plots.style import (
    BLACK,
    GREY,
    agent_colours,
    layer_colours,
    new_figure,
    save,
    stacked_widths,
    style,
    title,
)
from snn_gym.policies.raw_observations import RecordedPolicy, raw_policy
from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.program.prices import DEFAULT, known_price
from snn_gym.training.dynamics_log import DYNAMICS_FILE, acting_spiking_network, read_rows
from snn_gym.training.logs import EVALUATIONS_FILE, read_episodes, read_evaluation_log
from snn_gym.training.record import Training, read_training
from snn_gym.training.run import EPISODES_FILE
from snn_gym.zoo import load_agent

# ---- curves --------------------------------------------------------------------------------------
AVERAGED_SHARE = 0.05
"""Episodes of the running mean as a share of all: returns of 0 or 1 need hundreds."""

Series = Mapping[tuple[str, str], tuple[FloatArray, FloatArray]]
"""Environment steps and values by (layer or connection, measure)."""


@dataclass(frozen=True)
class _Panel:
    """Panel of the dynamics over training."""

    measure: str
    heading: str
    label: str
    limits: tuple[float, float] | None = None
    """Limits of the axis; from 0 to beyond the highest value if None."""
    log: bool = False


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
    _Panel("forward_sensitivity", "Forward sensitivity", "neighbours, over layer before"),
    _Panel("relative_gradient", "Gradient", "‖∂L/∂w‖ / ‖w‖", log=True),
    _Panel("backward_gain", "Backward gain", "gradient, over next layer", log=True),
)
_COLUMNS = 3
_THOUSANDS_FROM = 10_000


def running_mean(values: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last ``window`` values at every place (n,), of fewer at the start."""
    sums = np.concatenate([np.zeros(1), np.cumsum(values, dtype=np.float64)])
    last = np.arange(1, len(sums))
    first = np.maximum(last - window, 0)
    mean: FloatArray = (sums[last] - sums[first]) / (last - first)
    return mean


def averaged_episodes(episodes: int) -> int:
    """Return the episodes that a point of a learning curve averages, from those of the training."""
    return max(FEWEST_AVERAGED, round(AVERAGED_SHARE * episodes))


def learning_curve(
    timesteps: FloatArray, returns: FloatArray, window: int
) -> tuple[FloatArray, FloatArray]:
    """Return different environment steps (n,), and the running mean of the returns at each.

    ``timesteps`` (episodes,) are those at each episode's end, rising; ``returns`` (episodes,).
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
    """Draw the return of every training episode, their running mean, and evaluations if given."""
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
    """Draw measures over training, a line for each layer (input side first) or connection."""
    panels = [x for x in _PANELS if any(measure == x.measure for _, measure in series)]
    rows = math.ceil(len(panels) / _COLUMNS)
    figure = new_figure(9.5, 2.35 * rows + 0.8)
    grid = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).ravel()
    lines: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=False):
        lines |= _draw_panel(axes, panel, series, layers)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[: len(panels)][-_COLUMNS:]:  # the lowest of each column
        axes.set_xlabel("environment steps")
        axes.xaxis.set_tick_params(labelbottom=True)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11)
    figure.legend(
        handles=list(lines.values()), labels=list(lines), loc="outside lower center",
        ncols=min(6, max(1, len(lines))),
    )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, panel: _Panel, series: Series, layers: Sequence[str]) -> dict[str, Any]:
    """Draw a panel and return its lines by layer or connection."""
    colours = layer_colours(layers)
    lines: dict[str, Any] = {}
    curves = [(part, *x) for (part, measure), x in series.items() if measure == panel.measure]
    widths = stacked_widths(len(curves))
    for (part, timesteps, values), width in zip(curves, widths, strict=True):
        layer = part.removesuffix("_recurrent")
        (lines[part],) = axes.plot(
            timesteps, values,
            color=colours.get(layer, BLACK),  # the readout's weights are no layer's
            linestyle="-" if layer == part else ":",
            linewidth=width, marker="o", markersize=width + 0.6,
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
    return lines


def step_axis(axes: Axes, timesteps: FloatArray) -> None:
    """Make the horizontal axis one of environment steps, from 0 to the last of ``timesteps``."""
    last = float(timesteps.max())
    axes.set_xlim(0, 1.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if last >= _THOUSANDS_FROM:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0"))


# ---- spikes of a run -----------------------------------------------------------------------------
TRACED_NEURONS = 3
"""Membrane traces of each layer."""
TRACED_DECISIONS = 8

_PANEL_INCHES = (0.7, 2.4)
_INCHES_PER_NEURON = 0.028


def draw_raster(trace: EpisodeTrace, heading: str) -> Figure:
    """Draw every spike, one panel for each layer and one row for each neuron."""
    layers = trace.layers[::-1]  # the output side on top, as signals rise
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
    # One line with gaps: a separate mark for every spike would make large files.
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
    """Draw potentials, thresholds and spikes of each layer's `choose_neurons`, 8 decisions long."""
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

    Silent neurons fill up to three; of equal rates the first counts as higher. The spikes are of
    shape (time steps, N).
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
    # From rest every decision is a separate line.
    length = steps if trace.stateful else trace.time_steps
    for start in range(0, steps, length):
        part = slice(start, start + length)
        axes.plot(times_ms[part], voltage[part], color=colour, marker="o", markersize=2)
        if layer.thresholds is not None:
            threshold = layer.thresholds[:steps, neuron]
            axes.plot(times_ms[part], threshold[part], color=GREY, linestyle="--", linewidth=1.0)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))  # room for the spikes above the traces
    fired = layer.spikes[:steps, neuron] > 0
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


# ---- figures -------------------------------------------------------------------------------------
FORMATS = ("png", "svg")
"""Formats of pictures, by the endings of their files' names."""

RASTER_DECISIONS = 25
"""Decisions of a raster."""


@dataclass(frozen=True)
class Pictures:
    """Pictures that ``plot_run`` drew."""

    paths: tuple[Path, ...]
    """Files written."""
    notes: tuple[str, ...]
    """Pictures that could not be drawn, and how to get them."""


def plot_run(run: Path, out: Path | None = None, formats: Sequence[str] = FORMATS) -> Pictures:
    """Draw a finished training run.

    ``learning_curve`` shows the return of every training episode and the deterministic evaluations
    in the folder: ``evaluations.npz`` of Stable-Baselines3's ``EvalCallback``, and the submission.
    Of a spiking agent, ``raster`` and ``membranes`` show the final policy in the first decisions of
    the first public evaluation episode, played deterministically; ``dynamics`` shows the log of
    ``snn-gym train --dynamics``. Equal runs give equal bytes under equal versions of matplotlib.

    Args:
        run: Folder that ``snn-gym train`` wrote.
        out: Folder for the pictures; RUN/plots if None.
        formats: Any of ``FORMATS``.

    Returns:
        The files, and notes on missing pictures.

    Raises:
        ValueError: A format is unknown, there is no finished run, or its files were changed.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"format {', '.join(unknown) or 'none'} is unknown; choose from {', '.join(FORMATS)}"
        )
    settings = read_training(Path(run))
    trace = _trace_final_policy(run, settings)
    out = run / "plots" if out is None else Path(out)
    out.mkdir(parents=True, exist_ok=True)
    agent = f"{settings.agent}{_of_own_neurons(settings)}"
    name = f"{agent} on {settings.environment}, seed {settings.seed}"
    drawings, notes = _drawings(run, trace, name)
    paths: list[Path] = []
    with style():
        for stem, draw in drawings.items():
            paths += save(draw(), out / stem, tuple(dict.fromkeys(formats)))
    return Pictures(tuple(paths), tuple(notes))


def _of_own_neurons(settings: Training) -> str:
    """Return words that name the neurons of a run that are not the package's own."""
    given = [] if settings.settings is None else settings.settings.network.get("neuron", [])
    names = dict.fromkeys([given] if isinstance(given, str) else given)
    own = [x for x in names if not NEURONS[x].__module__.startswith("snn_gym.")]
    return f" of neuron {', '.join(own)}" if own else ""


def _trace_final_policy(run: Path, settings: Training) -> EpisodeTrace | None:
    """Record an episode's first `RASTER_DECISIONS` by the final policy; None if it is an ANN."""
    with one_thread():
        policy: RecordedPolicy = raw_policy(load_agent(run))
        if acting_spiking_network(policy) is None:
            return None
        env = make_task(settings.environment, **settings.environment_kwargs)
        return record_episode(policy, env, FIRST_EVALUATION_SEED, RASTER_DECISIONS)


def _drawings(
    run: Path, trace: EpisodeTrace | None, name: str
) -> tuple[dict[str, Callable[[], Figure]], list[str]]:
    """Return functions that draw the pictures, and notes on those that can't be drawn."""
    notes: list[str] = []
    drawings: dict[str, Callable[[], Figure]] = {}
    if trace is None:
        notes.append("no spikes to draw: the agent is an ANN")
    else:
        heading = f"Spikes of {name}: {trace.decisions} decisions"
        drawings["raster"] = partial(draw_raster, trace, heading)
        drawings["membranes"] = partial(draw_membranes, trace, f"Membrane potentials of {name}")
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    if len(returns):
        drawings["learning_curve"] = lambda: draw_learning_curve(
            timesteps,
            returns,
            f"Training {name}",
            spiking=trace is not None,
            evaluations=read_evaluations(run),
        )
    else:
        notes.append("no learning curve: no training episode had ended")
    if trace is None:
        return drawings, notes
    series = _read_series(run / DYNAMICS_FILE)
    layers = [layer.name for layer in trace.layers]
    if series:
        drawings["dynamics"] = partial(draw_dynamics, series, layers, f"Dynamics of {name}")
    else:
        notes.append("no dynamics over training: train with `snn-gym train ... --dynamics`")
    return drawings, notes


def read_evaluations(run: Path) -> tuple[FloatArray, FloatArray] | None:
    """Return steps and mean returns (evaluations,) in a run's folder, rising by steps.

    They are those of logged evaluations and of the submission; None without any.
    """
    points: list[tuple[float, float]] = []
    logged = run / EVALUATIONS_FILE
    if logged.exists():
        log = read_evaluation_log(logged)
        means = log["results"].mean(axis=1)
        points += zip(log["timesteps"].tolist(), means.tolist(), strict=True)
    manifest = run / SUBMISSION_FOLDER / MANIFEST_NAME
    if manifest.exists():
        submitted = parse_manifest(read_regular_file(manifest, max_bytes=MAX_MANIFEST_BYTES))
        points.append((submitted.steps, submitted.score.mean))
    if not points:
        return None
    steps, returns = np.array(sorted(points), dtype=np.float64).T
    return steps, returns


def _read_series(path: Path) -> Series:
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for timestep, part, measure, value in read_rows(path) if path.exists() else ():
        values.setdefault((part, measure), []).append((timestep, value))
    return {key: (np.array(x)[:, 0], np.array(x)[:, 1]) for key, x in values.items()}


# ---- comparison ----------------------------------------------------------------------------------
Curves = tuple[tuple[FloatArray, FloatArray], ...]
"""Environment steps and running mean of the training returns of each run, empty without a log."""

QUARTERS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the training at which a table reads the curves."""

_MOST_IN_A_LINE = 70  # letters of both names
_SPREAD = 0.12  # of the dots of a side, in the distance between two sides


def learning_curves(side: Side) -> Curves:
    """Return the learning curve of each run, empty arrays without logged episodes; () for rows."""
    return tuple(map(_curve, side.runs))


def _curve(run: Path) -> tuple[FloatArray, FloatArray]:
    if not (run / EPISODES_FILE).exists():  # saved by `save_agent`
        return np.empty(0), np.empty(0)
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    return learning_curve(timesteps, returns, averaged_episodes(len(returns)))


def at_quarters(side: Side, steps: int) -> list[list[float | None]]:
    """Return a list for each of `QUARTERS` of ``steps``, with each run's learning curve there.

    It is None if no episode had ended yet, or if the run had ended before.
    """
    runs = list(zip(learning_curves(side), side.line.steps[: len(side.runs)], strict=True))
    return [[_value(*run, round(quarter * steps)) for run in runs] for quarter in QUARTERS]


def _value(curve: tuple[FloatArray, FloatArray], trained: int, at: int) -> float | None:
    episodes = int(np.searchsorted(curve[0], at, side="right"))
    return float(curve[1][episodes - 1]) if episodes and at <= trained else None


def save_comparison(sides: Sequence[Side], path: Path) -> Path:
    """Draw two sides in a picture, PNG or SVG by its suffix, whose folder is made if absent."""
    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure = draw_comparison(sides, [learning_curves(side) for side in sides])
        save(figure, path, [path.suffix[1:]])
    return path


def save_front(result: SearchResult, path: Path) -> Path:
    """Draw return against price of the networks of a search, PNG or SVG by the file's suffix.

    A line joins the networks of a family that earn more in validation than all cheaper ones. Marks
    are the cheapest of each that keeps the return, in fresh episodes, and the teacher.
    """
    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure = new_figure(6.8, 4.0)
        axes = figure.subplots()
        for k, (family, small) in enumerate(result.cheapest.items()):
            costs, means = zip(*result.front(family), strict=True)
            colour, dashes = f"C{k}", "-" if family in SPIKING else "--"
            axes.step(costs, means, where="post", color=colour, linestyle=dashes, label=family)
            if small is not None:
                axes.plot(small.cost, small.evaluation.mean, color=colour, marker="D")
        teacher = result.teacher
        if teacher is not None and (cost := known_price(result.price).of(teacher)) is not None:
            axes.plot(cost, teacher.mean, color=BLACK, linestyle="", marker="*", label="teacher")
        axes.axhline(result.least_return, color=GREY, linestyle=":", label="kept from here on")
        axes.set_xscale("log")
        title(axes, f"{result.env_id}: the cheapest networks of each family")
        axes.set_xlabel(f"{result.price} of a decision")
        axes.set_ylabel("mean return (reward units)")
        figure.legend(loc="outside right upper")
        save(figure, path, [path.suffix[1:]])
    return path


def check_picture(path: Path) -> None:
    """Raise ``ValueError`` for a file whose suffix is none of the formats."""
    if path.suffix[1:] not in FORMATS:
        raise ValueError(
            f"{path} is no picture's file; expected a name that ends in "
            f"{' or '.join(f'.{x}' for x in FORMATS)}"
        )


def draw_comparison(sides: Sequence[Side], curves: Sequence[Curves]) -> Figure:
    """Draw returns and operations with seeds as dots, and learning curves where there are any.

    Mean returns with intervals stand beside the dots of sides with at least five seeds.
    """
    has_curves = any(len(x) for of_side in curves for x, _ in of_side)
    panels = 3 if has_curves else 2
    figure = new_figure(3.4 * panels, 3.6)
    colours = list(agent_colours({side.name: side.line.spiking for side in sides}).values())
    axes = list(figure.subplots(1, panels))
    _returns(axes[0], sides, colours)
    _operations(axes[1], sides, colours)
    if has_curves:
        _curves(axes[2], curves, colours)
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=side.name)
        for side, colour in zip(sides, colours, strict=True)
    ]
    figure.suptitle(sides[0].line.environment, x=0.01, ha="left", fontsize=11)
    ncols = 1 if sum(len(side.name) for side in sides) > _MOST_IN_A_LINE else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
    return figure


def _returns(axes: Axes, sides: Sequence[Side], colours: Sequence[str]) -> None:
    for place, (side, colour) in enumerate(zip(sides, colours, strict=True)):
        line = side.line
        _dots(axes, place, line.seed_means, colour)
        if side.line.interval is not None:
            low, high = line.interval or (line.mean, line.mean)
            axes.errorbar(
                place + 2 * _SPREAD, line.mean, [[line.mean - low], [high - line.mean]],
                color=colour, marker="D", markersize=5, capsize=3,
            )  # fmt: skip
    axes.set_xticks(range(len(sides)), [""] * len(sides))
    axes.set_xlim(-0.6, len(sides) - 0.4)
    title(axes, "Return, a dot for each seed")
    axes.set_ylabel("mean return of a seed (reward units)")


def _operations(axes: Axes, sides: Sequence[Side], colours: Sequence[str]) -> None:
    axes.set_yscale("log")
    for k, (side, colour) in enumerate(zip(sides, colours, strict=True)):
        for place, totals in enumerate(side.compared_costs.values()):
            known = [total for total in totals if total]  # zero has no place on a log axis
            _dots(axes, place + 0.36 * (k - 0.5), known, colour)
    names = [heading.replace(" ", "\n") for heading in sides[0].compared_costs]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    priced = sides[0].price.name != DEFAULT  # by another unit than the operations beside it
    title(axes, f"{'Costs' if priced else 'Operations'}, a dot for each seed")
    axes.set_ylabel("per decision" if priced else "operations per decision")


def _curves(axes: Axes, curves: Sequence[Curves], colours: Sequence[str]) -> None:
    for of_side, colour in zip(curves, colours, strict=True):
        for timesteps, means in of_side:
            axes.plot(timesteps, means, color=colour, linewidth=1.0, alpha=0.8)
    step_axis(axes, np.concatenate([x for of_side in curves for x, _ in of_side]))
    title(axes, "Training, a line for each seed")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("running mean of returns (reward units)")


def _dots(axes: Axes, place: float, values: Sequence[float], colour: str) -> None:
    spread = np.linspace(-_SPREAD, _SPREAD, len(values)) if len(values) > 1 else np.zeros(1)
    if len(values):
        axes.plot(
            place + spread, values, color=colour, linestyle="", marker="o", markersize=4,
            markeredgewidth=0.0, alpha=0.7,
        )  # fmt: skip
