"""The table algorithm × action space × observation kind that a test run prints."""

from __future__ import annotations

from collections.abc import Iterable

CELL, ERROR = "identity cell", "identity error"


def matrix_lines(properties: Iterable[tuple[str, object]]) -> list[str]:
    """Return the table's lines for the properties of passed tests; none without such tests.

    Args:
        properties: ``(CELL, "algorithm|action space|observation kind|result")`` and
            ``(ERROR, "what was tried|message")``; others are passed over.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    seen: set[str] = set()
    errors: dict[str, str] = {}
    for kind, value in properties:
        if kind == CELL:
            name, action, view, result = str(value).split("|")
            row = cells.setdefault((name, action), {})
            # A cell that several tests visited is known by all that they showed.
            row[view] = "".join(sorted(set(row.get(view, "")) | set(result), key="LDS".index))
            seen.add(view)
        elif kind == ERROR:
            what, message = str(value).split("|", 1)
            errors[what] = message
    # Sorted, because workers finish in any order.
    views = sorted(seen, key=str.lower)
    lines = []
    if cells:
        lines += [
            "L learns, D trains twice to the same weights, S saves and loads; . not shown",
            _row("algorithm", "action space", views),
            *(
                _row(name, action, [row.get(view, ".") for view in views])
                for (name, action), row in sorted(cells.items())
            ),
        ]
    lines += [f"{what}: {message}" for what, message in sorted(errors.items())]
    return lines


def _row(name: str, action: str, values: list[str]) -> str:
    return f"{name:<10} {action:<14}" + "".join(f"{value:<14}" for value in values).rstrip()
