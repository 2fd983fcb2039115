"""Places of the tasks on the map: memory, input width and sparsity of events."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from snn_gym.leaderboard.table import mean_known
from studies.pays.contenders import Field


class Place(NamedTuple):
    """What a task asks for, by its settings."""

    memory: int
    """Decisions from the first input that counts to the decision that needs it, at most."""
    width: int
    """Values or channels of an observation."""


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "CartPole-v1": Place(0, 4),
        "Acrobot-v1": Place(0, 6),
        "MountainCar-v0": Place(0, 2),
        "Pendulum-v1": Place(0, 3),
        "LunarLander-v3": Place(0, 8),
        "LunarLanderContinuous-v3": Place(0, 8),
        "snn/CueAccumulation-v0": Place(8, 40),
        "snn/DelayedMatchToSample-v0": Place(4, 40),
        "snn/IntervalTiming-v0": Place(6, 40),
        "snn/WaterMaze-v0": Place(48, 44),
        "snn/CueAccumulation-silent-v0": Place(206, 40),
        "snn/DelayedMatchToSample-silent-v0": Place(202, 40),
        "snn/IntervalTiming-silent-v0": Place(200, 40),
        "snn/Recall-v0": Place(15, 16),
    }
)
"""Place of every task of the page."""


def events(field: Field) -> float | None:
    """Return the input events of a decision: spikes, or all values of an analogue observation.

    None while no ANN's row has counted the spikes.
    """
    if not PLACES[field.task].memory:
        return float(PLACES[field.task].width)
    # Of an ANN only the input spikes.
    counted = [x.row.spikes_per_decision for x in field.contenders if not x.row.spiking]
    return mean_known(counted)
