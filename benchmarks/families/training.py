"""Forward and backward: beside other libraries, and over the dense floor of the products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import floor
from benchmarks.agents import Agent, default_agent, lean_agent
from benchmarks.families.acting import FLOOR, all_peers, plain_forward
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, costs, faster
from benchmarks.networks import INPUTS, at_activity, with_time_steps
from benchmarks.peers import COMPILED_NAMES, PEER_NAMES, forward_backward, hidden_linears
from benchmarks.timing import race
from snn_gym.spiking import NetworkConfig, SpikingNetwork

BATCH = 256
OURS = "forward"
_LOW_SHARE = 0.02
DEEP = 16


_Make = Callable[[Effort, int, int], tuple[SpikingNetwork, Tensor]]
"""Makes a network of a width and number of time steps, and inputs."""


@dataclass(frozen=True)
class _Case:
    """A network that learns."""

    name: str
    words: str
    width: int
    time_steps: int
    make: _Make
    peers: bool = True
    layers: int = 2


def _trained(agent: Callable[[int, Path], Agent]) -> _Make:
    def make(effort: Effort, width: int, time_steps: int) -> tuple[SpikingNetwork, Tensor]:
        found = agent(width, effort.scratch)
        return with_time_steps(found.network, time_steps), found.inputs(BATCH)

    return make


def _seldom(_: Effort, width: int, time_steps: int) -> tuple[SpikingNetwork, Tensor]:
    return at_activity((width, width), time_steps, BATCH, _LOW_SHARE)


def _deep(_: Effort, width: int, time_steps: int) -> tuple[SpikingNetwork, Tensor]:
    """Return the network of ``ppo-lif-deep`` before training."""
    torch.manual_seed(0)
    sizes = (width,) * DEEP
    config = NetworkConfig(hidden_sizes=sizes, time_steps=time_steps, initial_weights="relay")
    return SpikingNetwork(config, INPUTS), torch.randn(BATCH, INPUTS)


def activity(network: SpikingNetwork, x: Tensor) -> str:
    """Return a note on how often the neurons of a network fire for inputs (B, I)."""
    recorded = network.record(x).layers
    shares = [f"{100 * float(layer.spikes.detach().mean()):.2g} %" for layer in recorded]
    return f"{' and '.join(shares)} of its layers' neurons fire at a time step."


_CASES = (
    _Case("training-64-T8", "default agent, 64-64, T = 8", 64, 8, _trained(default_agent)),
    _Case("training-256-T16", "default agent, 256-256, T = 16", 256, 16, _trained(default_agent)),
    _Case("training-2%-256-T16", "2 % active, 256-256, T = 16", 256, 16, _seldom),
    _Case(
        "training-256-T8", "default agent, 256-256, T = 8", 256, 8, _trained(default_agent), False
    ),
    _Case(
        "training-lean-256-T8", "lean agent, 256-256, T = 8", 256, 8, _trained(lean_agent), False
    ),
    _Case("training-deep-64-T8", f"{DEEP} layers of 64, T = 8", 64, 8, _deep, layers=DEEP),
)
_PROMISED: dict[str, tuple[float | None, float | None]] = {
    "training-64-T8": (4.0, 8.0),
    "training-256-T16": (2.0, 4.0),
    "training-2%-256-T16": (6.0, 15.0),
}
_PROMISED_OVER_FLOOR: dict[str, tuple[float | None, float | None]] = {
    "training-256-T8": (1.5, 1.0),
    "training-lean-256-T8": (0.6, 0.2),
}


def _run(case: _Case) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        network, x = case.make(effort, case.width, case.time_steps)
        linears = hidden_linears(network)
        peers, missing = all_peers(network, x, effort) if case.peers else ({}, {})
        forwards = {OURS: plain_forward(network), **peers}
        contenders = {
            name: forward_backward(linears, forward, x) for name, forward in forwards.items()
        }
        sizes = (INPUTS, *(case.width,) * case.layers)
        contenders[FLOOR] = floor.training_products(sizes, case.time_steps, BATCH)
        return Readings(
            race(contenders, effort.seconds), missing=missing, notes=(activity(network, x),)
        )

    return run


def _measurements(case: _Case) -> list[Measurement]:
    timed = f"forward and backward, {case.words}, batch {BATCH}"
    bar, stretch = _PROMISED_OVER_FLOOR.get(case.name, (None, None))
    over = Measurement(
        f"{case.name}-floor",
        case.name,
        timed,
        "the dense floor of its products",
        "×",
        costs(OURS, FLOOR),
        bar,
        stretch,
        at_least=False,
    )
    if not case.peers:
        return [over]
    eager = Measurement(
        f"{case.name}-eager",
        case.name,
        timed,
        "the best of Norse, SpikingJelly and snnTorch",
        "×",
        faster(OURS, *PEER_NAMES),
        *_PROMISED.get(case.name, (None, None)),
    )
    compiled = Measurement(
        f"{case.name}-compiled",
        case.name,
        timed,
        "the best of the three under torch.compile",
        "×",
        faster(OURS, *COMPILED_NAMES),
    )
    return [eager, compiled, over]


EXPERIMENTS = tuple(
    Experiment(case.name, f"Forward and backward, {case.words}, batch {BATCH}", _run(case))
    for case in _CASES
)
MEASUREMENTS = tuple(found for case in _CASES for found in _measurements(case))
