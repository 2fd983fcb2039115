"""Scripted policies that put scores in their place: what memory, timing or nothing can earn."""

from snn_gym.tasks.native.scripted.policy import (
    RandomActions,
    Scripted,
    play,
    scripted_policy,
)

__all__ = ["RandomActions", "Scripted", "play", "scripted_policy"]
