"""Evaluation, submissions, their verification, and the results table."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym.scoring.errors import SubmissionError
    from snn_gym.scoring.evaluation import Evaluation, evaluate
    from snn_gym.scoring.rerun import VerificationSettings
    from snn_gym.scoring.submission import submit
    from snn_gym.scoring.table import COLUMNS, TableRow, render_table, table_rows, write_table
    from snn_gym.scoring.verification import verify

__all__ = [
    "COLUMNS",
    "Evaluation",
    "SubmissionError",
    "TableRow",
    "VerificationSettings",
    "evaluate",
    "render_table",
    "submit",
    "table_rows",
    "verify",
    "write_table",
]

# The table is quick only without torch, so what needs torch is imported on first use.
_LAZY = {
    "COLUMNS": "table",
    "Evaluation": "evaluation",
    "SubmissionError": "errors",
    "TableRow": "table",
    "VerificationSettings": "rerun",
    "evaluate": "evaluation",
    "render_table": "table",
    "submit": "submission",
    "table_rows": "table",
    "verify": "verification",
    "write_table": "table",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
