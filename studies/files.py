"""The small files of plain data that runs of the studies leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.storage import write_text_atomic

RunT = TypeVar("RunT")


def write_run(path: Path, run: Any) -> Path:
    """Write a run's file, atomically: a file that exists is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, json.dumps(to_mapping(run), separators=(",", ":")) + "\n")
    return path


def read_run(kind: type[RunT], path: Path) -> RunT:
    """Read a run's file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run again") from error
    return from_mapping(kind, content, str(path))
