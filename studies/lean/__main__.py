"""Train and report: ``python -m studies.lean {run [--only TEXT],report}``."""

from itertools import chain
from pathlib import Path

from studies.lean.report import pages
from studies.lean.rescue import rescue_runs
from studies.lean.runner import shedding_runs
from studies.runs import Study, command_line

STUDY = Study(
    Path(__file__).parent,
    lambda table: chain(shedding_runs(table), rescue_runs()),
    pages,
)

if __name__ == "__main__":
    command_line(STUDY)
