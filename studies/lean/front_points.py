"""Points of the front, and the cheapest ones at equal return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from studies.lean.front import ANN, GRU, RELU, SEEDS, TANH, configurations, front_seeds, labels
from studies.lean.outcome import Outcome
from studies.lean.plan import LEAN, OFF, Task
from studies.lean.tables import Outcomes

ANN_SERIES = {TANH: "ANN, tanh", RELU: "ANN, ReLU", GRU: "ANN, GRU"}
"""Names of ANNs by their units."""


@dataclass(frozen=True)
class Point:
    """A configuration off, lean or as an ANN, over its seeds."""

    configuration: str
    """Name of the configuration."""
    series: str
    """``off``, ``lean`` or one of ``ANN_SERIES``."""
    outcomes: tuple[Outcome, ...]
    """One of each seed, at least one."""

    @property
    def is_whole(self) -> bool:
        """Whether there are all seeds."""
        return len(self.outcomes) == SEEDS

    @property
    def returns(self) -> list[float]:
        """Return of every seed."""
        return [x.mean for x in self.outcomes]

    @property
    def mean_return(self) -> float:
        """Mean return of the seeds, in which one that failed shows."""
        return float(np.mean(self.returns))

    @property
    def operations(self) -> float:
        """Mean operations of a decision."""
        return float(np.mean([x.operations for x in self.outcomes]))


@dataclass(frozen=True)
class Verdict:
    """The cheapest of each kind whose return is within the margin of the best."""

    best: float
    """Highest mean return of off and lean."""
    least: float
    """Least return: the best less the margin."""
    off: Point | None
    """Cheapest off, None where none has that return."""
    lean: Point | None
    """Cheapest lean."""
    ann: Point | None
    """Cheapest ANN."""

    @property
    def ratio(self) -> float | None:
        """Operations of the cheapest lean over those of the cheapest off."""
        if self.lean is None or self.off is None:
            return None
        return self.lean.operations / self.off.operations

    @property
    def beats_anns(self) -> bool:
        """Whether no ANN has that return with as few operations as the cheapest lean."""
        if self.lean is None:
            return False
        return self.ann is None or self.ann.operations > self.lean.operations


def front_points(outcomes: Outcomes, task: Task) -> list[Point]:
    """Return the points of a task, cheapest first; none before one of the sweep's own has run."""
    points, own = [], False
    for configuration in configurations(task.env_id):
        for arm, label in labels(task, configuration).items():
            by_seed = outcomes.get((task.env_id, label), {})
            seeds = front_seeds(task, configuration)
            reported = tuple(by_seed[seed] for seed in seeds if seed in by_seed)
            if reported:
                series = ANN_SERIES[configuration.units] if arm == ANN else arm
                points.append(Point(configuration.name, series, reported))
                own = own or label.startswith("front-")
    return sorted(points, key=lambda point: point.operations) if own else []


def planned_points(task: Task) -> int:
    """Return the number of points that a task has when all is trained."""
    return sum(len(labels(task, x)) for x in configurations(task.env_id))


def anns_are_whole(points: Sequence[Point], task: Task) -> bool:
    """Return whether every ANN of a task's sweep has all of its seeds among its points."""
    planned = sum(x.time_steps is None for x in configurations(task.env_id))
    return planned == sum(x.is_whole and x.series in ANN_SERIES.values() for x in points)


def verdict(points: Sequence[Point], task: Task) -> Verdict | None:
    """Return the cheapest at equal return, among points with all of their seeds."""
    whole = [point for point in points if point.is_whole]
    spiking = [point.mean_return for point in whole if point.series in (OFF, LEAN)]
    if not {OFF, LEAN} <= {point.series for point in whole}:
        return None
    best = max(spiking)
    least = best - task.allowed_loss
    good = [point for point in whole if point.mean_return >= least]

    def cheapest(belongs: Callable[[str], bool]) -> Point | None:
        return next((point for point in good if belongs(point.series)), None)

    return Verdict(
        best,
        least,
        off=cheapest(OFF.__eq__),
        lean=cheapest(LEAN.__eq__),
        ann=cheapest(lambda series: series in ANN_SERIES.values()),
    )
