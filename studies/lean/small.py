"""A trained agent taught to the smallest network that keeps the bound: no spike costs anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.zoo import make_lean

WIDTHS = (8, 16, 32)
"""Neurons of each of the two hidden layers of the students, which are tried in this order."""


def smallest_student(
    trained: BaseAlgorithm, steps: int, settings: Mapping[str, Any]
) -> LeanAlgorithm | None:
    """Return the smallest student that keeps the bound, None if none does."""
    for width in WIDTHS:
        network = {"hidden_sizes": [width, width]}
        student = make_lean(trained, steps, network=network, **settings)
        shedding = student.shedding
        assert shedding is not None  # it was taught
        if shedding.strength.smoothed <= shedding.bound.bound:
            return student
    return None
