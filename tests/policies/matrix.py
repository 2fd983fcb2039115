"""The tables that a test run prints: algorithm × spaces, and promises × algorithm."""

from __future__ import annotations

from collections.abc import Iterable

CELL, ERROR, PROMISE = "identity cell", "identity error", "promise cell"


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


def promise_lines(properties: Iterable[tuple[str, object]]) -> list[str]:
    """Return what Stable-Baselines3 promises of a policy against who keeps it.

    Args:
        properties: ``(PROMISE, "algorithm|promise|result")`` of passed tests, where the result is
            ``yes``, a number, or the reason why there is nothing to keep; others are passed over.
    """
    cells: dict[str, dict[str, str]] = {}
    for kind, value in properties:
        if kind == PROMISE:
            name, promise, result = str(value).split("|", 2)
            cells.setdefault(promise, {})[name] = result
    if not cells:
        return []
    names = sorted({name for row in cells.values() for name in row})
    reasons = sorted({x for row in cells.values() for x in row.values() if " " in x})
    marks = {reason: f"({k})" for k, reason in enumerate(reasons, start=1)}
    lines = [f"{'':<34}" + "".join(f"{name:<13}" for name in names).rstrip()]
    for promise, row in sorted(cells.items()):
        results = [row.get(name, ".") for name in names]
        shown = "".join(f"{marks.get(result, result):<13}" for result in results)
        lines.append(f"{promise:<34}{shown}".rstrip())
    return lines + [f"{mark} {reason}" for reason, mark in marks.items()]


def _row(name: str, action: str, values: list[str]) -> str:
    return f"{name:<10} {action:<14}" + "".join(f"{value:<14}" for value in values).rstrip()
