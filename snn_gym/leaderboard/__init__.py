"""Evaluation, submissions, their verification, and the results table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym._base.storage import read_regular_file
    from snn_gym.leaderboard.evaluation import Evaluation, evaluate
    from snn_gym.leaderboard.floor import Effort, SearchResult, SmallNetwork, agent_of, smallest
    from snn_gym.leaderboard.limited_process import (
        Limits,
        VerificationSettings,
        ask_limited,
        limit_process,
    )
    from snn_gym.leaderboard.manifest import SubmissionError, shorten
    from snn_gym.leaderboard.pretrained import load_pretrained
    from snn_gym.leaderboard.rendering import render_table, write_table
    from snn_gym.leaderboard.stored_rows import check_board, reevaluate, retrain_rows
    from snn_gym.leaderboard.submission import submit, submit_imported
    from snn_gym.leaderboard.table import COLUMNS, TableRow, table_rows
    from snn_gym.leaderboard.verification import verify

__all__ = [
    "COLUMNS",
    "Effort",
    "Evaluation",
    "Limits",
    "SearchResult",
    "SmallNetwork",
    "SubmissionError",
    "TableRow",
    "VerificationSettings",
    "agent_of",
    "ask_limited",
    "check_board",
    "evaluate",
    "limit_process",
    "load_pretrained",
    "read_regular_file",
    "reevaluate",
    "render_table",
    "retrain_rows",
    "shorten",
    "smallest",
    "submit",
    "submit_imported",
    "table_rows",
    "verify",
    "write_table",
]

# The table is quick only without torch, so what needs torch is imported on first use.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "COLUMNS": "table",
        "Effort": "floor",
        "Evaluation": "evaluation",
        "SearchResult": "floor",
        "Limits": "limited_process",
        "SmallNetwork": "floor",
        "SubmissionError": "manifest",
        "TableRow": "table",
        "VerificationSettings": "limited_process",
        "agent_of": "floor",
        "ask_limited": "limited_process",
        "check_board": "stored_rows",
        "evaluate": "evaluation",
        "limit_process": "limited_process",
        "load_pretrained": "pretrained",
        "read_regular_file": "._base.storage",
        "reevaluate": "stored_rows",
        "render_table": "rendering",
        "retrain_rows": "stored_rows",
        "shorten": "manifest",
        "smallest": "floor",
        "submit": "submission",
        "submit_imported": "submission",
        "table_rows": "table",
        "verify": "verification",
        "write_table": "rendering",
    },
)
