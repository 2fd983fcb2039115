"""Play and report: ``python -m studies.faults {run [--only TEXT],report,rows [LEADERBOARD]}``."""

from collections.abc import Iterator
from pathlib import Path

from studies.faults.damage import play_rows
from studies.faults.page import Played, fault_page, fault_runs
from studies.rows import RowName, moved_rows
from studies.runs import Planned, Runs, Study, command_line

FOLDER = Path(__file__).parent


def plan(table: Runs) -> Iterator[Planned]:
    """Yield all runs; those of rows that have changed since are made anew."""
    for row in moved_rows(FOLDER / "report.rows"):
        for name in table.names(f"{row.agent}/{row.environment}/"):
            if name.endswith(f"/{row.seed}"):
                table.remove(name)
    return fault_runs()


def pages(table: Runs) -> dict[str, str]:
    """Return the study's page."""
    return {"faults.md": fault_page(table.read(Played))}


def quoted() -> list[RowName]:
    """Return the rows that the runs are of."""
    return [RowName(x.agent, x.environment, x.seed) for x in STUDY.table().read(Played)]


STUDY = Study(FOLDER, plan, pages, quoted)

if __name__ == "__main__":
    command_line(STUDY, rows=play_rows)
