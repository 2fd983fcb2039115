"""Numbers and names as the report writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from studies.dynamics.groups import Group, Values

MISSING = "–"


def number(value: float, digits: int = 0) -> str:
    """Return a number with thousands separators; ``> budget`` where it is infinite."""
    return "> budget" if math.isinf(value) else f"{value:,.{digits}f}".replace("-", "−")


def spread(values: Values, digits: int = 0) -> str:
    """Return the median of runs (runs,), the least and the most; a dash if there are none."""
    if not len(values):
        return MISSING
    middle = number(float(np.median(values)), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(values.min(), digits)} to {number(values.max(), digits)})"


def median(values: Values, digits: int = 0) -> str:
    """Return the median of runs (runs,), failures being infinite; a dash if there are none."""
    return number(float(np.median(values)), digits) if len(values) else MISSING


def percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.0f} %"


def solved(group: Group) -> str:
    """Return how many runs met the criterion."""
    return f"{group.solved} of {len(group.results)}" if group.results else MISSING


def not_run(items: Sequence[str], cells: int) -> list[str]:
    """Return a row for learners that were not run, with empty cells after their names."""
    return [f"{names(items)}: not run", *[MISSING] * cells]


def names(items: Sequence[str]) -> str:
    """Return code names as within a sentence, at least one."""
    quoted = [f"`{item}`" for item in items]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
