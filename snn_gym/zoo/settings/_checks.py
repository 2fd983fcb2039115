"""Checks that the hyper-parameters of several algorithms share."""

from __future__ import annotations


def check_positive(settings: object, *names: str) -> None:
    """Refuse counts below 1.

    Args:
        settings: Hyper-parameters.
        *names: Names of the counts.

    Raises:
        ValueError: One of them is below 1.
    """
    for name in names:
        value = getattr(settings, name)
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
