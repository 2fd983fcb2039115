"""What the two LLVM operations of the event kernels do, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from snn_gym.spiking.events import COLUMNS


def lowest_bit(word: np.uint64) -> int:
    return (int(word) & -int(word)).bit_length() - 1


def add_rows(
    total: Any, at: int, strip: Any, above: int, places: Any, values: Any, a: int, z: int
) -> None:
    """Add rows in groups of four and then singly; numpy rounds every sum and product to float32."""
    strip = strip.reshape(-1)
    own = total.reshape(-1)[at : at + COLUMNS]  # a view, for arrays in order have no other
    assert len(own) == COLUMNS
    assert np.shares_memory(own, total)
    terms = []
    for k in range(a, z):
        start = above + int(places[k]) * COLUMNS
        assert 0 <= start <= len(strip) - COLUMNS
        terms.append(values[k] * strip[start : start + COLUMNS])
    fours = len(terms) // 4 * 4
    for k in range(0, fours, 4):
        own += (terms[k] + terms[k + 1]) + (terms[k + 2] + terms[k + 3])
    for term in terms[fours:]:
        own += term
