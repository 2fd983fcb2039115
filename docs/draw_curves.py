"""Draw learning curves from the rows of the results table, and the spikes of one of its agents.

    python docs/draw_curves.py

A figure has a panel for each task: the training returns of each seed whose row has a curve, the
thicker line their mean, and a diamond for the score of each of these seeds. Warm colours spike,
cold ones do not.
Figures of whose tasks no row has a curve stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import snn_gym
from snn_gym.envs.registry import load_environment_spec, make_task
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.leaderboard.results import Row, list_rows
from snn_gym.plots.frames import record_episode
from snn_gym.plots.run import RASTER_DECISIONS
from snn_gym.plots.style import (
    BLACK,
    GREY,
    agent_colours,
    layer_colours,
    save,
    stacked_widths,
    style,
)
from snn_gym.training.settings import acts_in_spikes
from snn_gym.zoo import load_agent_spec

ROOT = Path(__file__).resolve().parents[1]
BOARD = ROOT / "leaderboard"
IMAGES = ROOT / "docs" / "images"
GUIDE_TASKS = {
    "MountainCar-v0": ("ppo-lif", "ppo-mlp"),
    "Pendulum-v1": ("ppo-lif", "ppo-mlp", "sac-lif", "sac-mlp"),
    "LunarLander-v3": ("ppo-lif", "ppo-mlp"),
}
"""Agents by task, in one figure."""
CARDS = (
    "CueAccumulation-v0",
    "DelayedMatchToSample-v0",
    "IntervalTiming-v0",
    "PatternDetection-v0",
    "WaterMaze-v0",
    "EventTracking-v0",
    "CursorDecoding-v0",
    "Desynchronisation-v0",
)
"""Cards with a figure each."""
CARD_AGENTS = ("recurrent-ppo-lsnn", "recurrent-ppo-gru", "ppo-lif")
"""Agents in them, where there are rows with curves."""
RASTER_AGENT, RASTER_TASK = "ppo-lif", "CartPole-v1"
WIDTH, HEIGHT, ENTRY_HEIGHT = 4.4, 3.5, 0.2
"""Size of a panel, and what an entry of the legend below adds (inches)."""
REFERENCES = ("random", "memoryless", "oracle")
NEAR = 0.05
"""Share of the scale below which two labels would cover each other."""
MEAN_POINTS = 300
"""Points of a mean over seeds."""


def rows_of(rows: Iterable[Row], agent: str, env_id: str) -> list[Row]:
    """Return an agent's rows on the present version of a task."""
    version = load_environment_spec(env_id).version
    place = (agent, env_id, version)
    return [row for row in rows if (row.agent, row.environment, row.environment_version) == place]


def spikes(agent: str) -> bool:
    """Return whether an agent of the zoo acts in spikes."""
    return acts_in_spikes(load_agent_spec(agent))


def curved(rows: Sequence[Row], agents: Iterable[str], env_id: str) -> list[str]:
    """Return the agents of which a row on a task has a curve."""
    return [
        agent
        for agent in agents
        if any(row.learning_curve is not None for row in rows_of(rows, agent, env_id))
    ]


def draw_task(
    axes: Axes, rows: Sequence[Row], env_id: str, agents: Iterable[str], colours: Mapping[str, str]
) -> None:
    """Draw every seed's curve and score of each agent on a task, and the mean over seeds.

    Args:
        axes: Where.
        rows: Any rows.
        env_id: The task.
        agents: Agents to draw where they have curves, by which the legend is ordered.
        colours: Colour of each.
    """
    shown = {name: spikes(name) for name in curved(rows, agents, env_id)}
    thick, thin = stacked_widths(2)
    # Spiking agents last: on top, and thinner.
    entries = {
        name: draw_agent(
            axes, name, rows_of(rows, name, env_id), colours[name], thin if shown[name] else thick
        )
        for name in sorted(shown, key=shown.__getitem__)
    }
    reference = load_environment_spec(env_id).reference
    if reference.oracle is not None:
        draw_references(axes, {name: getattr(reference, name) for name in REFERENCES})
    axes.set(title=env_id, xlabel="environment steps (thousands)")
    score = {"color": GREY, "marker": "D", "markersize": 4, "linestyle": ""}
    handles = [*map(entries.__getitem__, shown), Line2D([], [], label="score of a seed", **score)]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def draw_agent(axes: Axes, agent: str, rows: Sequence[Row], colour: str, width: float) -> Line2D:
    """Draw the curves of an agent's rows that have one and their scores, and return the mean."""
    curves = [(row, curve) for row in rows if (curve := row.learning_curve) is not None]
    start = max(curve.steps[0] for _, curve in curves)
    end = min(curve.steps[-1] for _, curve in curves)
    grid = np.linspace(start, end, MEAN_POINTS)
    for row, curve in curves:
        steps = np.array(curve.steps) / 1000
        axes.plot(steps, curve.returns, color=colour, alpha=0.3, linewidth=0.8)
        axes.plot(
            row.steps / 1000, row.score.mean, "D", color=colour, markersize=4, clip_on=False,
            markeredgecolor="white", markeredgewidth=0.4, zorder=3,
        )  # fmt: skip
    mean = np.mean([np.interp(grid, curve.steps, curve.returns) for _, curve in curves], axis=0)
    label = f"{agent} ({seeds_in_words(len(curves), len(rows))})"
    (line,) = axes.plot(grid / 1000, mean, color=colour, linewidth=width, label=label)
    return line


