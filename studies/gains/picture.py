"""Draw deep networks for their page: ``python -m studies.gains.picture``.

Above, what a network that fails and one that learns do to observations and gradients before
training; below, returns of the study's trainings against depth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import typer
from matplotlib.axes import Axes

from snn_gym.plots.style import GREY, new_figure, save, style, title
from snn_gym.spiking import Dynamics, NetworkConfig, SpikingNetwork, relative_gradients
from studies.gains.training import DEPTHS, STARTS, read

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "deep-networks"
LAYERS, SEEDS = 16, range(5)
COLOURS = dict(
    zip(
        STARTS,
        ("#D55E00", GREY, "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9"),
        strict=True,
    )
)
MEASURED = {"relay": "relay", "plain": "orthogonal"}
"""Initial weights of the measured networks, by their start."""
MEASURES = {
    "near_and_far": "Spikes that differ between near\nobservations, over distant ones",
    "relative_gradient": "Norm of the gradient,\nover that of the weights",
}


def measured(initial_weights: str, seed: int) -> dict[str, list[float]]:
    """Return the measures of each layer of a network before training.

    The first is how much the spikes of neighbours differ, a tenth of a standard deviation apart,
    over how much those of two random observations do; the second is the gradient of the squared
    outputs.
    """
    torch.manual_seed(seed)
    config = NetworkConfig(hidden_sizes=(64,) * LAYERS, initial_weights=initial_weights)  # type: ignore[arg-type]
    network = SpikingNetwork(config, 4, 2)
    far = torch.randn(512, 4)
    near = far + 0.1 * torch.randn(512, 4)
    one, other = network.record(far), network.record(near)
    apart = [
        float(((a.spikes != b.spikes).float().mean() / _differences(a.spikes)).detach())
        for a, b in zip(one.layers, other.layers, strict=True)
    ]
    network(far)[0].square().sum().backward()
    dynamics = Dynamics(one, network, gradients=relative_gradients(network))
    gradients = [dynamics.measure("relative_gradient", x).mean() for x in dynamics.layers]
    return {"near_and_far": apart, "relative_gradient": gradients}


def _differences(spikes: torch.Tensor) -> torch.Tensor:
    """Return the share of spikes that differ between decisions next to each other in a batch."""
    return (spikes != spikes.roll(1, dims=1)).float().mean()


def _draw_measure(axes: Axes, name: str) -> None:
    for start, initial_weights in MEASURED.items():
        for seed in SEEDS:
            values = measured(initial_weights, seed)[name]
            label = start if seed == SEEDS[0] else None
            axes.plot(range(1, LAYERS + 1), values, color=COLOURS[start], lw=0.9, label=label)
    axes.set(xlabel="layer", xticks=range(1, LAYERS + 1, 3))
    title(axes, MEASURES[name])


def _draw_returns(axes: Axes) -> None:
    for place, (start, colour) in enumerate(COLOURS.items()):
        shift = 0.11 * (place - (len(COLOURS) - 1) / 2)
        labelled = False
        for position, depth in enumerate(sorted(DEPTHS)):
            returns = [run.mean_return for run in read(f"depth/{depth}/{start}/")]
            if returns:
                label = None if labelled else start
                axes.plot([position + shift] * len(returns), returns, "o", color=colour, ms=4,
                          alpha=0.7, label=label)  # fmt: skip
                labelled = True
    axes.set(
        xlabel="layers",
        xticks=range(len(DEPTHS)),
        xticklabels=sorted(DEPTHS),
        xlim=(-0.6, len(DEPTHS) - 0.4),
    )
    axes.set_ylim(0, 515)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    title(axes, "Returns on CartPole-v1 after 100,000 steps, a point for each seed")


def main() -> None:
    """Draw the picture."""
    with style():
        figure = new_figure(7.5, 5.0)
        parts: Any = figure.subfigures(2, 1)
        upper, lower = parts
        for axes, name in zip(upper.subplots(1, 2), MEASURES, strict=True):
            _draw_measure(axes, name)
            if name == "relative_gradient":
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, 1.1)
                axes.legend(loc="center right")
        _draw_returns(lower.subplots())
        (path,) = save(figure, PICTURE, ["png"])
    typer.echo(f"wrote {path.name}")


if __name__ == "__main__":
    typer.run(main)
