"""Scripted policies that put scores in their place: what memory, timing or nothing can earn."""

from references.policy import (
    RandomActions,
    Scripted,
    fixed_kind,
    play,
    scripted_policy,
)

__all__ = ["RandomActions", "Scripted", "fixed_kind", "play", "scripted_policy"]
