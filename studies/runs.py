"""One table of all runs of a study, and its command line.

A table is a file ``runs.jsonl``: a line of JSON for each run, sorted by name. A run is added whole
or not at all, and what is there is not run again; so a study may be killed at any time, and several
processes may add to one table.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.storage import write_text_atomic

RunT = TypeVar("RunT")
DOCS = Path(__file__).parents[1] / "docs"


class Runs:
    """Table of runs by name, such as ``CartPole-v1/off/120``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = self._read()

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of the runs below a prefix, in their order."""
        return [name for name in self._lines if name.startswith(prefix)]

    def read(self, kind: type[RunT], prefix: str = "") -> list[RunT]:
        """Return the runs below a prefix, in the order of their names."""
        runs = []
        for name in self.names(prefix):
            fields = json.loads(self._lines[name])
            del fields["run"]
            runs.append(from_mapping(kind, fields, f"{self.path}: {name}"))
        return runs

    def add(self, name: str, run: Any) -> None:
        """Add a run to the file, in the place of an earlier one of this name."""
        line = json.dumps({"run": name, **to_mapping(run)}, separators=(",", ":"))
        self._change(lambda lines: {**lines, name: line})

    def remove(self, prefix: str) -> None:
        """Remove the runs below a prefix from the file."""
        self._change(lambda x: {k: line for k, line in x.items() if not k.startswith(prefix)})

    def reload(self) -> None:
        """Read the file anew, with the runs that other processes have added."""
        self._lines = self._read()

    def _read(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        lines = {}
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                lines[str(json.loads(line)["run"])] = line
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self.path}, line {number}: expected an object of JSON with a field 'run' "
                    f"({error!r}); delete the line and run the study again"
                ) from error
        return lines

    def _change(self, changed: Callable[[dict[str, str]], dict[str, str]]) -> None:
        with _locked(self.path.parent):
            lines = changed(self._read())
            self._lines = {name: lines[name] for name in sorted(lines, key=_order)}
            text = "".join(f"{line}\n" for line in self._lines.values())
            write_text_atomic(self.path, text)


def _order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names part by part, numbers by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split("/")]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the tables of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Planned(NamedTuple):
    """A run of a study's plan."""

    name: str
    """Name in the table."""
    make: Callable[[], Any]
    """Function that makes the run, a dataclass of plain data."""


@dataclass(frozen=True)
class Study:
    """A plan, a table of its runs, and the pages that show them."""

    folder: Path
    """Folder of the table."""
    plan: Callable[[Runs], Iterable[Planned]]
    """Return all runs in the order in which they are made."""
    pages: Callable[[Runs], Mapping[str, str]]
    """Return the text of each page by its file's name in docs/."""

    def table(self) -> Runs:
        """Read the study's table."""
        return Runs(self.folder / "runs.jsonl")


def make_missing(table: Runs, planned: Iterable[Planned], only: str = "") -> None:
    """Make the runs that the table lacks and whose names contain a text."""
    for name, make in planned:
        if only in name and name not in table:
            table.reload()
            if name not in table:
                run = make()
                table.add(name, run)
                sys.stdout.write(f"{run}\n")


def command_line(study: Study, **commands: Callable[..., None]) -> None:
    """Run the command line of a study: ``run [--only TEXT]``, ``report``, and its own commands."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)

    @app.command()
    def run(
        only: Annotated[str, typer.Option(help="Text in the names of the runs to make.")] = "",
    ) -> None:
        """Make the runs of the plan that the table lacks (hours)."""
        table = study.table()
        make_missing(table, study.plan(table), only)

    @app.command()
    def report(
        docs: Annotated[Path, typer.Option(help="Folder of the pages.")] = DOCS,
    ) -> None:
        """Write the study's pages from the runs that there are."""
        for name, text in study.pages(study.table()).items():
            write_text_atomic(docs / name, text)
            typer.echo(f"wrote {docs / name}")

    for name, command in commands.items():
        app.command(name)(command)
    app()
