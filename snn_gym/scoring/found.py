"""What is found of a row after it was verified: by training again, on hidden seeds, with faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snn_gym.config import Config
from snn_gym.registry import ReferenceScores
from snn_gym.scoring.manifest import Date, LearningCurve, Score, Scores, Sha256
from snn_gym.zoo.recipe import Packages, Processor


@dataclass(frozen=True, kw_only=True)
class TrainedAgain(Config):
    """What training a row again by its recipe gave."""

    same: Literal["weights", "returns"]
    """What was the same: all weights, bit for bit, or, under other versions or on another
    processor, the mean return within the tolerance."""
    versions: Packages
    """Versions of the packages that trained it again."""
    processor: Processor
    """Kind of processor that did."""
    date: Date
    """When, UTC."""
    curve: LearningCurve | None = None
    """Its learning curve, if it gave the same weights and kept a log."""


@dataclass(frozen=True, kw_only=True)
class HiddenScore(Config):
    """What a row earned in episodes whose seeds are drawn with a maintainer's secret."""

    score: Scores
    """Returns and their aggregates, in the task's reward units."""
    digest: Sha256
    """What the seeds were drawn for: with the salt, it gives them again."""
    date: Date
    """When the episodes were played, UTC."""


@dataclass(frozen=True, kw_only=True)
class FaultMeans(Config):
    """Mean returns with one fault at a time, in the task's reward units.

    None for a fault of a part that the agent lacks. `snn_gym.scoring.reevaluation.FAULTS` has what
    is done to it.
    """

    observation_noise: Score | None
    """Noise of a tenth of a standard deviation on each value that it observes."""
    spike_loss: Score | None
    """One hidden spike in ten lost."""
    dead_neurons: Score | None
    """One hidden neuron or unit in ten dead."""
    weights_8_bits: Score | None
    """Weights of 8 bits."""
    weights_4_bits: Score | None
    """Weights of 4 bits."""


@dataclass(frozen=True, kw_only=True)
class Robustness(Config):
    """What a row's weights earned with faults, in the episodes of its score."""

    means: FaultMeans
    """Mean returns."""
    date: Date
    """When the episodes were played, UTC."""


LEAST_WAY = 0.1
"""Share of the way from random play to `solved` from which on it is said what an agent keeps: what
has learned next to nothing has nothing that a fault could take."""


def kept(reference: ReferenceScores, score: float, whole: float) -> float | None:
    """Return a score on the scale from random play (0) to another score (1).

    Args:
        reference: Scores of the task.
        score: What is left.
        whole: What it was before.

    Returns:
        The share; None where less than `LEAST_WAY` was there.
    """
    if whole < reference.random + reference.loss(LEAST_WAY):
        return None
    return (score - reference.random) / (whole - reference.random)
