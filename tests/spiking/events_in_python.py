"""Kernels in the interpreter, which checks every index."""

from __future__ import annotations

import numpy as np

from snn_gym.spiking import event_kernels, execution, layer_kernels, spiking_layer
from snn_gym.spiking.event_kernels import COLUMNS
from tests.program import kernels_in_python


def lowest_bit(word):
    return (int(word) & -int(word)).bit_length() - 1


def add_rows(total, at, strip, above, places, values, a, z):
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


def interpret(monkeypatch):
    """Run all kernels in the interpreter."""
    for module in (event_kernels, layer_kernels, spiking_layer, execution):
        for name, kernel in list(vars(module).items()):
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)
    monkeypatch.setattr(layer_kernels, "call", kernels_in_python.call)
    monkeypatch.setattr(event_kernels, "add_rows", add_rows)
    monkeypatch.setattr(event_kernels, "lowest_bit", lowest_bit)
