"""Paragraphs of the study's page."""

from __future__ import annotations

import textwrap


def wrapped(*paragraphs: str) -> str:
    """Return paragraphs in lines of at most 100 characters, with a blank line between them.

    Args:
        *paragraphs: Text without line breaks.
    """
    filled = [
        textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    ]
    return "\n\n".join(filled) + "\n"
