"""Measurements: readings of experiments, the figures read from them, and the bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.timing import Quartiles, Samples, ratio
from snn_gym._base.config import Config


@dataclass(frozen=True)
class Effort:
    """How much time is spent."""

    seconds: float
    """Time of one race (s)."""
    quick: bool
    """Whether the figures may be rough."""
    scratch: Path
    """Folder of agents and caches, outside of the repository's history."""


FULL_SECONDS, QUICK_SECONDS = 3.0, 0.3


@dataclass(frozen=True)
class Readings:
    """Readings of an experiment."""

    samples: Samples = field(default_factory=dict)
    """Times of contenders (s), in pairs."""
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Repeats of other measured values, by name."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Contenders that could not start, and why."""
    notes: tuple[str, ...] = ()
    """Notes for the reader."""


@dataclass(frozen=True)
class Experiment:
    """A part of a run: contenders that are timed in turn."""

    name: str
    """Short name, as ``--only`` takes it."""
    title: str
    """The timed task, for headings."""
    run: Callable[[Effort], Readings]
    """Does it."""
    quick: bool = True
    """Whether a quick run has it."""


@dataclass(frozen=True)
class Result(Config):
    """A figure beside its bar."""

    value: Quartiles | None
    """The figure; None if it could not be measured."""
    beside: str
    """The best of several contenders, or why it was not measured."""


Judge = Callable[[Readings], Result]


@dataclass(frozen=True)
class Measurement:
    """A figure that is read from an experiment."""

    name: str
    """Unique name."""
    experiment: str
    """Experiment that it is read from."""
    timed: str
    """The timed task, for readers."""
    against: str
    """The baseline, for readers; empty without one."""
    unit: str
    """Unit of the figure; ``×`` for a ratio."""
    judge: Judge
    """Reads it."""
    bar: float | None = None
    """The bar; None for none."""
    stretch: float | None = None
    """The stretch target; None for none."""
    at_least: bool = True
    """Whether the bar is a least figure; if not, a largest."""

    def met(self, value: float, bar: float) -> bool:
        """Tell whether a figure reaches a bar."""
        return value >= bar if self.at_least else value <= bar


def faster(subject: str, *others: str) -> Judge:
    """Return a judge: how many times faster a contender is than the best of others."""

    def judge(readings: Readings) -> Result:
        ratios = {
            other: ratio(readings.samples, other, subject)
            for other in others
            if other in readings.samples and subject in readings.samples
        }
        if not ratios:
            return _unmeasured(readings, (subject, *others))
        best = min(ratios, key=lambda name: ratios[name].median)
        return Result(ratios[best], best if len(others) > 1 else "")

    return judge


def costs(subject: str, floor: str) -> Judge:
    """Return a judge: the time of a contender in units of another's."""

    def judge(readings: Readings) -> Result:
        if not {subject, floor} <= readings.samples.keys():
            return _unmeasured(readings, (subject, floor))
        return Result(ratio(readings.samples, subject, floor), "")

    return judge


def measured(name: str) -> Judge:
    """Return a judge that reads one of the values."""

    def judge(readings: Readings) -> Result:
        if name not in readings.values:
            return _unmeasured(readings, (name,))
        return Result(Quartiles.of(readings.values[name]), "")

    return judge


def _unmeasured(readings: Readings, names: tuple[str, ...]) -> Result:
    reasons = {
        reason: None
        for missing, reason in readings.missing.items()
        if any(name.startswith(missing) for name in names)
    }
    return Result(None, "; ".join(reasons) or "not measured")
