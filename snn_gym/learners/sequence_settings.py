"""Lengths of sequences and credit, checked in one place for files, models and commands."""

from __future__ import annotations

from typing import Literal, get_args

CreditName = Literal["bptt", "eprop"]
"""Which gradient a spiking network learns by."""
CreditFeedbackName = Literal["symmetric", "random"]
"""By which weights the error of the readout reaches spiking neurons."""


def check_credit(credit: str, feedback: str) -> None:
    """Refuse a kind of credit or feedback that is unknown, or one that does not fit the other.

    Args:
        credit: One of ``CreditName``.
        feedback: One of ``CreditFeedbackName``.

    Raises:
        ValueError: It is none of them, or feedback is random without e-prop.
    """
    for name, value, kind in (
        ("credit", credit, CreditName),
        ("feedback", feedback, CreditFeedbackName),
    ):
        if value not in get_args(kind):
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, get_args(kind)))}, got {value!r}"
            )
    if feedback == "random" and credit != "eprop":
        raise ValueError(
            f"feedback='random' belongs to credit='eprop', got credit={credit!r}; set the one or "
            "leave out the other"
        )


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
