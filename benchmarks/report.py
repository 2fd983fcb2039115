"""Writer of docs/speed.md: measurements against their bars, from the file alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.measurement import Measurement, Result
from benchmarks.registry import EXPERIMENTS, FAMILIES, MEASUREMENTS
from benchmarks.run import Record, Speed
from benchmarks.timing import Quartiles
from snn_gym._base.storage import write_text_atomic

PAGE = "speed.md"
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def write_report(speed: Speed, docs: Path) -> Path:
    """Write the page."""
    page = docs / PAGE
    write_text_atomic(page, "\n".join(_page(speed)) + "\n")
    return page


def figure_line(measurement: Measurement, result: Result) -> str:
    """Return a figure in one line, for terminals."""
    beside = f", against {measurement.against}" if measurement.against else ""
    line = f"{measurement.timed}{beside}: {_figure(measurement, result)}"
    if measurement.bar is None or result.value is None:
        return line
    return f"{line}; bar {_bar(measurement, measurement.bar)}: {_met(measurement, result)}"


def _page(speed: Speed) -> Iterator[str]:
    machine = speed.machine
    yield "# Speed"
    yield ""
    yield (
        "Written by `python -m benchmarks report` from [speed.json](speed.json), the measurements "
        "of `python -m benchmarks run` (`make bench` does both). The contenders take turns in one "
        "process on one thread, for 5 ms or one call at a time. Each round gives one ratio; the "
        "tables show the median of these ratios, with the quartiles in brackets."
    )
    yield ""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    yield (
        f"{machine.processor}, {machine.cores} cores, {' '.join(machine.flags)}; {machine.system}, "
        f"Python {machine.python}; {packages}."
    )
    yield from _warnings(speed)
    yield ""
    yield "## Measurements against their targets"
    yield ""
    yield from _table(speed, [x for x in MEASUREMENTS.values() if _promised(x)], promised=True)
    for family, module in FAMILIES.items():
        yield from _family(speed, family, module.EXPERIMENTS)


def _warnings(speed: Speed) -> Iterator[str]:
    if any(record.quick for record in speed.records.values()):
        yield ""
        yield "This was a quick run: the figures are rough."
    busiest = max((record.load for record in speed.records.values()), default=0.0)
    if busiest > speed.machine.cores:
        yield ""
        yield (
            f"The machine was busy (load {busiest:.1f}): the ratios are fair, the times are too "
            "long."
        )
    absent: dict[str, None] = {}
    for record in speed.records.values():
        absent |= {f"{name} ({reason})": None for name, reason in record.missing.items()}
    if absent:
        yield ""
        yield f"Left out: {'; '.join(absent)}."


def _family(speed: Speed, family: str, experiments: tuple[object, ...]) -> Iterator[str]:
    names = [name for name, one in EXPERIMENTS.items() if one in experiments]
    names = [name for name in names if name in speed.records]
    if not names:
        return
    yield ""
    yield f"## {family[0].upper()}{family[1:]}"
    others = [x for x in MEASUREMENTS.values() if x.experiment in names and not _promised(x)]
    if others:
        yield ""
        yield from _table(speed, others, promised=False)
    for name in names:
        yield from _experiment(EXPERIMENTS[name].title, speed.records[name])


def _experiment(title: str, record: Record) -> Iterator[str]:
    yield ""
    yield f"### {title}"
    for note in record.notes:
        yield ""
        yield note
    yield from _columns("contender", "time", record.timings, _time)
    yield from _columns("figure", "median", record.values, _number)


def _columns(
    first: str, middle: str, rows: Mapping[str, Quartiles], written: Callable[[float], str]
) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"| {first} | {middle} | quartiles |"
    yield "|---|---|---|"
    for name, found in rows.items():
        low, high = written(found.low), written(found.high)
        yield f"| {name} | {written(found.median)} | {low} to {high} |"


def _table(speed: Speed, measurements: list[Measurement], *, promised: bool) -> Iterator[str]:
    bars = " bar | stretch | met |" if promised else ""
    yield f"| timed | against | measured |{bars}"
    yield "|---|---|---|" + ("---|---|---|" if promised else "")
    for measurement in measurements:
        record = speed.records.get(measurement.experiment)
        result = Result(None, "not measured")
        if record is not None:
            result = record.results.get(measurement.name, result)
        cells = [measurement.timed, measurement.against or "–", _figure(measurement, result)]
        if promised:
            cells += [_bar(measurement, x) for x in (measurement.bar, measurement.stretch)]
            cells.append(_met(measurement, result))
        yield f"| {' | '.join(cells)} |"


def _promised(measurement: Measurement) -> bool:
    return measurement.bar is not None or measurement.stretch is not None


def _figure(measurement: Measurement, result: Result) -> str:
    if result.value is None:
        return f"skipped: {result.beside}"
    value, unit = result.value, _unit(measurement)
    spread = "" if value.low == value.high else f" ({_range(value)})"
    beside = f", {result.beside}" if result.beside else ""
    return f"{_number(value.median)}{unit}{spread}{beside}"


def _bar(measurement: Measurement, bar: float | None) -> str:
    if bar is None:
        return "–"
    return f"{'≥' if measurement.at_least else '≤'} {_number(bar)}{_unit(measurement)}"


def _met(measurement: Measurement, result: Result) -> str:
    if result.value is None:
        return "–"
    value = result.value.median
    if measurement.stretch is not None and measurement.met(value, measurement.stretch):
        return "stretch"
    if measurement.bar is None:
        return "–"
    return "yes" if measurement.met(value, measurement.bar) else "**no**"


def _unit(measurement: Measurement) -> str:
    return f" {measurement.unit}" if measurement.unit else ""


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _range(value: Quartiles) -> str:
    return f"{_number(value.low)} to {_number(value.high)}"


def _time(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
