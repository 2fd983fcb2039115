"""Images of the native tasks and of MinAtar, uint8, and the canvas that draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

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


# ---- cue accumulation ----------------------------------------------------------------------------
_GO = 2


def draw_cue_accumulation(cues: list[int], total: int, shown: int) -> NDArray[np.uint8]:
    """Draw each cue so far as a disc on its side (0 left, 1 right), with room for ``total``.

    The first is at the bottom. ``shown`` is the present signal: a side, 2 for go, 3 for none. The
    present cue is red, earlier ones are blue, the go signal is a green bar.
    """
    image = blank()
    rectangle(image, 0, WIDTH * 0.36, HEIGHT, WIDTH * 0.28, FAINT)
    spacing = HEIGHT * 0.8 / total
    for number, side in enumerate(cues):
        row = HEIGHT * 0.95 - (number + 0.5) * spacing
        is_present = number == len(cues) - 1 and shown == side
        column = WIDTH * (0.18 if side == 0 else 0.82)
        disc(image, row, column, min(14.0, spacing * 0.4), ACCENT if is_present else INK)
    if shown == _GO:
        rectangle(image, HEIGHT * 0.04, WIDTH * 0.36, HEIGHT * 0.08, WIDTH * 0.28, GOOD)
    return image


# ---- cursor decoding -----------------------------------------------------------------------------
_WORKSPACE_MARGIN = 12.0
_CURSOR_RADIUS = 6.0
_ARROW_LENGTH = 36.0

Point = tuple[float, float]


def pixel(place: Point) -> Point:
    """Return (row, column) of a place (x, y) in the workspace [-1, 1] x [-1, 1], y upwards."""
    x, y = place
    half_height, half_width = HEIGHT / 2, WIDTH / 2
    return (
        half_height - y * (half_height - _WORKSPACE_MARGIN),
        half_width + x * (half_width - _WORKSPACE_MARGIN),
    )


def draw_cursor_decoding(
    cursor: Point, before: Point, target: Point, intention: Point, radius: float, hold_share: float
) -> NDArray[np.uint8]:
    """Draw the workspace; places are (x, y) in [-1, 1], ``radius`` is the target's.

    The target is a green ring that fills by the share of the holding time. The cursor is
    blue, with a pale line from its place ``before``. The red line is the user's intention.
    """
    image = blank()
    for edge in (_WORKSPACE_MARGIN, HEIGHT - _WORKSPACE_MARGIN - 1):
        rectangle(image, edge, _WORKSPACE_MARGIN, 1, WIDTH - 2 * _WORKSPACE_MARGIN, FAINT)
        rectangle(image, _WORKSPACE_MARGIN, edge, HEIGHT - 2 * _WORKSPACE_MARGIN, 1, FAINT)
    disc(image, HEIGHT / 2, WIDTH / 2, 2.0, FAINT)
    size = radius * (HEIGHT / 2 - _WORKSPACE_MARGIN)
    disc(image, *pixel(target), size, GOOD)
    disc(image, *pixel(target), size - 3.0, PAPER)
    if hold_share > 0:
        disc(image, *pixel(target), (size - 3.0) * hold_share, GOOD)
    row, column = pixel(cursor)
    line(image, pixel(before), (row, column), FAINT, 8.0)
    tip = (row - intention[1] * _ARROW_LENGTH, column + intention[0] * _ARROW_LENGTH)
    line(image, (row, column), tip, ACCENT, 3.0)
    disc(image, row, column, _CURSOR_RADIUS, INK)
    return image


# ---- delayed match to sample ---------------------------------------------------------------------
_TOP, _TRIAL_LEFT, _TRIAL_RIGHT = 20, 20, 140
_HEIGHT, _WIDTH = 180, 96
"""Places and size of the two panels (pixels)."""

_BAR_TOP = 220


def draw_delayed_match_to_sample(
    sample: NDArray[np.bool_],
    shown: NDArray[np.bool_] | None,
    *,
    is_sample: bool,
    is_test: bool,
    progress: float,
) -> NDArray[np.uint8]:
    """Draw the sample on the left, distractors and test on the right, the trial's progress below.

    Patterns are bursts (T, C): time runs to the right, neurons downwards. The right is empty for
    None and while the sample is shown. The sample is red while shown, else blue; distractors are
    red. Test pattern, progress bar and go signal are green at the test; before, the bar is blue.
    """
    image = blank()
    _panel(image, _TRIAL_LEFT, sample, ACCENT if is_sample else INK)
    _panel(image, _TRIAL_RIGHT, None if is_sample else shown, GOOD if is_test else ACCENT)
    length = WIDTH - 2 * _TRIAL_LEFT
    rectangle(image, _BAR_TOP, _TRIAL_LEFT, 12, length, FAINT)
    rectangle(image, _BAR_TOP, _TRIAL_LEFT, 12, length * progress, GOOD if is_test else INK)
    if is_test:
        rectangle(image, HEIGHT * 0.02, _TRIAL_RIGHT, HEIGHT * 0.03, _WIDTH, GOOD)
    return image


def _panel(
    image: NDArray[np.uint8], left: int, pattern: NDArray[np.bool_] | None, colour: Colour
) -> None:
    rectangle(image, _TOP, left, _HEIGHT, _WIDTH, FAINT)
    if pattern is None:
        return
    times, neurons = pattern.shape
    width, height = _WIDTH / times, _HEIGHT / neurons
    for time, neuron in np.argwhere(pattern):
        rectangle(image, _TOP + neuron * height, left + time * width, height - 1, width - 1, colour)


# ---- desynchronisation ---------------------------------------------------------------------------
MARGIN = 12.0
BASE_ROW = 176.0
STIMULATION_ROW = 218.0
_FULL_COUNT = 32.0
_ACTIVITY_HEIGHT = BASE_ROW - MARGIN
_STIMULATION_HEIGHT = 26.0


def draw_desynchronisation(
    counts: Sequence[float], amplitudes: Sequence[float], healthy: float, length: int
) -> NDArray[np.uint8]:
    """Draw counts and stimulations of the latest environment steps, newest at the right.

    The pale band marks calm above one half, the green line ``healthy``. Bars of excitatory spikes
    are green within the band, else blue; bars of stimulation are red, upwards if positive. The
    picture has room for ``length`` steps.
    """
    image = blank()
    width = (WIDTH - 2 * MARGIN) / length
    half = healthy * 0.5**0.5
    scale = _ACTIVITY_HEIGHT / _FULL_COUNT
    top = BASE_ROW - (healthy + half) * scale
    rectangle(image, top, MARGIN, 2 * half * scale, WIDTH - 2 * MARGIN, FAINT)
    for place, (count, amplitude) in enumerate(zip(counts, amplitudes, strict=True)):
        left = WIDTH - MARGIN - (len(counts) - place) * width
        height = min(count, _FULL_COUNT) * scale
        colour = GOOD if abs(count - healthy) <= half else INK
        rectangle(image, BASE_ROW - height, left + 1, height, width - 1, colour)
        size = abs(amplitude) * _STIMULATION_HEIGHT
        up = STIMULATION_ROW - size if amplitude > 0 else STIMULATION_ROW
        rectangle(image, up, left + 1, size, width - 1, ACCENT)
    row = BASE_ROW - healthy * scale
    rectangle(image, row, MARGIN, 1, WIDTH - 2 * MARGIN, GOOD)
    for row in (BASE_ROW, STIMULATION_ROW):
        rectangle(image, row, MARGIN, 1, WIDTH - 2 * MARGIN, INK)
    return image


# ---- event tracking ------------------------------------------------------------------------------
_DARK = (18, 24, 38)
_LIGHT = (255, 236, 170)
_OFF = (90, 150, 240)
_ARENA_MARGIN = 8  # pixels of the arena shown beyond its border, where the view can reach


def draw_event_tracking(
    light: list[float], camera: list[float], arena: float, radius: float, events: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Draw the arena; x goes to the right, y up, in pixels of the camera.

    The light is yellow, the view around ``camera`` has a white frame. ``events`` (2, 16, 16), bool,
    are ON, red, and OFF, blue.
    """
    scale = HEIGHT / (arena + 2 * _ARENA_MARGIN)
    image = blank(INK)
    edge, side = _ARENA_MARGIN * scale, arena * scale
    rectangle(image, edge, edge, side, side, _DARK)
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    x = (columns + 0.5) / scale - _ARENA_MARGIN
    y = arena + _ARENA_MARGIN - (rows + 0.5) / scale
    away = (x - light[0]) ** 2 + (y - light[1]) ** 2
    glow = np.exp(-away / (2.0 * radius**2))[..., np.newaxis]
    image = (image + glow * (np.array(_LIGHT) - image)).astype(np.uint8)
    size = events.shape[1]
    left = (camera[0] - size / 2 + _ARENA_MARGIN) * scale
    bottom = (arena + _ARENA_MARGIN - camera[1] + size / 2) * scale
    for polarity, colour in enumerate((ACCENT, _OFF)):
        for row, column in np.argwhere(events[polarity]):
            corner = bottom - (row + 1) * scale + 0.2 * scale, left + (column + 0.2) * scale
            rectangle(image, *corner, 0.6 * scale, 0.6 * scale, colour)
    side = size * scale
    for top, start, height, width in (
        (bottom - side - 2, left - 2, 2, side + 4),
        (bottom, left - 2, 2, side + 4),
        (bottom - side, left - 2, side, 2),
        (bottom - side, left + side, side, 2),
    ):
        rectangle(image, top, start, height, width, PAPER)
    return image


