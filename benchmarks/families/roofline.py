"""Limits of the machine, and our passes below them."""

from __future__ import annotations

from statistics import median

import torch

from benchmarks import floor
from benchmarks.families.acting import plain_forward, without_gradient
from benchmarks.measurement import Curve, Effort, Experiment, Measurement, Readings, measured
from benchmarks.networks import INPUTS, at_activity
from benchmarks.peers import forward_backward, hidden_linears
from benchmarks.timing import Run, race

SHARE = 0.1
TIME_STEPS = 8
PRODUCT_RATE, BANDWIDTH = "product rate, GFLOP/s", "bandwidth, GB/s"
_SIDE = 1024
_COPIED_BYTES = 256 << 20
_UPDATE_OPERATIONS = 5
"""Of a neuron at a time step: move half of the way (3), compare, reset."""
_GIGA = 1e9
_NAME = "roofline"
_CASES = ((64, 1), (64, 256), (256, 1), (256, 256))


def _work(width: int, batch: int) -> tuple[float, float]:
    """Return operations and bytes of a decision as dense float32 arithmetic.

    Bytes are those that have to pass if nothing stays in a cache: inputs and weights once, and of
    each layer its currents and spikes, written and read.
    """
    sizes = (INPUTS, width, width)
    updates = 2 * width * TIME_STEPS * batch
    operations = 2 * floor.macs(sizes, TIME_STEPS, batch) + _UPDATE_OPERATIONS * updates
    weights = INPUTS * width + width * width
    return operations, 4.0 * (INPUTS * batch + weights + 4 * updates)


def _run(effort: Effort) -> Readings:
    left, right, out = (torch.randn(_SIDE, _SIDE) for _ in range(3))
    source = torch.ones(_COPIED_BYTES // 4)
    target = torch.zeros_like(source)
    machine: dict[str, Run] = {
        PRODUCT_RATE: lambda: torch.mm(left, right, out=out),
        BANDWIDTH: lambda: target.copy_(source),
    }
    samples = race(machine, effort.seconds)
    values = {
        PRODUCT_RATE: tuple(2 * _SIDE**3 / x / _GIGA for x in samples[PRODUCT_RATE]),
        BANDWIDTH: tuple(2 * _COPIED_BYTES / x / _GIGA for x in samples[BANDWIDTH]),
    }
    curves = {}
    for width, batch in _CASES:
        network, x = at_activity((width, width), TIME_STEPS, batch, SHARE)
        forward = plain_forward(network)
        # A backward pass has two products for each of the forward pass.
        for kind, run, factor in (
            ("acting", without_gradient(forward, x), 1),
            ("forward and backward", forward_backward(hidden_linears(network), forward, x), 3),
        ):
            operations, bytes_passed = _work(width, batch)
            seconds = median(race({kind: run}, effort.seconds / 4)[kind])
            rate = factor * operations / seconds / _GIGA
            curves[f"{kind}, {width}-{width}, batch {batch}"] = Curve(
                (operations / bytes_passed,), (rate,)
            )
    note = (
        f"Operations of dense products (T = 8, {SHARE:.0%} of the neurons fire at a time step) for "
        "each byte of inputs, weights, currents and spikes as float32, and operations per second."
    )
    return Readings(values=values, curves=curves, notes=(note,))


EXPERIMENTS = (Experiment(_NAME, "The machine, and our passes on it", _run),)
MEASUREMENTS = (
    Measurement(
        "product-rate", _NAME, f"`torch.mm`, side {_SIDE:,}", "", "GFLOP/s",
        measured(PRODUCT_RATE),
    ),
    Measurement("bandwidth", _NAME, "copy of 256 MiB", "", "GB/s", measured(BANDWIDTH)),
)  # fmt: skip
