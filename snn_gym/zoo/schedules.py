"""Hyper-parameters that change over training, as numbers or short strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from stable_baselines3.common.utils import LinearSchedule

_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_LINEAR = re.compile(rf"lin_{_NUMBER}(?:_{_NUMBER}_{_NUMBER})?")


def parse_schedule(value: float | str) -> float | LinearSchedule:
    """Read a hyper-parameter that may change over training.

    Args:
        value: A number for a constant; ``"lin_START"`` falls linearly from START to 0 over
            training, as in RL Baselines3 Zoo (https://github.com/DLR-RM/rl-baselines3-zoo);
            ``"lin_START_END_FRACTION"`` goes to END within the first FRACTION of training.

    Returns:
        What Stable-Baselines3 takes: the number, or a schedule of the remaining progress.

    Raises:
        ValueError: The string is no such schedule.
    """
    if not isinstance(value, str):
        return float(value)
    start, end, fraction = _linear_numbers(value)
    from stable_baselines3.common.utils import LinearSchedule

    return LinearSchedule(start, end, fraction)


def check_schedule(value: float | str, name: str) -> None:
    """Raise ValueError unless a value is a schedule; imports nothing heavy.

    Args:
        value: A number or a string, as ``parse_schedule`` takes it.
        name: Name of the hyper-parameter, for the message.

    Raises:
        ValueError: The string is no schedule, or the number is negative.
    """
    if isinstance(value, str):
        try:
            _linear_numbers(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    elif not value >= 0:
        raise ValueError(f"{name}: expected a number from 0 up, got {value}")


Schedule = Annotated[float | str, check_schedule]
"""A hyper-parameter that may change over training, as ``parse_schedule`` takes it."""


def format_schedule(schedule: Any, name: str) -> float | str:
    """Write a schedule as a number or string that ``parse_schedule`` reads.

    Args:
        schedule: A number, or one of Stable-Baselines3's schedule objects.
        name: Name of the hyper-parameter, for the message.

    Raises:
        ValueError: It is some other callable, which can't be saved without its code.
    """
    from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule

    if isinstance(schedule, FloatSchedule):
        schedule = schedule.value_schedule
    if isinstance(schedule, ConstantSchedule):
        schedule = schedule.val
    if isinstance(schedule, int | float):
        return float(schedule)
    if not isinstance(schedule, LinearSchedule):
        raise ValueError(
            f"{name} is {schedule!r}, which can't be saved without its code; use a number or "
            "stable_baselines3.common.utils.LinearSchedule"
        )
    start, end, fraction = (float(getattr(schedule, k)) for k in ("start", "end", "end_fraction"))
    return f"lin_{start}" if (end, fraction) == (0.0, 1.0) else f"lin_{start}_{end}_{fraction}"


def _linear_numbers(text: str) -> tuple[float, float, float]:
    match = _LINEAR.fullmatch(text)
    if match is None:
        raise ValueError(
            f'got {text!r}; expected a number, "lin_START" such as "lin_0.001", or '
            '"lin_START_END_FRACTION"'
        )
    start, end, fraction = match.groups()
    if fraction is not None and float(fraction) == 0:
        raise ValueError(f"got {text!r}, whose fraction of training is 0; expected more than 0")
    return float(start), float(end or 0.0), float(fraction or 1.0)