# ---- interval timing -----------------------------------------------------------------------------
_LINE_LEFT, _LINE_RIGHT = 32.0, 236.0
_MEASURED_ROW, _PRODUCED_ROW = 84.0, 172.0
_BAR = 16.0
_PULSE_RADIUS = 12.0


def draw_interval_timing(
    measured: int, produced: int, interval: int, tolerance: float, longest: int, has_gone: bool
) -> NDArray[np.uint8]:
    """Draw the interval from ready to set above the interval from set to go, to one scale.

    Pulses are discs, red while they last. The produced interval runs towards the green mark through
    the pale zone that earns a reward; the go is a red bar. ``measured`` and ``produced`` count
    environment steps since ready and set, and are negative before. ``longest`` fills the line.
    """
    image = blank()
    step = (_LINE_RIGHT - _LINE_LEFT) / longest
    for row in (_MEASURED_ROW, _PRODUCED_ROW):
        line(image, (row, _LINE_LEFT), (row, _LINE_RIGHT), FAINT)
    if measured >= 0:
        rectangle(image, _MEASURED_ROW - _BAR / 2, _LINE_LEFT, _BAR, measured * step, INK)
        _pulse(image, _MEASURED_ROW, _LINE_LEFT, is_now=measured == 0)
    if produced >= 0:
        centre, reach = _LINE_LEFT + interval * step, tolerance * interval * step
        width = min(2 * reach, _LINE_RIGHT - centre + reach)
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - reach, 4 * _BAR, width, FAINT)
        rectangle(image, _PRODUCED_ROW - _BAR / 2, _LINE_LEFT, _BAR, produced * step, INK)
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - 2, 4 * _BAR, 4, GOOD)
        is_now = produced == 0 and not has_gone
        _pulse(image, _MEASURED_ROW, _LINE_LEFT + interval * step, is_now)
        _pulse(image, _PRODUCED_ROW, _LINE_LEFT, is_now)
    if has_gone:
        end = _LINE_LEFT + produced * step
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, end - 3, 4 * _BAR, 6, ACCENT)
    return image


