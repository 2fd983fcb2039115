"""Images in numpy: a canvas, rasters of spikes beside a task's image, and the window."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

# ---- canvas --------------------------------------------------------------------------------------
HEIGHT, WIDTH = 256, 256

PAPER = (255, 255, 255)
INK = (24, 56, 112)
ACCENT = (200, 60, 20)
GOOD = (40, 130, 70)
FAINT = (214, 220, 230)

Colour = tuple[int, int, int]


def blank(colour: Colour = PAPER) -> NDArray[np.uint8]:
    """Return an image (256, 256, 3) of one colour."""
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
    """Draw a line between two points (row, column) in pixels, clipped to the image."""
    (row, column), (to_row, to_column) = start, end
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    along_row, along_column = to_row - row, to_column - column
    length = max(along_row**2 + along_column**2, 1e-9)
    share = np.clip(((rows - row) * along_row + (columns - column) * along_column) / length, 0, 1)
    distance = (rows - row - share * along_row) ** 2 + (
        columns - column - share * along_column
    ) ** 2
    image[distance <= (width / 2) ** 2] = colour


# ---- raster --------------------------------------------------------------------------------------
SHOWN_ENVIRONMENT_STEPS = 16
"""Environment steps shown by the raster."""

_PANEL_WIDTH = 384
_MARGIN = 12
_PAPER = np.array([255, 255, 255], np.uint8)
_BAND = np.array([236, 240, 246], np.uint8)
_GRID = np.array([205, 212, 222], np.uint8)
_SPIKE = np.array([24, 56, 112], np.uint8)
_LATEST = np.array([200, 60, 20], np.uint8)


class SpikeRenderer:
    """Renderer of the latest spike trains beside an image of the base environment.

    Time runs to the right, one column per time step. Channels run downwards, one row each, in bands
    of ``channels_per_value`` rows per observed value. Thin lines separate environment steps; the
    latest one is red.
    """

    def __init__(self, channels_per_value: int) -> None:
        self._channels_per_value = channels_per_value
        self._history: deque[NDArray[np.int8]] = deque(maxlen=SHOWN_ENVIRONMENT_STEPS)

    def clear(self) -> None:
        """Delete all stored spikes, at the start of an episode."""
        self._history.clear()

    def add(self, spikes: NDArray[np.int8]) -> None:
        """Store the spikes (T, N) of an environment step; the latest 16 steps stay."""
        self._history.append(spikes.copy())

    def draw(self, base_frame: Any) -> NDArray[np.uint8]:
        """Return ``base_frame`` (height, width, 3) with the spikes to its right, uint8."""
        frame = np.asarray(base_frame, np.uint8)
        height = frame.shape[0]
        panel = np.full((height, _PANEL_WIDTH, 3), _PAPER)
        if self._history:
            inside = draw_raster(
                list(self._history),
                self._channels_per_value,
                height - 2 * _MARGIN,
                _PANEL_WIDTH - 2 * _MARGIN,
            )
            panel[_MARGIN : height - _MARGIN, _MARGIN : _PANEL_WIDTH - _MARGIN] = inside
        return np.concatenate([frame, panel], axis=1)


def draw_raster(
    history: list[NDArray[np.int8]], channels_per_value: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Return a raster (height, width, 3), uint8, of environment steps, oldest first.

    ``history`` holds the spikes (T, N) of 1 to ``SHOWN_ENVIRONMENT_STEPS``; with fewer the right
    part is empty.
    """
    time_steps, channels = history[0].shape
    columns = time_steps * SHOWN_ENVIRONMENT_STEPS
    cells = np.full((channels, columns, 3), _PAPER)
    cells[np.arange(channels) // channels_per_value % 2 == 0] = _BAND
    spikes = np.concatenate(history).T.astype(bool)  # (N, T * environment steps)
    now = spikes.shape[1]
    cells[:, :now][spikes] = _SPIKE
    cells[:, now - time_steps : now][spikes[:, -time_steps:]] = _LATEST
    image = enlarged(cells, height, width)
    image[:, np.arange(SHOWN_ENVIRONMENT_STEPS) * width // SHOWN_ENVIRONMENT_STEPS] = _GRID
    return image


def enlarged(cells: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale cells (rows, columns, 3) to pixels (height, width, 3), without interpolation."""
    rows = np.arange(height) * cells.shape[0] // height
    columns = np.arange(width) * cells.shape[1] // width
    pixels: NDArray[np.uint8] = cells[rows][:, columns]
    return pixels


def warn_of_no_render_mode(how: str) -> None:
    """Warn that ``render()`` needs a render mode; ``how`` is a function such as ``gym.make``."""
    gym.logger.warn(
        "render() draws nothing without a render mode; "
        f'make the environment with {how}(id, render_mode="rgb_array")'
    )


class Window:
    """Pygame window, opened at the first image."""

    def __init__(self, frames_per_second: int) -> None:
        self._frames_per_second = frames_per_second
        self._surface: Any = None
        self._clock: Any = None

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show an image (height, width, 3) and wait for the frame rate."""
        import pygame

        # pygame's first axis runs to the right
        pixels = np.transpose(picture, (1, 0, 2))
        if self._surface is None:
            pygame.display.init()
            self._surface = pygame.display.set_mode(pixels.shape[:2])
            self._clock = pygame.time.Clock()
        pygame.surfarray.blit_array(self._surface, pixels)
        pygame.event.pump()
        self._clock.tick(self._frames_per_second)
        pygame.display.flip()

    def close(self) -> None:
        """Close the window; a later ``show`` opens it again."""
        if self._surface is not None:
            import pygame

            pygame.display.quit()
            self._surface = None
