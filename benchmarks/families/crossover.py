"""From which activity on spikes cost more than dense products, and than an MLP."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from benchmarks import floor
from benchmarks.families.acting import plain_forward, without_gradient
from benchmarks.measurement import Curve, Effort, Experiment, Measurement, Readings, measured
from benchmarks.networks import INPUTS, at_activity
from benchmarks.peers import forward_backward, hidden_linears
from benchmarks.timing import Run, race

TIME_STEPS = 8
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
WIDTHS = (64, 128, 256, 512, 1024)
ACTIONS = 2
PRODUCTS, TRAINING, MODULE, ONE_CALL = (
    "dense products",
    "training products",
    "MLP, PyTorch",
    "MLP, one call",
)
_POINT_SHARE = 0.08
_OURS, _LEARNING = "ours", "ours, training"


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(INPUTS, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, ACTIONS),
    )


def _contenders(width: int, batch: int, share: float) -> dict[str, Run]:
    network, x = at_activity((width, width), TIME_STEPS, batch, share)
    forward, sizes = plain_forward(network), (INPUTS, width, width)
    torch.manual_seed(0)
    mlp = _mlp(width)
    one_call = floor.compiled_mlp([layer for layer in mlp if isinstance(layer, nn.Linear)])
    observations = x.numpy()
    contenders = {
        _OURS: without_gradient(forward, x),
        PRODUCTS: floor.products(sizes, TIME_STEPS, batch),
        MODULE: without_gradient(mlp, x),
        ONE_CALL: lambda: one_call.outputs(observations),
    }
    if batch > 1:
        contenders[_LEARNING] = forward_backward(hidden_linears(network), forward, x)
        contenders[TRAINING] = floor.training_products(sizes, TIME_STEPS, batch)
    return contenders


def crossing(curve: Curve) -> float:
    """Return the least activity (%) from which the curve stays above 1; 100 if it never does."""
    below = [x for x, y in zip(curve.x, curve.y, strict=True) if y <= 1.0]
    return max(below, default=0.0)


def _run(batch: int) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        curves: dict[str, Curve] = {}
        widths, shares = (WIDTHS[::2], SHARES[::3]) if effort.quick else (WIDTHS, SHARES)
        for width in widths:
            over: dict[str, list[float]] = {}
            for share in shares:
                contenders = _contenders(width, batch, share)
                samples = race(contenders, _POINT_SHARE * effort.seconds, effort.least_rounds)
                for floor_name in samples.keys() - {_OURS, _LEARNING}:
                    ours = _LEARNING if floor_name == TRAINING else _OURS
                    pairs = zip(samples[ours], samples[floor_name], strict=True)
                    over.setdefault(floor_name, []).append(median(a / b for a, b in pairs))
            percent = tuple(100 * share for share in shares)
            for floor_name in sorted(over):
                curves[f"{floor_name}, {width}"] = Curve(percent, tuple(over[floor_name]))
        values = {f"up to, over {name}": (crossing(curve),) for name, curve in curves.items()}
        note = (
            "Time of our `forward` divided by the other's, against the share of neurons that fire "
            "at a time step. The table shows the largest measured activity (%) at which ours takes "
            "no longer, 0 for none."
        )
        return Readings(values=values, curves=curves, notes=(note,))

    return run


EXPERIMENTS = tuple(
    Experiment(f"crossover-batch-{batch}", f"Crossover by activity, H-H, T = 8, batch {batch}",
               _run(batch))
    for batch in (1, 64)
)  # fmt: skip
MEASUREMENTS = tuple(
    Measurement(
        f"{experiment.name}-{width}",
        experiment.name,
        f"largest activity at which `forward` takes no longer, {width}-{width}",
        PRODUCTS,
        "%",
        measured(f"up to, over {PRODUCTS}, {width}"),
    )
    for experiment in EXPERIMENTS
    for width in WIDTHS
)