def _pulse(image: NDArray[np.uint8], row: float, column: float, is_now: bool) -> None:
    disc(image, row, column, _PULSE_RADIUS, ACCENT if is_now else INK)


# ---- pattern detection ---------------------------------------------------------------------------
_WINDOW_MARGIN = 16.0
_WINDOW_HEIGHT = 176.0
_STRIP_TOP, _STRIP_HEIGHT = 216.0, 24.0


def draw_pattern_detection(
    spikes: NDArray[np.int8], present: list[bool], windows: int, pattern_channels: int
) -> NDArray[np.uint8]:
    """Draw the spikes (T, N) of the window above a strip of the windows so far, ``present``.

    Time runs to the right, channels downwards. Spikes of the pattern are red, all others blue. In
    the strip, windows with the pattern are green, without it pale, later ones thin; a frame marks
    the present one.
    """
    image = blank()
    time_steps, channels = spikes.shape
    width = WIDTH - 2 * _WINDOW_MARGIN
    column, row = width / time_steps, _WINDOW_HEIGHT / channels
    for step in range(time_steps + 1):
        rectangle(image, _WINDOW_MARGIN, _WINDOW_MARGIN + step * column, _WINDOW_HEIGHT, 1, FAINT)
    for step, channel in np.argwhere(spikes):
        is_pattern = present[-1] and channel < pattern_channels
        top, left = _WINDOW_MARGIN + channel * row, _WINDOW_MARGIN + step * column
        colour = ACCENT if is_pattern else INK
        rectangle(image, top, left + 2, max(row - 1, 1), column - 3, colour)
    cell = width / windows
    last = len(present) - 1
    rectangle(image, _STRIP_TOP - 4, _WINDOW_MARGIN + last * cell, _STRIP_HEIGHT + 8, cell, INK)
    for window in range(windows):
        colour = GOOD if window <= last and present[window] else FAINT
        height = _STRIP_HEIGHT if window <= last else 2
        left = _WINDOW_MARGIN + window * cell + 2
        rectangle(image, _STRIP_TOP + (_STRIP_HEIGHT - height) / 2, left, height, cell - 4, colour)
    return image


