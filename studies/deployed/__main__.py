"""Export, play and report: ``python -m studies.deployed {run [--only TEXT],report}``."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from studies.deployed.faults import Played, fault_page, fault_runs
from studies.deployed.hardware import Room, chip_page, chip_runs
from studies.deployed.programs import Deployed, program_page, program_runs
from studies.rows import RowName, moved_rows
from studies.runs import Planned, Runs, Study, command_line

FOLDER = Path(__file__).parent


def plan(table: Runs) -> Iterator[Planned]:
    """Yield all runs; those of rows that have changed since are made anew."""
    for row in moved_rows(FOLDER / "report.rows"):
        for name in table.names():
            if f"/{row.agent}/{row.environment}/" in name and name.endswith(f"/{row.seed}"):
                table.remove(name)
    return chain(program_runs(), fault_runs(), chip_runs())


def pages(table: Runs) -> dict[str, str]:
    """Return the pages of programs, faults and chips."""
    return {
        "deployed.md": program_page(table.read(Deployed, "c/")),
        "faults.md": fault_page(table.read(Played, "faults/")),
        "hardware.md": chip_page(table.read(Room, "chips/")),
    }


def quoted() -> Iterator[RowName]:
    """Yield the rows that the runs are of."""
    table = STUDY.table()
    for name in table.names():
        _, agent, *environment, seed = name.split("/")
        yield RowName(
            agent, "/".join(environment[: 2 if environment[0] == "snn" else 1]), int(seed)
        )


STUDY = Study(FOLDER, plan, pages, quoted)

if __name__ == "__main__":
    command_line(STUDY)