def seeds_in_words(curves: int, rows: int) -> str:
    """Return of how many of its seeds an agent's thick curve is."""
    known = str(rows) if curves == rows else f"{curves} of {rows}"
    return ("mean of " if curves > 1 else "") + f"{known} seed{'s' * (rows > 1)}"


def draw_references(axes: Axes, scores: Mapping[str, float | None]) -> None:
    """Draw a line at each score, and beside it one label where they are too near for two."""
    labels: dict[float, list[str]] = {}
    known = {name: score for name, score in scores.items() if score is not None}
    near = NEAR * (max(known.values()) - min(known.values()))
    for name, score in known.items():
        axes.axhline(score, color=BLACK, linewidth=0.7, linestyle=":")
        place = next((other for other in labels if abs(other - score) < near), score)
        labels.setdefault(place, []).append(name)
    for score, names in labels.items():
        axes.annotate(
            ",\n".join(names), (1.02, score), xycoords=("axes fraction", "data"),
            fontsize="x-small", ha="left", va="center", annotation_clip=False,
        )  # fmt: skip


def colours_of(agents: Iterable[str]) -> dict[str, str]:
    """Return a colour for each agent, the same in every panel of a figure."""
    return agent_colours({name: spikes(name) for name in agents})


def draw_figure(rows: Sequence[Row], name: str, tasks: Mapping[str, Sequence[str]]) -> None:
    """Write a figure of a panel for each task, unless no row has a curve for it."""
    shown = {env_id: curved(rows, agents, env_id) for env_id, agents in tasks.items()}
    if not any(shown.values()):
        return
    colours = colours_of(agent for agents in tasks.values() for agent in agents)
    height = HEIGHT + ENTRY_HEIGHT * (1 + max(map(len, shown.values())))
    figure = Figure(figsize=(WIDTH * len(tasks), height), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, (env_id, agents) in zip(panels, tasks.items(), strict=True):
        draw_task(axes, rows, env_id, agents, colours)
    panels[0].set_ylabel("mean return of training episodes")
    save(figure, IMAGES / name, ["png"])


def draw_raster_picture(rows: Sequence[Row]) -> None:
    """Write the raster of a trained agent of the table, and its learning curve."""
    agents = (RASTER_AGENT, "ppo-mlp")
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    draw_raster(left)
    draw_task(right, rows, RASTER_TASK, agents, colours_of(agents))
    right.set_ylabel("mean return of training episodes")
    save(figure, IMAGES / f"{RASTER_AGENT}-cartpole", ["png"])


def draw_raster(axes: Axes) -> None:
    """Draw the spikes of a trained policy, layer above layer, one row for each neuron."""
    policy = snn_gym.load_pretrained(RASTER_AGENT, RASTER_TASK, leaderboard=BOARD).policy
    env = make_task(RASTER_TASK)
    trace = record_episode(policy, env, FIRST_EVALUATION_SEED, RASTER_DECISIONS)
    colours = layer_colours([layer.name for layer in trace.layers])
    offset = 0
    for layer in trace.layers:
        steps, neurons = np.nonzero(layer.spikes)
        axes.scatter(
            trace.times_ms[steps], offset + neurons, s=2.0, c=colours[layer.name], linewidths=0
        )
        size = layer.spikes.shape[1]
        axes.text(1.005, offset + size / 2, layer.name, transform=axes.get_yaxis_transform(),
                  rotation=270, va="center", color=colours[layer.name])  # fmt: skip
        offset += size
    start = "goes on from" if trace.stateful else "resets"
    axes.set(
        title=f"Spikes of {RASTER_AGENT} over {trace.decisions} decisions",
        xlabel=f"network time (ms); state {start} every {trace.decision_ms:g} ms",
        ylabel="neuron",
        xlim=(0, trace.decisions * trace.decision_ms),
        ylim=(-1, offset),
    )


def main() -> None:
    """Write the figures that rows have curves for."""
    rows = list_rows(BOARD)
    with style():
        draw_raster_picture(rows)
        draw_figure(rows, "learning-curves", GUIDE_TASKS)
        for card in CARDS:
            draw_figure(rows, f"{card}-curves", {f"snn/{card}": CARD_AGENTS})


if __name__ == "__main__":
    main()
