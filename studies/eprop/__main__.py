"""Train, measure and report: ``python -m studies.eprop {run [--only TEXT],report}``."""

from itertools import chain
from pathlib import Path

from studies.eprop.angle import angle_runs
from studies.eprop.report import pages
from studies.eprop.training import training_runs
from studies.runs import Study, command_line

STUDY = Study(
    Path(__file__).parent,
    lambda _: chain(training_runs(), angle_runs()),
    pages,
)

if __name__ == "__main__":
    command_line(STUDY)
