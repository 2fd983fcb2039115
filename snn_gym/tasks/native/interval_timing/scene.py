"""Two time lines of interval timing: the interval as measured, and as produced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_LEFT, _RIGHT = 32.0, 236.0
_MEASURED_ROW, _PRODUCED_ROW = 84.0, 172.0
_BAR = 16.0
_PULSE_RADIUS = 12.0


def draw_scene(
    measured: int, produced: int, interval: int, tolerance: float, longest: int, has_gone: bool
) -> NDArray[np.uint8]:
    """Draw the interval from ready to set above the interval from set to go, to one scale.

    Args:
        measured: Environment steps since the ready pulse, at most the interval; negative before.
        produced: Environment steps since the set pulse, until the go; negative before.
        interval: Environment steps from ready to set.
        tolerance: Error at which the reward reaches 0, as a share of the interval.
        longest: Environment steps that the lines have room for.
        has_gone: The go was given.

    Returns:
        Image (256, 256, 3), uint8. Pulses are discs, red while they last. The produced interval
        runs towards the green mark through the pale zone that earns a reward; the go is a red bar.
    """
    image = canvas.blank()
    step = (_RIGHT - _LEFT) / longest
    for row in (_MEASURED_ROW, _PRODUCED_ROW):
        canvas.line(image, (row, _LEFT), (row, _RIGHT), canvas.FAINT)
    if measured >= 0:
        canvas.rectangle(image, _MEASURED_ROW - _BAR / 2, _LEFT, _BAR, measured * step, canvas.INK)
        _pulse(image, _MEASURED_ROW, _LEFT, is_now=measured == 0)
    if produced >= 0:
        centre, reach = _LEFT + interval * step, tolerance * interval * step
        width = min(2 * reach, _RIGHT - centre + reach)
        canvas.rectangle(
            image, _PRODUCED_ROW - 2 * _BAR, centre - reach, 4 * _BAR, width, canvas.FAINT
        )
        canvas.rectangle(image, _PRODUCED_ROW - _BAR / 2, _LEFT, _BAR, produced * step, canvas.INK)
        canvas.rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - 2, 4 * _BAR, 4, canvas.GOOD)
        is_now = produced == 0 and not has_gone
        _pulse(image, _MEASURED_ROW, _LEFT + interval * step, is_now)
        _pulse(image, _PRODUCED_ROW, _LEFT, is_now)
    if has_gone:
        end = _LEFT + produced * step
        canvas.rectangle(image, _PRODUCED_ROW - 2 * _BAR, end - 3, 4 * _BAR, 6, canvas.ACCENT)
    return image


def _pulse(image: NDArray[np.uint8], row: float, column: float, is_now: bool) -> None:
    canvas.disc(image, row, column, _PULSE_RADIUS, canvas.ACCENT if is_now else canvas.INK)
