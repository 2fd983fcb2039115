"""Draw the README's picture from finished runs of ``make results``.

    python docs/draw_readme_picture.py

Left: every spike of a trained ``ppo-lif`` (CartPole-v1, seed 0) over 25 consecutive decisions.
Right: training returns of all its seeds beside its ANN twin's.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

import snn_gym

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "results"
TARGET = ROOT / "docs" / "images" / "ppo-lif-cartpole.png"
DECISIONS = 25
COLOURS = {"ppo-lif": "#c2410c", "ppo-mlp": "#475569"}


def observations() -> NDArray[np.float32]:
    """Return what a trained agent sees in its first decisions, (decisions, 4)."""
    model = snn_gym.load_agent(RUNS / "ppo-lif" / "CartPole-v1" / "0")
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=2_000_000_000)
    seen = []
    for _ in range(DECISIONS):
        seen.append(observation)
        action, _ = model.predict(observation, deterministic=True)
        observation, *_ = env.step(action)
    return np.stack(seen)


def draw_raster(axes: Axes) -> None:
    """Draw the spikes of both hidden layers, one row for each neuron."""
    model = snn_gym.load_agent(RUNS / "ppo-lif" / "CartPole-v1" / "0")
    recording = model.policy.record(observations())  # type: ignore[operator]
    offset = 0
    for layer, colour in zip(recording.layers, ("#0f766e", "#c2410c"), strict=True):
        time_steps, _, neurons = layer.spikes.shape
        steps, decisions, indices = np.nonzero(layer.spikes.numpy())
        # The decisions follow each other in time: T time steps of 1 ms each
        axes.scatter(
            decisions * time_steps + steps, offset + indices, s=2.0, c=colour, linewidths=0
        )
        axes.text(
            DECISIONS * time_steps + 3, offset + neurons / 2, layer.name, rotation=270, va="center"
        )
        offset += neurons
    axes.set(
        title="Spikes of ppo-lif over 25 decisions",
        xlabel="network time (ms); state resets every 8 ms",
        ylabel="neuron",
        xlim=(-1, DECISIONS * 8),
        ylim=(-1, offset),
    )


def training_curve(run: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return environment steps and the mean return of the last 20 training episodes."""
    timesteps, returns, _ = np.loadtxt(run / "episodes.csv", delimiter=",", skiprows=1).T
    return timesteps[19:], np.convolve(returns, np.full(20, 1 / 20), mode="valid")


def draw_curves(axes: Axes) -> None:
    """Draw each seed's training returns, the median over seeds thicker."""
    grid = np.linspace(5_000, 100_000, 200)
    for agent, colour in COLOURS.items():
        # A manifest is what a finished run has.
        runs = sorted(file.parent for file in RUNS.glob(f"{agent}/CartPole-v1/*/manifest.json"))
        curves = np.stack([np.interp(grid, *training_curve(run)) for run in runs])
        axes.plot(grid / 1000, curves.T, color=colour, alpha=0.25, linewidth=0.8)
        label = f"{agent} (median of {len(runs)} seeds)"
        axes.plot(grid / 1000, np.median(curves, axis=0), color=colour, linewidth=2, label=label)
    axes.set(
        title="Learning CartPole-v1",
        xlabel="environment steps (thousands)",
        ylabel="return, mean of 20 training episodes",
        ylim=(0, 510),
    )
    axes.legend(loc="lower right", frameon=False)


def main() -> None:
    """Write the picture."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1.4, 1))
    draw_raster(left)
    draw_curves(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=130)


if __name__ == "__main__":
    main()
