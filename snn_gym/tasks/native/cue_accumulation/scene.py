"""The corridor of cue accumulation: cues seen so far on both sides, and the go signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_GO = 2
_NOTHING = 3


def draw_scene(cues: list[int], total: int, shown: int) -> NDArray[np.uint8]:
    """Draw the cues that were shown, first at the bottom.

    Args:
        cues: Sides of the cues so far, 0 left and 1 right.
        total: Cues of the episode.
        shown: What is shown now: a side, 2 for the go signal, 3 for nothing.

    Returns:
        Image (256, 256, 3), uint8. The present cue is red, the go signal a green bar.
    """
    image = canvas.blank()
    canvas.rectangle(
        image, 0, canvas.WIDTH * 0.36, canvas.HEIGHT, canvas.WIDTH * 0.28, canvas.FAINT
    )
    spacing = canvas.HEIGHT * 0.8 / total
    for number, side in enumerate(cues):
        row = canvas.HEIGHT * 0.95 - (number + 0.5) * spacing
        is_present = number == len(cues) - 1 and shown == side
        column = canvas.WIDTH * (0.18 if side == 0 else 0.82)
        canvas.disc(
            image,
            row,
            column,
            min(14.0, spacing * 0.4),
            canvas.ACCENT if is_present else canvas.INK,
        )
    if shown == _GO:
        canvas.rectangle(
            image,
            canvas.HEIGHT * 0.04,
            canvas.WIDTH * 0.36,
            canvas.HEIGHT * 0.08,
            canvas.WIDTH * 0.28,
            canvas.GOOD,
        )
    return image
