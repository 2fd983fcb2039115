"""A page of the documentation that a study writes from its file of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import typer

from snn_gym.storage import write_text_atomic
from snn_gym.threads import one_thread
from studies.files import read_run, write_run

FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Page(Generic[FoundT]):
    """A page, its numbers, and how both are made."""

    name: str
    """Of the page and of the file of results, without their endings."""
    kind: type[FoundT]
    """Dataclass of the results."""
    measure: Callable[[FoundT | None], Iterator[FoundT]]
    """Takes the results that there are, None for none, and yields them anew or with more; each is
    kept, so that what takes long can be stopped."""
    report: Callable[[FoundT], str]
    """Text of the page."""
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

    def text(self) -> str:
        """Return what the page says by the results that there are."""
        return self.report(read_run(self.kind, self.results))

    def write(
        self,
        report_only: Annotated[bool, typer.Option(help="Write the page alone.")] = False,
    ) -> None:
        """Measure, on one thread, and write the page."""
        if not report_only:
            done = read_run(self.kind, self.results) if self.results.exists() else None
            with one_thread():
                for found in self.measure(done):
                    write_run(self.results, found)
        write_text_atomic(self.path, self.text())
        typer.echo(f"wrote {self.path}")