# ---- recall --------------------------------------------------------------------------------------
_GRID_MARGIN = 16.0


def draw_recall(
    channels: int, items: Sequence[int], shown: int, *, is_probe: bool
) -> NDArray[np.uint8]:
    """Draw each channel as a cell of a square grid, row by row; the ``items`` so far are blue.

    The channel ``shown``, -1 for none, is red as an item. A probe is a green disc in its cell.
    """
    image = blank()
    side = math.ceil(math.sqrt(channels))
    size = (WIDTH - 2 * _GRID_MARGIN) / side
    for channel in range(channels):
        top, left = (_GRID_MARGIN + place * size for place in divmod(channel, side))
        colour = INK if channel in items else FAINT
        if channel == shown and not is_probe:
            colour = ACCENT
        rectangle(image, top + 2, left + 2, size - 4, size - 4, colour)
        if channel == shown and is_probe:
            disc(image, top + size / 2, left + size / 2, size * 0.3, GOOD)
    return image


# ---- water maze ----------------------------------------------------------------------------------
_POOL_MARGIN = 14
_POOL = WIDTH - 2 * _POOL_MARGIN


def draw_water_maze(
    trail: list[list[float]],
    sites: list[list[float]],
    platform: list[float],
    radius: float,
    on_platform: bool,
) -> NDArray[np.uint8]:
    """Draw the pool; x goes to the right, y up.

    The platform is green, the other sites are white rings, the animal is blue, or red on the
    platform. A line joins the places of its ``trail``, newest last.
    """
    image = blank()
    rectangle(image, _POOL_MARGIN - 3, _POOL_MARGIN - 3, _POOL + 6, _POOL + 6, INK)
    rectangle(image, _POOL_MARGIN, _POOL_MARGIN, _POOL, _POOL, FAINT)
    for site in sites:
        row, column = _pixel(site)
        disc(image, row, column, radius * _POOL, PAPER)
        disc(image, row, column, radius * _POOL - 2, FAINT)
    disc(image, *_pixel(platform), radius * _POOL, GOOD)
    points = [_pixel(place) for place in trail]
    for start, end in pairwise(points):
        line(image, start, end, INK, width=2.0)
    for row, column in points[:-1]:
        disc(image, row, column, 3.0, INK)
    disc(image, *points[-1], 9.0, PAPER)
    disc(image, *points[-1], 7.0, ACCENT if on_platform else INK)
    return image


def _pixel(place: list[float]) -> tuple[float, float]:
    """Return row and column of a place; row 0 is the top of the image."""
    x, y = place
    return HEIGHT - 1 - _POOL_MARGIN - y * (_POOL - 1), _POOL_MARGIN + x * (_POOL - 1)


# ---- MinAtar -------------------------------------------------------------------------------------
_PLACE_PIXELS = 25


def draw_planes(planes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Draw planes (C, rows, columns) of 0 and 1 as MinAtar does, 25 pixels a place.

    A place has the colour of its last plane with a 1, black without any. Colours are evenly spaced
    in cubehelix, without its ends.
    """
    # Only drawing needs it, and it is slow to import.
    import matplotlib as mpl

    kinds = len(planes)
    numbers = (planes * np.arange(1, kinds + 1)[:, np.newaxis, np.newaxis]).max(axis=0)
    shades = mpl.colormaps["cubehelix"](np.linspace(0.0, 1.0, kinds + 2)[1:-1])[:, :3]
    colours = np.vstack([np.zeros(3), shades])
    image: NDArray[np.uint8] = (255.0 * colours).round().astype(np.uint8)[numbers]
    return image.repeat(_PLACE_PIXELS, axis=0).repeat(_PLACE_PIXELS, axis=1)
