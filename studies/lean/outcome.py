"""Outcome of a training of the study, by task, arm and seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snn_gym._base.config import Config
from studies.runs import Runs


@dataclass(frozen=True)
class Outcome(Config):
    """Course and result of an arm."""

    task: str
    """Gymnasium id."""
    arm: str
    """Name of the arm."""
    seed: int
    """Seed of everything random."""
    agent: str
    """Agent of the zoo whose hyper-parameters were used."""
    steps: int
    """Environment steps of the whole training."""
    branched_at: int
    """Environment steps of the checkpoint that the arm was trained from; 0 for the start."""
    settings: dict[str, Any]
    """Settings of ``LeanParameters`` that are not the default."""
    begun_at: float | None
    """Share of the training after which learning was found to be over."""
    last_bound: float | None
    """Bound at the end."""
    mean: float
    """Mean return of the public evaluation episodes."""
    synops: dict[str, float]
    """Synaptic operations of a decision, by layer."""
    macs: float
    """Multiply-accumulates of a decision."""
    neuron_updates: float
    """Updates of neurons in a decision."""
    seconds: float
    """CPU time of the training since ``branched_at`` (s)."""
    version: str
    """Version of the package."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of the network that replace the agent's."""
    frozen_mean: float | None = None
    """Mean return, in the same episodes, of the policy when learning was found to be over; of
    ``lean`` alone."""

    @property
    def hidden_synops(self) -> float:
        """Synaptic operations of hidden spikes."""
        return sum(value for layer, value in self.synops.items() if layer != "input")

    @property
    def log_synops(self) -> float:
        """Logarithm of that; none counts as one."""
        return math.log(max(1.0, self.hidden_synops))

    @property
    def input_synops(self) -> float:
        """Synaptic operations of the spikes that the environment shows; 0 where it shows none."""
        return self.synops.get("input", 0.0)

    @property
    def operations(self) -> float:
        """Synaptic operations of hidden spikes, multiply-accumulates and neuron updates."""
        return self.hidden_synops + self.macs + self.neuron_updates


Outcomes = Mapping[tuple[str, str], Mapping[int, Outcome]]
"""Outcomes by seed, by task and arm."""


def read_outcomes(runs: Runs) -> Outcomes:
    """Read all outcomes of a table."""
    outcomes: dict[tuple[str, str], dict[int, Outcome]] = {}
    for outcome in runs.read(Outcome):
        outcomes.setdefault((outcome.task, outcome.arm), {})[outcome.seed] = outcome
    return outcomes
