"""Run what is missing and write the report: ``python -m studies.eprop {run,report}``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.eprop.runs import ARMS, RESULTS, TASKS, run_missing

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def run(
    arms: Annotated[str, typer.Option(help="Names of the arms, with commas between.")] = ",".join(
        ARMS
    ),
    tasks: Annotated[str, typer.Option(help="Ids of the tasks, with commas between.")] = ",".join(
        TASKS
    ),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = RESULTS,
) -> None:
    """Make the runs that have no file yet (an hour)."""
    for kind, asked, known in (("arm", arms, ARMS), ("task", tasks, TASKS)):
        for name in asked.split(","):
            if name not in known:
                raise typer.BadParameter(f"{kind} {name!r} is unknown; there are {', '.join(known)}")
    for env_id in tasks.split(","):
        run_missing(env_id, arms.split(","), results, typer.echo)


if __name__ == "__main__":
    app()
