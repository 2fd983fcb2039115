"""A page of the documentation that a study writes from its file of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import typer

from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from studies.files import read_run, write_run
from studies.rows import RowName, moved_rows, record_rows

ResultsT = TypeVar("ResultsT")


@dataclass(frozen=True)
class Page(Generic[ResultsT]):
    """A page, its numbers, and the functions that make both."""

    name: str
    """Stem of the page's file and of the results' file."""
    kind: type[ResultsT]
    """Dataclass of the results."""
    measure: Callable[[ResultsT | None], Iterator[ResultsT]]
    """Measures from stored results, None for none, and yields longer ones. Each is stored, so a
    long study can be stopped."""
    report: Callable[[ResultsT], str]
    """Text of the page."""
    rows: Callable[[ResultsT], Iterable[RowName]]
    """Rows of the results table that results were measured from."""
    without: Callable[[ResultsT, Sequence[RowName]], ResultsT] | None = None
    """Takes the numbers of rows out of results; None where everything is measured each time."""
    docs: Path = Path(__file__).parents[2] / "docs"
    """Folder of the page."""
    runs: Path = Path(__file__).parent
    """Folder of the results."""

    @property
    def path(self) -> Path:
        """The page's file."""
        return self.docs / f"{self.name}.md"

    @property
    def results(self) -> Path:
        """The file of results."""
        return self.runs / f"{self.name}.json"

    @property
    def sources(self) -> Path:
        """The file of digests of the rows that results were measured from."""
        return self.runs / f"{self.name}.rows"

    def text(self) -> str:
        """Return the page's text for the stored results."""
        return self.report(read_run(self.kind, self.results))

    def write(
        self,
        report_only: Annotated[bool, typer.Option(help="Write the page alone.")] = False,
    ) -> None:
        """Measure, on one thread, and write the page."""
        if not report_only:
            with one_thread():
                for found in self.measure(self._done()):
                    write_run(self.results, found)
            record_rows(self.sources, self.rows(read_run(self.kind, self.results)))
        write_text_atomic(self.path, self.text())
        typer.echo(f"wrote {self.path}")

    def _done(self) -> ResultsT | None:
        """Return the results that there are, without those of rows that have changed since."""
        if not self.results.exists():
            return None
        done = read_run(self.kind, self.results)
        moved = moved_rows(self.sources) if self.sources.exists() else []
        return self.without(done, moved) if self.without and moved else done
