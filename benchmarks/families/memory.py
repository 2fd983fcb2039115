"""Memory that training holds between a forward pass and its gradients."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.families.acting import plain_forward
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, measured
from benchmarks.peers import Forward, build_peers
from snn_gym.spiking import NetworkConfig, SpikingNetwork

SIZES, TIME_STEPS = (64, 64), 8
BATCH = 32_768
"""So many that an array of a layer's spikes has 67 MB, which the allocator gives back at once."""
_PAGES = Path("/proc/self/statm")
_PEAK = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")
_NAME = "memory"


def _resident_bytes() -> int:
    return int(_PAGES.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak_bytes() -> int:
    lines = _PEAK.read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def bytes_of(forward: Forward, x: Tensor) -> tuple[float, float]:
    """Return bytes held for the gradients, and at the peak, for each neuron and time step."""
    numbers = len(x) * TIME_STEPS * sum(SIZES)
    gc.collect()
    _RESET_PEAK.write_text("5", encoding="ascii")  # see proc_pid_clear_refs(5)
    before = _resident_bytes()
    output = forward(x)
    held = _resident_bytes() - before
    output.square().sum().backward()  # type: ignore[no-untyped-call]
    peak = _peak_bytes() - before
    return held / numbers, peak / numbers


def _run(effort: Effort) -> Readings:
    if not _RESET_PEAK.exists():
        return Readings(missing={"memory": "resident memory is read from Linux's /proc"})
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(hidden_sizes=SIZES, time_steps=TIME_STEPS), 4)
    x = torch.randn(BATCH, 4)
    peers, missing = build_peers(network)
    values: dict[str, tuple[float, ...]] = {}
    for name, forward in {"ours": plain_forward(network), **peers}.items():
        bytes_of(forward, x[:64])  # the first call loads code, which is not the batch's
        repeats = [bytes_of(forward, x) for _ in range(1 if effort.quick else 3)]
        values[f"{name}, held"] = tuple(held for held, _ in repeats)
        values[f"{name}, peak"] = tuple(peak for _, peak in repeats)
    note = "Growth of resident memory: after the forward pass (held), and at its highest (peak)."
    return Readings(values=values, missing=missing, notes=(note,))


EXPERIMENTS = (
    Experiment(
        _NAME,
        f"Bytes of training for each neuron and time step, 64-64, T = 8, batch {BATCH:,}",
        _run,
    ),
)
MEASUREMENTS = tuple(
    Measurement(
        f"memory-{figure}",
        _NAME,
        f"training memory per neuron and time step, {figure}",
        "",
        "bytes",
        measured(f"ours, {figure}"),
        bar,
        stretch,
        at_least=False,
    )
    for figure, bar, stretch in (("held", 5.0, 2.0), ("peak", None, None))
)
