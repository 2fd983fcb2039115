"""Draw learning curves from finished runs of ``make results``.

    python docs/draw_curves.py [FOLDER OF RUNS]

One panel for each task: the training returns of every seed and, thicker, their median.
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

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "images" / "learning-curves.png"
WINDOW = 50
PANELS = {
    "MountainCar-v0": ("ppo-lif", "ppo-mlp"),
    "Pendulum-v1": ("sac-lif", "sac-mlp", "ppo-lif", "ppo-mlp"),
    "LunarLander-v3": ("ppo-lif", "ppo-mlp"),
}
COLOURS = {"ppo-lif": "#c2410c", "ppo-mlp": "#475569", "sac-lif": "#0f766e", "sac-mlp": "#6d28d9"}


def training_curve(run: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return environment steps and the mean return of the last ``WINDOW`` training episodes."""
    timesteps, returns, _ = np.loadtxt(run / "episodes.csv", delimiter=",", skiprows=1).T
    # At the start the mean is over the episodes there are.
    sums = np.cumsum(np.concatenate([np.zeros(1), returns]))
    last = np.arange(1, len(sums))
    first = np.maximum(last - WINDOW, 0)
    return timesteps, (sums[last] - sums[first]) / (last - first)


def draw_task(axes: Axes, runs_folder: Path, env_id: str, agents: tuple[str, ...]) -> None:
    """Draw every seed's curve of each agent on a task, and the median over seeds."""
    for agent in agents:
        # A manifest is what a finished run has.
        runs = sorted(x.parent for x in runs_folder.glob(f"{agent}/{env_id}/*/manifest.json"))
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
    axes.set(title=env_id, xlabel="environment steps (thousands)")
    axes.legend(loc="best", frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Write the picture."""
    runs_folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "results"
    figure, panels = plt.subplots(1, len(PANELS), figsize=(13, 3.8))
    for axes, (env_id, agents) in zip(panels, PANELS.items(), strict=True):
        draw_task(axes, runs_folder, env_id, agents)
    panels[0].set_ylabel(f"return, mean of {WINDOW} training episodes")
    figure.tight_layout()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=130)


if __name__ == "__main__":
    main()
