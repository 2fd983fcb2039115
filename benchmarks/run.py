"""Runner of experiments, which keeps their readings in one file."""

from __future__ import annotations

import datetime as dt
import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from benchmarks.machine import Machine, load_average, this_machine
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, Result
from benchmarks.timing import Quartiles
from snn_gym._base.config import Config, NonNegative, from_mapping, to_mapping
from snn_gym._base.storage import write_text_atomic


@dataclass(frozen=True)
class Record(Config):
    """Readings of an experiment, as the file stores them."""

    date: str
    """When, UTC."""
    quick: bool
    """Whether the figures are rough."""
    load: NonNegative
    """Processes that wanted a core in the minute before."""
    took: NonNegative
    """Time of the experiment (s)."""
    timings: dict[str, Quartiles]
    """Seconds of a call or step, by contender."""
    values: dict[str, Quartiles]
    """Other measured values, by name."""
    missing: dict[str, str]
    """Contenders that could not start, and why."""
    notes: tuple[str, ...]
    """Notes for the reader."""
    results: dict[str, Result]
    """Figures beside their bars, by name."""


@dataclass(frozen=True)
class Speed(Config):
    """All of the file."""

    machine: Machine
    """Where it was measured."""
    records: dict[str, Record] = field(default_factory=dict)
    """By experiment."""


def read_speed(path: Path) -> Speed:
    """Read the file."""
    if not path.exists():
        raise ValueError(f"{path} does not exist; measure first: python -m benchmarks run")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run again") from error
    return from_mapping(Speed, content, str(path))


def write_speed(path: Path, speed: Speed) -> None:
    """Write the file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, json.dumps(_short(to_mapping(speed)), indent=1) + "\n")


def run_experiments(
    experiments: Sequence[Experiment],
    measurements: Sequence[Measurement],
    effort: Effort,
    path: Path,
    show: Callable[[Record, Experiment], None],
) -> Speed:
    """Run experiments one after the other, and write the file after each."""
    torch.set_num_threads(1)
    speed = _begun(path, this_machine(), {experiment.name for experiment in experiments})
    for experiment in experiments:
        record = _record(experiment, measurements, effort)
        speed = replace(speed, records={**speed.records, experiment.name: record})
        write_speed(path, speed)
        show(record, experiment)
    return speed


def _begun(path: Path, machine: Machine, fresh: set[str]) -> Speed:
    """Return the file's records that are not measured again."""
    if not path.exists():
        return Speed(machine)
    found = read_speed(path)
    kept = {name: record for name, record in found.records.items() if name not in fresh}
    if kept and found.machine != machine:
        raise ValueError(
            f"{path} holds measurements of another machine or of other packages "
            f"({', '.join(sorted(kept))}), which do not compare with new ones; delete it and run "
            "everything, or name another file with --out"
        )
    return Speed(machine, kept)


def _record(experiment: Experiment, measurements: Sequence[Measurement], effort: Effort) -> Record:
    date, load = dt.datetime.now(dt.UTC), load_average()
    torch.manual_seed(0)
    gc.collect()
    start = time.perf_counter()
    found = experiment.run(effort)
    return Record(
        date=date.isoformat(timespec="seconds"),
        quick=effort.quick,
        load=load,
        took=time.perf_counter() - start,
        timings={name: Quartiles.of(times) for name, times in found.samples.items()},
        values={name: Quartiles.of(values) for name, values in found.values.items()},
        missing=dict(found.missing),
        notes=found.notes,
        results=_results(experiment, measurements, found),
    )


def _results(
    experiment: Experiment, measurements: Sequence[Measurement], found: Readings
) -> dict[str, Result]:
    return {
        measurement.name: measurement.judge(found)
        for measurement in measurements
        if measurement.experiment == experiment.name
    }


def _short(value: object) -> object:
    """Return plain data with numbers of four digits: more were never measured."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
