"""Where spikes pay: ``python -m studies.pays report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.pays.report import write_report

DOCS = Path(__file__).parents[2] / "docs"

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def study() -> None:
    """Judge where spikes pay."""


@app.command()
def report(docs: Annotated[Path, typer.Option(help="Folder of the page.")] = DOCS) -> None:
    """Write the page and its figures from the rows that there are."""
    typer.echo(f"wrote {write_report(docs)}")


if __name__ == "__main__":
    app()
