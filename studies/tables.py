"""Markdown tables and paragraphs of the studies' pages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from snn_gym.envs.registry import load_environment_spec


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median of values, with the smallest and the largest in brackets."""
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def wrapped(*paragraphs: str) -> str:
    """Return paragraphs of text, their lines broken anew; tables stay as they are."""
    filled = [
        text
        if text.startswith("|")
        else textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    ]
    return "\n\n".join(filled) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def return_digits(env_id: str) -> int:
    """Return the decimals with which returns of a task are shown."""
    reference = load_environment_spec(env_id).reference
    return 2 if abs(reference.solved - reference.random) < 10 else 0
