"""The report of the study: Markdown and figures, from the files of the runs alone."""

from studies.dynamics.report.document import write_report

__all__ = ["write_report"]
