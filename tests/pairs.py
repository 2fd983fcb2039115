"""Rows of a product of axes in which every pair of values occurs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any


def pairs(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return rows, a value of each axis, that have every pair of values of two axes.

    A fault that one value or two together bring out is met as by the whole product.
    """
    rows = list(product(*(range(len(axis)) for axis in axes)))
    left = {pair for row in rows for pair in combinations(enumerate(row), 2)}
    chosen = []
    while left:
        row = max(rows, key=lambda row: len(left.intersection(combinations(enumerate(row), 2))))
        left.difference_update(combinations(enumerate(row), 2))
        chosen.append(tuple(axis[k] for axis, k in zip(axes, row, strict=True)))
    return chosen
