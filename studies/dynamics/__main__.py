"""Train and report: ``python -m studies.dynamics {run [--only TEXT],report}``."""

from pathlib import Path

from studies.dynamics.plan import plan
from studies.dynamics.report import pages
from studies.runs import Study, command_line

STUDY = Study(Path(__file__).parent, lambda _: plan(), pages)

if __name__ == "__main__":
    command_line(STUDY)
