"""Lengths of sequences, checked in one place for files, models and commands."""

from __future__ import annotations


def check_sequences(sequence_length: int, burn_in_steps: int, bptt_steps: int | None) -> None:
    """Refuse lengths of sequences that do not fit each other.

    Args:
        sequence_length: Environment steps of a sequence that are learned from.
        burn_in_steps: Environment steps before it that bring its state up to date.
        bptt_steps: Environment steps that a gradient passes back; None for all.

    Raises:
        ValueError: One of them is out of range, or a sequence is shorter than its burn-in.
    """
    if sequence_length < 1 or burn_in_steps < 0 or (bptt_steps is not None and bptt_steps < 1):
        raise ValueError(
            "sequence_length and bptt_steps must be at least 1 and burn_in_steps at least 0, got "
            f"{sequence_length}, {bptt_steps} and {burn_in_steps}"
        )
    if burn_in_steps > sequence_length:
        raise ValueError(
            f"a sequence must not be shorter than its burn-in, got sequence_length="
            f"{sequence_length} and burn_in_steps={burn_in_steps}; lengthen the one or shorten the "
            "other"
        )
