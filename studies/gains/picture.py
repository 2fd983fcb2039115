"""Draw deep networks for their page: ``python -m studies.gains.picture``.

Above, observations and gradients in two networks before training; below, returns of the study's
trainings against depth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import typer
from matplotlib.axes import Axes
from torch import Tensor

from snn_gym.envs.registry import load_environment_spec
from snn_gym.plots.style import GREY, new_figure, save, style, title
from snn_gym.spiking import NetworkConfig, SpikingNetwork, relative_gradients
from snn_gym.spiking.network_config import InitialWeights
from studies.gains.training import DEPTHS, TABLE, Run
from studies.runs import Runs

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "deep-networks"
LAYERS, SEEDS = 16, range(5)
INITIAL_WEIGHTS: tuple[InitialWeights, ...] = "relay", "orthogonal"
COLOURS = {
    "relay": "#D55E00",
    "orthogonal": GREY,
    "flat surrogate": "#E69F00",
    "tanh": "#0072B2",
    "residual": "#009E73",
    "batch normalisation": "#CC79A7",
    "normalised gradients": "#56B4E9",
}


def measure_layers(initial_weights: InitialWeights, seed: int) -> tuple[list[float], list[float]]:
    """Return two measures of each layer of a network before training.

    The first is the share of spikes that differ between observations and the same ones with noise
    of standard deviation 0.1, over that of independent observations; the second the relative
    gradient of the summed squares of two outputs.
    """
    torch.manual_seed(seed)
    config = NetworkConfig(hidden_sizes=(64,) * LAYERS, initial_weights=initial_weights)
    network = SpikingNetwork(config, 4, 2)
    x = torch.randn(512, 4)
    recorded, disturbed = network.record(x), network.record(x + 0.1 * torch.randn(512, 4))
    ratios = [
        float(_differing(a.spikes, b.spikes) / _differing(a.spikes, a.spikes.roll(1, dims=1)))
        for a, b in zip(recorded.layers, disturbed.layers, strict=True)
    ]
    network(x)[0].square().sum().backward()
    return ratios, list(relative_gradients(network).values())


def _differing(one: Tensor, other: Tensor) -> Tensor:
    return (one != other).float().mean()


def _draw_measures(near: Axes, gradients: Axes) -> None:
    for initial_weights in INITIAL_WEIGHTS:
        for seed in SEEDS:
            label = initial_weights if seed == SEEDS[0] else None
            for axes, values in zip(
                (near, gradients), measure_layers(initial_weights, seed), strict=True
            ):
                places = range(1, LAYERS + 1)
                axes.plot(places, values, color=COLOURS[initial_weights], lw=0.9, label=label)
    for axes in (near, gradients):
        axes.set(xlabel="layer", xticks=range(1, LAYERS + 1, 3))
    near.set_ylim(0, 1.1)
    near.legend(loc="center right")
    gradients.set_yscale("log")
    title(near, "Spikes that differ between near\nobservations, over independent ones")
    title(gradients, "Norm of the gradient,\nover that of the weights")


def _draw_returns(axes: Axes) -> None:
    """Draw a point for each seed, beside each other where they are equal."""
    runs = Runs(TABLE)
    depths = [x for x in sorted(DEPTHS) if runs.names(f"depth/{x}/")]
    starts = [x for x in COLOURS if any(runs.names(f"depth/{depth}/{x}/") for depth in depths)]
    for place, start in enumerate(starts):
        points = [
            (position + (place - (len(starts) - 1) / 2 + (k - 4.5) / 13) * 0.8 / len(starts), x)
            for position, depth in enumerate(depths)
            for k, x in enumerate(runs.read(Run, f"depth/{depth}/{start}/"))
        ]
        axes.plot(
            [x for x, _ in points], [run.mean_return for _, run in points], "o",
            color=COLOURS[start], ms=3.5, alpha=0.8, label=start,
        )  # fmt: skip
    axes.axhline(load_environment_spec("CartPole-v1").reference.solved, color=GREY, lw=0.7, ls=":")
    axes.set(xlabel="layers", xticks=range(len(depths)), xticklabels=depths, ylabel="return")
    axes.set(xlim=(-0.6, len(depths) - 0.4), ylim=(0, 515))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    title(axes, "CartPole-v1 after 100,000 steps, a point for each seed; dotted: solved")


def main() -> None:
    """Draw the picture."""
    with style():
        figure = new_figure(7.5, 5.0)
        parts: Any = figure.subfigures(2, 1)
        _draw_measures(*parts[0].subplots(1, 2))
        _draw_returns(parts[1].subplots())
        (path,) = save(figure, PICTURE, ["png"])
    typer.echo(f"wrote {path.name}")


if __name__ == "__main__":
    typer.run(main)
