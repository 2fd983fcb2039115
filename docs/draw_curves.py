"""Draw learning curves, and the README's picture, from finished runs of ``make results``.

    python docs/draw_curves.py [FOLDER OF RUNS]

A figure has a panel for each task: the running mean of each seed's training returns, thicker the
mean over seeds, and a diamond for each seed's deterministic evaluation. Warm colours spike, cold
ones do not. Figures of whose tasks there are no runs stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import snn_gym
from snn_gym.plotting.curves import averaged_episodes, learning_curve
from snn_gym.plotting.episode import record_episode
from snn_gym.plotting.run import RASTER_DECISIONS, read_evaluations
from snn_gym.plotting.style import agent_colours, layer_colours, save, stacked_widths, style
from snn_gym.registry import load_environment_spec, make_task
from snn_gym.scoring.evaluation import FIRST_EVALUATION_SEED
from snn_gym.training.episodes import read_episodes
from snn_gym.training.run import EPISODES_FILE
from snn_gym.training.settings import acts_in_spikes
from snn_gym.zoo import load_agent_spec

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
README_TASKS = {
    "MountainCar-v0": ("ppo-lif", "ppo-mlp"),
    "Pendulum-v1": ("sac-lif", "sac-mlp", "ppo-lif", "ppo-mlp"),
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
"""Agents in them, where there are runs."""
RASTER_AGENT, RASTER_TASK = "ppo-lif", "CartPole-v1"
WIDTH = 4.4
"""Width of a panel (inches)."""
REFERENCES = ("random", "memoryless", "oracle")
NEAR = 0.05
"""Share of the scale below which two labels would cover each other."""


def finished_runs(runs_folder: Path, agent: str, env_id: str) -> list[Path]:
    """Return the folders of an agent's finished runs on a task: those with a manifest."""
    pattern = f"{agent}/{env_id.replace('/', '__')}/*/manifest.json"
    return sorted(path.parent for path in runs_folder.glob(pattern))


def draw_task(axes: Axes, runs_folder: Path, env_id: str, agents: tuple[str, ...]) -> None:
    """Draw every seed's curve and evaluation of each agent on a task, and the mean over seeds."""
    runs = {agent: finished_runs(runs_folder, agent, env_id) for agent in agents}
    spiking = {agent: acts_in_spikes(load_agent_spec(agent)) for agent in agents if runs[agent]}
    colours, widths = agent_colours(spiking), stacked_widths(len(spiking))
    # Spiking agents last: on top, and thinner.
    for agent, width in zip(sorted(spiking, key=spiking.__getitem__), widths, strict=True):
        draw_agent(axes, agent, runs[agent], colours[agent], width)
    reference = load_environment_spec(env_id).reference
    if reference.oracle is not None:
        draw_references(axes, {name: getattr(reference, name) for name in REFERENCES})
    axes.set(title=env_id, xlabel="environment steps (thousands)")
    axes.legend(loc="best")


def draw_agent(axes: Axes, agent: str, runs: list[Path], colour: str, width: float) -> None:
    """Draw the curves and evaluations of an agent's runs, and the mean over them."""
    curves = []
    for run in runs:
        timesteps, returns = read_episodes(run / EPISODES_FILE)
        curves.append(learning_curve(timesteps, returns, averaged_episodes(len(returns))))
        evaluations = read_evaluations(run)
        if evaluations is not None:
            steps, means = evaluations
            axes.plot(steps / 1000, means, "D", color=colour, markersize=4, clip_on=False)
    start, end = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = np.linspace(start, end, 300)
    returns = np.stack([np.interp(grid, *curve) for curve in curves])
    axes.plot(grid / 1000, returns.T, color=colour, alpha=0.3, linewidth=0.8)
    label = f"{agent} (mean of {len(runs)} seeds)"
    axes.plot(grid / 1000, returns.mean(axis=0), color=colour, linewidth=width, label=label)


def draw_references(axes: Axes, scores: dict[str, float | None]) -> None:
    """Draw a line at each score, and one label where they are too near for two."""
    labels: dict[float, list[str]] = {}
    known = {name: score for name, score in scores.items() if score is not None}
    near = NEAR * (max(known.values()) - min(known.values()))
    for name, score in known.items():
        axes.axhline(score, color="#111827", linewidth=0.7, linestyle=":")
        place = next((other for other in labels if abs(other - score) < near), score)
        labels.setdefault(place, []).append(name)
    for score, names in labels.items():
        axes.annotate(
            ", ".join(names), (1, score), xycoords=("axes fraction", "data"), fontsize="x-small",
            ha="right", va="bottom",
        )  # fmt: skip


def draw_figure(runs_folder: Path, name: str, tasks: dict[str, tuple[str, ...]]) -> None:
    """Write a figure of a panel for each task, unless there are no runs for it."""
    if not any(finished_runs(runs_folder, agent, x) for x, y in tasks.items() for agent in y):
        return
    figure = Figure(figsize=(WIDTH * len(tasks), 3.8), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, (env_id, agents) in zip(panels, tasks.items(), strict=True):
        draw_task(axes, runs_folder, env_id, agents)
    panels[0].set_ylabel("return, mean of 5 % of the episodes")
    save(figure, IMAGES / name, ["png"])


def draw_readme_picture(runs_folder: Path) -> None:
    """Write the README's first picture: a raster of a trained agent, and its learning curve."""
    runs = finished_runs(runs_folder, RASTER_AGENT, RASTER_TASK)
    if not runs:
        return
    figure = Figure(figsize=(11, 4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    draw_raster(left, runs[0])
    draw_task(right, runs_folder, RASTER_TASK, (RASTER_AGENT, "ppo-mlp"))
    right.set_ylabel("return, mean of 5 % of the episodes")
    save(figure, IMAGES / f"{RASTER_AGENT}-cartpole", ["png"])


def draw_raster(axes: Axes, run: Path) -> None:
    """Draw the spikes of a run's final policy, layer above layer, one row for each neuron."""
    policy = snn_gym.load_agent(run).policy
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
    """Write the figures that there are runs for."""
    runs_folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "results"
    IMAGES.mkdir(parents=True, exist_ok=True)
    with style():
        draw_readme_picture(runs_folder)
        draw_figure(runs_folder, "learning-curves", README_TASKS)
        for card in CARDS:
            draw_figure(runs_folder, f"{card}-curves", {f"snn/{card}": CARD_AGENTS})


if __name__ == "__main__":
    main()
