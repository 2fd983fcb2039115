"""Rows of a product of axes in which every pair of values occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Any


def pairs(
    *axes: Sequence[Any], possible: Callable[..., bool] = lambda *_: True
) -> list[tuple[Any, ...]]:
    """Return rows, a value of each axis, that have every pair of values of two axes.

    A fault that one value or two together bring out is met as by the whole product. Rows, and
    pairs in no row, that are not ``possible`` are left out.
    """
    places = product(*(range(len(axis)) for axis in axes))
    both = zip(places, product(*axes), strict=True)
    rows = {row: values for row, values in both if possible(*values)}
    left = {pair for row in rows for pair in combinations(enumerate(row), 2)}
    chosen = []
    while left:
        row = max(rows, key=lambda row: len(left.intersection(combinations(enumerate(row), 2))))
        left.difference_update(combinations(enumerate(row), 2))
        chosen.append(rows[row])
    return chosen
