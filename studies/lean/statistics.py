"""Tests of the study: fewer operations than a control."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np


def permutation_p(differences: Sequence[float]) -> float:
    """Return the one-sided p-value of a paired permutation test that the mean is below 0.

    All ways to flip the signs are counted, the observed one included.

    Args:
        differences: One of each seed, 1 to 20.

    Raises:
        ValueError: There are none, or too many to count all ways.
    """
    if not 1 <= len(differences) <= 20:
        raise ValueError(f"all signs of 1 to 20 seeds can be counted, got {len(differences)}")
    values = np.asarray(differences, np.float64)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
    return float(np.mean(signs @ values <= values.sum() + 1e-12))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for their number (Holm 1979, https://www.jstor.org/stable/4615733).

    Args:
        p_values: By name of the comparison.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    for index, (name, p) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - index)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
