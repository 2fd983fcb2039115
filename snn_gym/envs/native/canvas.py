"""A small canvas for scenes: numpy pixels, no drawing library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 256, 256
"""Size of every scene (pixels)."""

PAPER = (255, 255, 255)
INK = (24, 56, 112)
ACCENT = (200, 60, 20)
GOOD = (40, 130, 70)
FAINT = (214, 220, 230)
"""Colours of all scenes (RGB)."""

Colour = tuple[int, int, int]


def blank(colour: Colour = PAPER) -> NDArray[np.uint8]:
    """Return an empty scene (256, 256, 3), uint8."""
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def rectangle(
    image: NDArray[np.uint8], top: float, left: float, height: float, width: float, colour: Colour
) -> None:
    """Fill a rectangle, clipped to the image; places are pixels from the top left corner."""
    rows = slice(max(0, round(top)), max(0, round(top + height)))
    columns = slice(max(0, round(left)), max(0, round(left + width)))
    image[rows, columns] = colour


def disc(
    image: NDArray[np.uint8], row: float, column: float, radius: float, colour: Colour
) -> None:
    """Fill a disc, clipped to the image; places are pixels from the top left corner."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = colour


def line(
    image: NDArray[np.uint8],
    start: tuple[float, float],
    end: tuple[float, float],
    colour: Colour,
    width: float = 2.0,
) -> None:
    """Draw a straight line between two points (row, column) in pixels, clipped to the image."""
    (row, column), (to_row, to_column) = start, end
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    along_row, along_column = to_row - row, to_column - column
    length = max(along_row**2 + along_column**2, 1e-9)
    share = np.clip(((rows - row) * along_row + (columns - column) * along_column) / length, 0, 1)
    distance = (rows - row - share * along_row) ** 2 + (
        columns - column - share * along_column
    ) ** 2
    image[distance <= (width / 2) ** 2] = colour
