"""Draw learning curves from finished runs of ``make results``.

    python docs/draw_curves.py [FOLDER OF RUNS]

A figure has a panel for each task: the training returns of every seed and, thicker, their median.
Figures of whose tasks there are no runs stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from snn_gym.registry import load_environment_spec

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WINDOW = 50
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
    "MaskedCartPole-v1",
)
"""Cards with a figure each."""
CARD_AGENTS = ("recurrent-ppo-lsnn", "recurrent-ppo-gru", "ppo-lif")
"""Agents in them, where there are runs."""
COLUMNS = 3
WIDTH = 4.4
"""Width of a panel (inches)."""
COLOURS = {
    "ppo-lif": "#c2410c",
    "ppo-mlp": "#475569",
    "sac-lif": "#0f766e",
    "sac-mlp": "#6d28d9",
    "recurrent-ppo-lsnn": "#1d4ed8",
    "recurrent-ppo-gru": "#64748b",
}
REFERENCES = ("random", "memoryless", "oracle")
NEAR = 0.05
"""Share of the scale below which two labels would cover each other."""


def training_curve(run: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return environment steps and the mean return of the last ``WINDOW`` training episodes."""
    timesteps, returns, _ = np.loadtxt(run / "episodes.csv", delimiter=",", skiprows=1).T
    # At the start the mean is over the episodes there are.
    sums = np.cumsum(np.concatenate([np.zeros(1), returns]))
    last = np.arange(1, len(sums))
    first = np.maximum(last - WINDOW, 0)
    return timesteps, (sums[last] - sums[first]) / (last - first)


def finished_runs(runs_folder: Path, agent: str, env_id: str) -> list[Path]:
    """Return the folders of an agent's finished runs on a task: those with a manifest."""
    pattern = f"{agent}/{env_id.replace('/', '__')}/*/manifest.json"
    return sorted(path.parent for path in runs_folder.glob(pattern))


def draw_task(axes: Axes, runs_folder: Path, env_id: str, agents: tuple[str, ...]) -> None:
    """Draw every seed's curve of each agent on a task, and the median over seeds."""
    for agent in agents:
        runs = finished_runs(runs_folder, agent, env_id)
        if not runs:
            continue
        curves = [training_curve(run) for run in runs]
        start = max(steps[0] for steps, _ in curves)
        end = min(steps[-1] for steps, _ in curves)
        grid = np.linspace(start, end, 300)
        returns = np.stack([np.interp(grid, *curve) for curve in curves])
        axes.plot(grid / 1000, returns.T, color=COLOURS[agent], alpha=0.25, linewidth=0.8)
        label = f"{agent} (median of {len(runs)} seeds)"
        axes.plot(grid / 1000, np.median(returns, axis=0), color=COLOURS[agent], label=label)
    reference = load_environment_spec(env_id).reference
    if reference.oracle is not None:
        draw_references(axes, {name: getattr(reference, name) for name in REFERENCES})
    axes.set(title=env_id, xlabel="environment steps (thousands)")
    axes.legend(loc="best", frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


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
    """Write a figure, unless there are no runs for it."""
    if not any(finished_runs(runs_folder, agent, x) for x, y in tasks.items() for agent in y):
        return
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    size = (WIDTH * columns, 3.8 * rows)
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axes, (env_id, agents) in zip(panels.flat, tasks.items(), strict=True):
        draw_task(axes, runs_folder, env_id, agents)
    for axes in panels[:, 0]:
        axes.set_ylabel(f"return, mean of {WINDOW} training episodes")
    figure.tight_layout()
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=110)


def main() -> None:
    """Write the figures that there are runs for."""
    runs_folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "results"
    draw_figure(runs_folder, "learning-curves", README_TASKS)
    for card in CARDS:
        draw_figure(runs_folder, f"{card}-curves", {f"snn/{card}": CARD_AGENTS})


if __name__ == "__main__":
    main()
