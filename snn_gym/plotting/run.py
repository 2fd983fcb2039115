"""Draw a training run from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from snn_gym.plotting.curves import FloatArray, Series, draw_dynamics, draw_learning_curve
from snn_gym.plotting.episode import EpisodeTrace, LayerTrace, record_episode
from snn_gym.plotting.style import BLACK, GREY, layer_colours, new_figure, save, style, title
from snn_gym.policies.protocols import RecordedPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.registry import make_task
from snn_gym.scoring.evaluation import FIRST_EVALUATION_SEED
from snn_gym.scoring.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, parse_manifest
from snn_gym.scoring.submission import SUBMISSION_FOLDER
from snn_gym.storage import read_regular_file
from snn_gym.threads import one_thread
from snn_gym.training.dynamics_callback import DYNAMICS_FILE, acting_spiking_network
from snn_gym.training.dynamics_log import read_rows
from snn_gym.training.episodes import read_episodes
from snn_gym.training.evaluations import EVALUATIONS_FILE
from snn_gym.training.run import EPISODES_FILE, check_logs
from snn_gym.training.settings import RunSettings, read_run_settings
from snn_gym.zoo import load_agent

# ---- spikes of a run -----------------------------------------------------------------------------
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


# ---- figures -------------------------------------------------------------------------------------
FORMATS = ("png", "svg")
"""Formats of pictures, by the endings of their files' names."""

RASTER_DECISIONS = 25
"""Name under which Stable-Baselines3's ``EvalCallback(log_path=RUN)`` writes."""


@dataclass(frozen=True)
class Pictures:
    """What ``plot_run`` drew."""

    paths: tuple[Path, ...]
    """Files written."""
    notes: tuple[str, ...]
    """What could not be drawn, and how to get it."""


def plot_run(run: Path, out: Path | None = None, formats: Sequence[str] = FORMATS) -> Pictures:
    """Draw a finished training run.

    ``learning_curve`` shows the return of every training episode and the deterministic evaluations
    that lie in the folder: Stable-Baselines3's ``EvalCallback`` (``evaluations.npz``), and the
    submission. Of a spiking agent, ``raster`` and ``membranes`` show the final policy in the first
    decisions of the first public evaluation episode, played deterministically; ``dynamics`` what
    ``snn-gym train --dynamics`` logged. Equal runs give equal bytes under equal versions of
    matplotlib.

    Args:
        run: Folder that ``snn-gym train`` wrote.
        out: Folder for the pictures; RUN/plots if None.
        formats: Any of ``FORMATS``.

    Returns:
        The files, and notes on what is missing.

    Raises:
        ValueError: A format is unknown, there is no finished run, or its files were changed.
    """
    formats = _checked_formats(formats)
    settings = read_run_settings(Path(run))
    check_logs(Path(run))
    trace = _trace_final_policy(run, settings)
    out = run / "plots" if out is None else Path(out)
    out.mkdir(parents=True, exist_ok=True)
    name = f"{settings.agent} on {settings.environment}, seed {settings.seed}"
    drawn, notes = _drawings(run, trace, name)
    paths: list[Path] = []
    with style():
        for stem, draw in drawn.items():
            paths += save(draw(), out / stem, formats)
    return Pictures(tuple(paths), tuple(notes))


def _checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"format {', '.join(unknown) or 'none'} is unknown; choose from {', '.join(FORMATS)}"
        )
    return tuple(dict.fromkeys(formats))


def _trace_final_policy(run: Path, settings: RunSettings) -> EpisodeTrace | None:
    """Return what the final policy does in an episode, None if it does not spike."""
    with one_thread():
        policy: RecordedPolicy = raw_policy(load_agent(run))
        if acting_spiking_network(policy) is None:
            return None
        env = make_task(settings.environment, **settings.environment_kwargs)
        return record_episode(policy, env, FIRST_EVALUATION_SEED, RASTER_DECISIONS)


def _drawings(
    run: Path, trace: EpisodeTrace | None, name: str
) -> tuple[dict[str, Callable[[], Figure]], list[str]]:
    """Return what draws each picture, and notes on those that can't be drawn."""
    notes: list[str] = []
    drawn: dict[str, Callable[[], Figure]] = {}
    if trace is None:
        notes.append("no spikes to draw: the agent is an ANN")
    else:
        drawn |= {
            "raster": lambda: draw_raster(trace, f"Spikes of {name}: {trace.decisions} decisions"),
            "membranes": lambda: draw_membranes(trace, f"Membrane potentials of {name}"),
        }
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    if len(returns):
        drawn["learning_curve"] = lambda: draw_learning_curve(
            timesteps, returns, f"Training {name}",
            spiking=trace is not None, evaluations=read_evaluations(run),
        )  # fmt: skip
    else:
        notes.append("no learning curve: no training episode had ended")
    if trace is None:
        return drawn, notes
    series = _read_series(run / DYNAMICS_FILE)
    layers = [layer.name for layer in trace.layers]
    if series:
        drawn["dynamics"] = lambda: draw_dynamics(series, layers, f"Dynamics of {name}")
    else:
        notes.append("no dynamics over training: train with `snn-gym train ... --dynamics`")
    return drawn, notes


def read_evaluations(run: Path) -> tuple[FloatArray, FloatArray] | None:
    """Read the deterministic evaluations in a run's folder.

    Args:
        run: Folder of a run.

    Returns:
        Environment steps and mean returns, each (evaluations,); None if there are none.

    Raises:
        ValueError: A file is not what its name says.
    """
    points: list[tuple[float, float]] = []
    logged = run / EVALUATIONS_FILE
    if logged.exists():
        with np.load(logged, allow_pickle=False) as arrays:
            means = arrays["results"].mean(axis=1)
            points += zip(arrays["timesteps"].tolist(), means.tolist(), strict=True)
    manifest = run / SUBMISSION_FOLDER / MANIFEST_NAME
    if manifest.exists():
        submitted = parse_manifest(read_regular_file(manifest, max_bytes=MAX_MANIFEST_BYTES))
        points.append((submitted.steps, submitted.score.mean))
    if not points:
        return None
    steps, returns = np.array(sorted(points), dtype=np.float64).T
    return steps, returns


def _read_series(path: Path) -> Series:
    if not path.exists():
        return {}
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for timestep, part, measure, value in read_rows(path):
        values.setdefault((part, measure), []).append((timestep, value))
    return {key: (np.array(x)[:, 0], np.array(x)[:, 1]) for key, x in values.items()}
