"""Scripted policies of the native tasks, whose returns are their reference scores."""

from references.policy import RandomActions, Scripted, fixed_kind, play, scripted_policy

__all__ = ["RandomActions", "Scripted", "fixed_kind", "play", "scripted_policy"]
