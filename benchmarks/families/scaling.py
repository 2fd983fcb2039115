"""How cost grows with time steps, neurons, batch and environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.families.acting import plain_forward, without_gradient
from benchmarks.families.environments import stepper
from benchmarks.machine import this_machine
from benchmarks.measurement import Curve, Effort, Experiment, Measurement, Readings, measured
from benchmarks.networks import at_activity
from benchmarks.peers import forward_backward, hidden_linears
from benchmarks.timing import Run, race
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.spiking import SpikingNetwork

SHARE = 0.1
"""Share of the neurons that fire at a time step."""
ACTING, TRAINING, STEPPING = "acting", "forward and backward", "stepping"
_POINT_SHARE = 0.08
"""Time of a point, in units of that of a race."""
_BAR = 1.1
_THREADS = (1, 2, 4, 8)
_THREADED = ((64, 8), (64, 256), (256, 256), (1024, 256))


def slope(curve: Curve) -> float:
    """Return the exponent of the power law that fits a curve best, by least squares of logs."""
    exponent: float = np.polyfit(np.log(curve.x), np.log(curve.y), 1)[0]
    return float(exponent)


def upper_half(curve: Curve) -> Curve:
    """Return the points of a curve from its middle on, at least two."""
    start = min(len(curve.x) // 2, len(curve.x) - 2)
    return Curve(curve.x[start:], curve.y[start:])


def _passes(sizes: tuple[int, ...], time_steps: int, batch: int) -> dict[str, Run]:
    network, x = at_activity(sizes, time_steps, batch, SHARE)
    return _acting_and_training(network, x)


def _acting_and_training(network: SpikingNetwork, x: Tensor) -> dict[str, Run]:
    forward = plain_forward(network)
    return {
        ACTING: without_gradient(forward, x),
        TRAINING: forward_backward(hidden_linears(network), forward, x),
    }


def _stepping(environments: int) -> dict[str, Run]:
    return {STEPPING: stepper(BATCHED_TASKS["CartPole-v1"](environments), 8)}


@dataclass(frozen=True)
class _Case:
    name: str
    title: str
    axis: str
    points: Sequence[int]
    make: Callable[[int], Mapping[str, Run]]
    x: Callable[[int], int] = int
    kinds: tuple[str, ...] = (ACTING, TRAINING)


def _powers(low: int, high: int) -> tuple[int, ...]:
    return tuple(2**k for k in range(low, high + 1))


CASES = (
    _Case(
        "scaling-T",
        "Cost over T, 64-64, batch 64",
        "time steps T",
        _powers(0, 6),
        # At few time steps a tenth of the neurons must fire within them.
        lambda steps: _passes((64, 64), steps, 64),
    ),
    _Case(
        "scaling-H",
        "Cost over H, one layer, T = 8, batch 64",
        "neurons H of one layer",
        _powers(6, 11),
        lambda neurons: _passes((neurons,), 8, 64),
    ),
    _Case(
        "scaling-synapses",
        "Cost over the synapses of H-H, T = 8, batch 8",
        "synapses of H-H, H = 64 to 2,048",
        _powers(6, 11),
        lambda neurons: _passes((neurons, neurons), 8, 8),
        lambda neurons: neurons * (neurons + 4),
    ),
    _Case(
        "scaling-batch",
        "Cost over the batch, 64-64, T = 8",
        "batch",
        _powers(0, 10),
        lambda batch: _passes((64, 64), 8, batch),
    ),
    _Case(
        "scaling-environments",
        "Cost over environments, CartPole-v1",
        "environments",
        (1, 10, 100, 1_000, 10_000, 100_000),
        _stepping,
        kinds=(STEPPING,),
    ),
)


def _run(case: _Case) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        ys: dict[str, list[float]] = {kind: [] for kind in case.kinds}
        for point in case.points:
            samples = race(case.make(point), _POINT_SHARE * effort.seconds, effort.least_rounds)
            for kind, times in samples.items():
                ys[kind].append(median(times))
        xs = tuple(float(case.x(point)) for point in case.points)
        curves = {kind: Curve(xs, tuple(y)) for kind, y in ys.items()}
        slopes = {}
        for kind, curve in curves.items():
            slopes[f"slope, {kind}"] = (slope(upper_half(curve)),)
            slopes[f"slope of all points, {kind}"] = (slope(curve),)
        note = "The bar is on the slope of the upper half, where the fixed cost of a call is small."
        return Readings(values=slopes, curves=curves, notes=(note,))

    return run


def _threads(effort: Effort) -> Readings:
    """Race the same passes on one thread and on more, up to all cores."""
    counts = [count for count in _THREADS if count <= this_machine().cores]
    contenders: dict[str, Run] = {}
    for width, batch in _THREADED:
        for kind, run in _passes((width, width), 8, batch).items():
            for count in counts:
                name = f"{kind}, {width}-{width}, batch {batch:,}, threads: {count}"
                contenders[name] = _on_threads(run, count)
    try:
        samples = race(contenders, 2 * effort.seconds)
    finally:
        torch.set_num_threads(1)
    note = f"{len(counts)} numbers of PyTorch threads; our kernels always use one."
    return Readings(samples, notes=(note,))


def _on_threads(run: Run, count: int) -> Run:
    def on_threads() -> None:
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)
        run()

    return on_threads


EXPERIMENTS = (
    *(Experiment(case.name, case.title, _run(case)) for case in CASES),
    Experiment("threads", "PyTorch's threads", _threads, quick=False),
)
MEASUREMENTS = tuple(
    Measurement(
        f"{case.name}-{kind}",
        case.name,
        f"log-log slope of {kind} over {case.axis}",
        "",
        "",
        measured(f"slope, {kind}"),
        _BAR,
        at_least=False,
    )
    for case in CASES
    for kind in case.kinds
)
