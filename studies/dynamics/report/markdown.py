"""Numbers and tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from studies.dynamics.groups import Group, Values
from studies.dynamics.statistics import Estimate

MISSING = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(sentences: Sequence[str]) -> str:
    """Return sentences as a Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def number(value: float, digits: int = 0) -> str:
    """Return a number with thousands separators; ``> budget`` where it is infinite."""
    return "> budget" if math.isinf(value) else f"{value:,.{digits}f}".replace("-", "−")


def with_interval(estimate: Estimate, digits: int = 0) -> str:
    """Return an estimate with its interval."""
    value = number(estimate.value, digits)
    if estimate.interval is None:
        return f"{value} (one run)"
    low, high = (number(bound, digits) for bound in estimate.interval)
    return f"{value} ({low} to {high})"


def percent(estimate: Estimate) -> str:
    """Return a share and its interval in percent."""
    share = f"{100 * estimate.value:.0f} %"
    if estimate.interval is None:
        return f"{share} (one run each)"
    low, high = (100 * bound for bound in estimate.interval)
    return f"{share} ({low:.0f} to {high:.0f} %)"


def by_seed(group: Group, values: Values, digits: int = 0) -> str:
    """Return a value of every seed in order; a dash where a run is missing."""
    shown = dict(zip(group.seeds, (number(value, digits) for value in values), strict=True))
    return ", ".join(shown.get(seed, MISSING) for seed in range(group.planned))


def count(group: Group) -> str:
    """Return how many seeds there are, and of how many if some are missing."""
    have = len(group.results)
    return f"{have} seeds" if have == group.planned else f"{have} of {group.planned} seeds"


def solved(group: Group) -> str:
    """Return how many runs met the criterion, and how many are missing."""
    have = len(group.results)
    missing = "" if have == group.planned else f", {group.planned - have} missing"
    return f"{group.solved} of {have}{missing}"
