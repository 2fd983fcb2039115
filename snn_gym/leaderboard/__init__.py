"""Evaluation, submissions, their verification, and the results table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.leaderboard.evaluation import Evaluation, evaluate
    from snn_gym.leaderboard.headings import COLUMNS
    from snn_gym.leaderboard.manifest import SubmissionError
    from snn_gym.leaderboard.pretrained import load_pretrained
    from snn_gym.leaderboard.reevaluation import (
        add_curves,
        add_robustness,
        reevaluate,
        retrain_rows,
    )
    from snn_gym.leaderboard.rendering import render_table, write_table
    from snn_gym.leaderboard.rerun import VerificationSettings
    from snn_gym.leaderboard.submission import submit
    from snn_gym.leaderboard.table import TableRow, table_rows
    from snn_gym.leaderboard.verification import check_board, verify

__all__ = [
    "COLUMNS",
    "Evaluation",
    "SubmissionError",
    "TableRow",
    "VerificationSettings",
    "add_curves",
    "add_robustness",
    "check_board",
    "evaluate",
    "load_pretrained",
    "reevaluate",
    "render_table",
    "retrain_rows",
    "submit",
    "table_rows",
    "verify",
    "write_table",
]

# The table is quick only without torch, so what needs torch is imported on first use.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "COLUMNS": "headings",
        "Evaluation": "evaluation",
        "SubmissionError": "manifest",
        "TableRow": "table",
        "VerificationSettings": "rerun",
        "add_curves": "reevaluation",
        "add_robustness": "reevaluation",
        "check_board": "verification",
        "evaluate": "evaluation",
        "load_pretrained": "pretrained",
        "reevaluate": "reevaluation",
        "render_table": "rendering",
        "retrain_rows": "reevaluation",
        "submit": "submission",
        "table_rows": "table",
        "verify": "verification",
        "write_table": "rendering",
    },
)
