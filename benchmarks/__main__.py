"""Measure speed: ``python -m benchmarks run [--only NAME,…] [--quick]``, ``list``, ``report``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measurement import FULL_SECONDS, QUICK_SECONDS, Effort, Experiment
from benchmarks.registry import FAMILIES, MEASUREMENTS, chosen
from benchmarks.report import figure_line, write_report
from benchmarks.run import Record, read_speed, run_experiments

DOCS = Path(__file__).parents[1] / "docs"
SCRATCH = Path("runs") / "bench"

Out = Annotated[Path, typer.Option(help="File of the measurements.")]
Scratch = Annotated[Path, typer.Option(help="Folder of agents and caches that are made once.")]

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def benchmarks() -> None:
    """Measure speed side by side."""


@app.command()
def run(
    only: Annotated[
        str | None, typer.Option(help="Families or experiments, with commas between.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Rough figures, in two minutes.")] = False,
    out: Out = DOCS / "speed.json",
    scratch: Scratch = SCRATCH,
) -> None:
    """Measure, and write the readings; agents and compiled peers are made at the first run."""
    effort = Effort(QUICK_SECONDS if quick else FULL_SECONDS, quick, scratch)
    with _usage():
        run_experiments(chosen(only, quick=quick), tuple(MEASUREMENTS.values()), effort, out, _show)


@app.command("list")
def list_experiments() -> None:
    """Print the names of the measurements."""
    for family, module in FAMILIES.items():
        typer.echo(family)
        for experiment in module.EXPERIMENTS:
            typer.echo(f"  {experiment.name}: {experiment.title}")


@app.command()
def report(
    out: Out = DOCS / "speed.json",
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = DOCS,
) -> None:
    """Write the report from the measurements."""
    with _usage():
        typer.echo(f"wrote {write_report(read_speed(out), docs)}")


@contextmanager
def _usage() -> Iterator[None]:
    """Print a wrong request as one line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _show(record: Record, experiment: Experiment) -> None:
    typer.echo(f"{experiment.title} ({record.took:.0f} s)")
    for name, reason in record.missing.items():
        typer.echo(f"  without {name}: {reason}")
    for name, result in record.results.items():
        typer.echo(f"  {figure_line(MEASUREMENTS[name], result)}")


if __name__ == "__main__":
    app()
