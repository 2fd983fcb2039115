"""What agents of the results table earn with faults, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from snn_gym.policies.protocols import Acting
from snn_gym.scoring.evaluation import evaluate
from snn_gym.scoring.faults import AbsentPartError, Faults, with_faults
from snn_gym.scoring.found import FaultMeans

FAULTS: Mapping[str, Faults] = {
    "observation_noise": Faults(observation_noise=0.1),
    "spike_loss": Faults(spike_loss=0.1),
    "dead_neurons": Faults(dead_neurons=0.1),
    "weights_8_bits": Faults(weights_bits=8),
    "weights_4_bits": Faults(weights_bits=4),
}
"""The faults of the results table, by the names of `FaultMeans`."""


def play_with_faults(policy: Acting, env_id: str, seeds: Sequence[int], seed: int) -> FaultMeans:
    """Play an agent with each fault of the results table.

    Args:
        policy: A policy of snn_gym; it stays as it is.
        env_id: Gymnasium id.
        seeds: Seed of each episode.
        seed: Seed of what the faults draw.

    Returns:
        Mean returns.

    Raises:
        ValueError: As in ``evaluate``.
    """
    means = {
        name: _mean(policy, env_id, seeds, replace(faults, seed=seed))
        for name, faults in FAULTS.items()
    }
    return FaultMeans(**means)


def _mean(policy: Acting, env_id: str, seeds: Sequence[int], faults: Faults) -> float | None:
    try:
        made: Any = with_faults(policy, faults)
    except AbsentPartError:
        return None
    # Without `record`, for what it costs is not asked.
    acting = SimpleNamespace(predict=made.predict, reseed_noise=made.reseed_noise)
    return evaluate(acting, env_id, seeds=seeds).mean
