"""Numbers, tables and folded parts of generated pages, as MyST Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def number(value: float) -> str:
    """Format a number without trailing zeros, with a minus of full width."""
    return f"{value:g}".replace("-", "−")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (headings, *rows)]
    return "\n".join([lines[0], "|---" * len(headings) + "|", *lines[1:]])


def sortable(markdown: str) -> str:
    """Return a Markdown table that the headings sort."""
    return f":::{{table}}\n:class: sortable\n\n{markdown.strip()}\n:::\n"


def dropdown(title: str, content: str) -> str:
    """Return content that a reader unfolds."""
    return f"::::{{dropdown}} {title}\n{content}::::\n"


def below_title(text: str, line: str) -> str:
    """Return a page with a paragraph below its title."""
    title, rest = text.split("\n\n", 1)
    return f"{title}\n\n{line}\n\n{rest}"
