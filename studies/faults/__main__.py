"""Play and report: ``python -m studies.faults {run [--only TEXT],report}``."""

from pathlib import Path

from studies.faults.page import Played, fault_page, fault_runs
from studies.runs import Runs, Study, command_line


def pages(table: Runs) -> dict[str, str]:
    """Return the study's page."""
    return {"faults.md": fault_page(table.read(Played))}


STUDY = Study(Path(__file__).parent, lambda _: fault_runs(), pages)

if __name__ == "__main__":
    command_line(STUDY)
