"""Spiking convolutions over planes of MinAtar, beside other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

import snn_gym  # noqa: F401 - registers the ids
from benchmarks.families.acting import all_peers, plain_forward, without_gradient
from benchmarks.families.training import activity
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from benchmarks.peers import PEER_NAMES, forward_backward, hidden_linears
from benchmarks.timing import race
from snn_gym.spiking import NetworkConfig, SpikingNetwork

OURS = "forward"
_ENV_ID = "snn/MinAtar-Breakout-v0"
_SETTINGS: dict[str, Any] = {
    "planes": (4, 10, 10),
    "convolutions": [{"filters": 16, "kernel": 3}],
    "hidden_sizes": (128,),
    "time_steps": 4,
}
_PLAYED = 30
"""Random environment steps before the planes are taken."""


@dataclass(frozen=True)
class _Case:
    batch: int
    learns: bool
    promised: float

    @property
    def name(self) -> str:
        return f"convolution-{'training' if self.learns else 'acting'}-{self.batch}"

    @property
    def words(self) -> str:
        passes = "forward and backward" if self.learns else "forward"
        return f"{passes}, 16 filters of 3 x 3, then 128, T = 4, batch {self.batch}"


_CASES = tuple(
    _Case(batch, learns, promised)
    for batch, promised in ((1, 2.0), (256, 1.0))
    for learns in (False, True)
)


def seen_planes(batch: int) -> Tensor:
    """Return planes (batch, 400) of games that have been played at random."""
    game: Any = gym.make_vec(_ENV_ID, batch)
    planes, _ = game.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(_PLAYED):
        planes, *_ = game.step(rng.integers(game.single_action_space.n, size=batch))
    return torch.from_numpy(planes).flatten(1).float()


def _run(case: _Case) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        torch.manual_seed(0)
        network = SpikingNetwork(NetworkConfig.from_dict(_SETTINGS), 400)
        x = seen_planes(case.batch)
        peers, missing = all_peers(network, x, effort, compile_too=False)
        forwards = {OURS: plain_forward(network), **peers}
        linears = hidden_linears(network)
        contenders = {
            name: forward_backward(linears, forward, x)
            if case.learns
            else without_gradient(forward, x)
            for name, forward in forwards.items()
        }
        samples = race(contenders, effort.seconds)
        return Readings(samples, missing=missing, notes=(activity(network, x),))

    return run


EXPERIMENTS = tuple(Experiment(x.name, x.words.capitalize(), _run(x)) for x in _CASES)
MEASUREMENTS = tuple(
    Measurement(
        x.name,
        x.name,
        x.words,
        "the best of Norse, SpikingJelly and snnTorch",
        "×",
        faster(OURS, *PEER_NAMES),
        x.promised,
    )
    for x in _CASES
)
