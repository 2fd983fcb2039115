"""Train and report: ``python -m studies.local {run [--only TEXT],report}``."""

from itertools import chain
from pathlib import Path

from studies.local.adaptation import adaptation_runs
from studies.local.dynamics import dynamics_runs
from studies.local.learning import learning_runs
from studies.local.report import pages
from studies.runs import Study, command_line

STUDY = Study(
    Path(__file__).parent,
    lambda _: chain(learning_runs(), adaptation_runs(), dynamics_runs()),
    pages,
)

if __name__ == "__main__":
    command_line(STUDY)
