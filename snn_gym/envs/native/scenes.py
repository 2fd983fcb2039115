"""Pictures of the native spiking tasks, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.native import canvas

# ---- cue accumulation ----------------------------------------------------------------------------
_GO = 2
_NOTHING = 3


def draw_cue_accumulation(cues: list[int], total: int, shown: int) -> NDArray[np.uint8]:
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


# ---- cursor decoding -----------------------------------------------------------------------------
_WORKSPACE_MARGIN = 12.0
_CURSOR_RADIUS = 6.0
_ARROW_LENGTH = 36.0

Point = tuple[float, float]


def pixel(place: Point) -> Point:
    """Return (row, column) of a place (x, y) in the workspace [-1, 1] x [-1, 1], y upwards."""
    x, y = place
    half_height, half_width = canvas.HEIGHT / 2, canvas.WIDTH / 2
    return (
        half_height - y * (half_height - _WORKSPACE_MARGIN),
        half_width + x * (half_width - _WORKSPACE_MARGIN),
    )


def draw_cursor_decoding(
    cursor: Point, before: Point, target: Point, intention: Point, radius: float, held: float
) -> NDArray[np.uint8]:
    """Draw the workspace.

    Args:
        cursor: Place of the cursor.
        before: Where it was one environment step ago.
        target: Centre of the target.
        intention: Direction and strength in which the user wants to move, length at most 1.
        radius: Of the target.
        held: Share of the holding time that the cursor has been inside.

    Returns:
        Image (256, 256, 3), uint8. The target is a green ring that fills while it is held, the
        cursor blue with its last way behind it; the red line is the intention.
    """
    image = canvas.blank()
    for edge in (_WORKSPACE_MARGIN, canvas.HEIGHT - _WORKSPACE_MARGIN - 1):
        canvas.rectangle(
            image, edge, _WORKSPACE_MARGIN, 1, canvas.WIDTH - 2 * _WORKSPACE_MARGIN, canvas.FAINT
        )
        canvas.rectangle(
            image, _WORKSPACE_MARGIN, edge, canvas.HEIGHT - 2 * _WORKSPACE_MARGIN, 1, canvas.FAINT
        )
    canvas.disc(image, canvas.HEIGHT / 2, canvas.WIDTH / 2, 2.0, canvas.FAINT)
    size = radius * (canvas.HEIGHT / 2 - _WORKSPACE_MARGIN)
    canvas.disc(image, *pixel(target), size, canvas.GOOD)
    canvas.disc(image, *pixel(target), size - 3.0, canvas.PAPER)
    if held > 0:
        canvas.disc(image, *pixel(target), (size - 3.0) * held, canvas.GOOD)
    row, column = pixel(cursor)
    canvas.line(image, pixel(before), (row, column), canvas.FAINT, 8.0)
    tip = (row - intention[1] * _ARROW_LENGTH, column + intention[0] * _ARROW_LENGTH)
    canvas.line(image, (row, column), tip, canvas.ACCENT, 3.0)
    canvas.disc(image, row, column, _CURSOR_RADIUS, canvas.INK)
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
    """Draw the sample on the left, what is shown now on the right, the time below.

    Args:
        sample: Where neurons burst (T, C); time runs to the right, neurons downwards.
        shown: The same of the pattern that is shown now; None: nothing.
        is_sample: The sample is shown now: red on the left, nothing on the right.
        is_test: The test is shown now, with the go signal: green.
        progress: Share of the trial that has passed.

    Returns:
        Image (256, 256, 3), uint8.
    """
    image = canvas.blank()
    _panel(image, _TRIAL_LEFT, sample, canvas.ACCENT if is_sample else canvas.INK)
    _panel(
        image, _TRIAL_RIGHT, None if is_sample else shown, canvas.GOOD if is_test else canvas.ACCENT
    )
    length = canvas.WIDTH - 2 * _TRIAL_LEFT
    canvas.rectangle(image, _BAR_TOP, _TRIAL_LEFT, 12, length, canvas.FAINT)
    canvas.rectangle(
        image, _BAR_TOP, _TRIAL_LEFT, 12, length * progress, canvas.GOOD if is_test else canvas.INK
    )
    if is_test:
        canvas.rectangle(
            image, canvas.HEIGHT * 0.02, _TRIAL_RIGHT, canvas.HEIGHT * 0.03, _WIDTH, canvas.GOOD
        )
    return image


def _panel(
    image: NDArray[np.uint8], left: int, pattern: NDArray[np.bool_] | None, colour: canvas.Colour
) -> None:
    canvas.rectangle(image, _TOP, left, _HEIGHT, _WIDTH, canvas.FAINT)
    if pattern is None:
        return
    times, neurons = pattern.shape
    width, height = _WIDTH / times, _HEIGHT / neurons
    for time, neuron in np.argwhere(pattern):
        canvas.rectangle(
            image, _TOP + neuron * height, left + time * width, height - 1, width - 1, colour
        )


# ---- desynchronisation ---------------------------------------------------------------------------
MARGIN = 12.0
BASE_ROW = 176.0
"""Where the bars of activity stand (pixels)."""
STIMULATION_ROW = 218.0
"""Where the bars of stimulation start, up or down (pixels)."""
_FULL_COUNT = 32.0
_ACTIVITY_HEIGHT = BASE_ROW - MARGIN
_STIMULATION_HEIGHT = 26.0


def draw_desynchronisation(
    counts: Sequence[float], amplitudes: Sequence[float], healthy: float, length: int
) -> NDArray[np.uint8]:
    """Draw the latest environment steps, newest at the right.

    Args:
        counts: Spikes of the 32 excitatory neurons in each environment step.
        amplitudes: Stimulation in each, in [-1, 1].
        healthy: Number of spikes that counts as calm.
        length: Environment steps that the picture has room for.

    Returns:
        Image (256, 256, 3), uint8. The green band is where calm is above one half; bars of activity
        within it are green too, others blue. Bars of stimulation are red.
    """
    image = canvas.blank()
    width = (canvas.WIDTH - 2 * MARGIN) / length
    half = healthy * 0.5**0.5
    scale = _ACTIVITY_HEIGHT / _FULL_COUNT
    top = BASE_ROW - (healthy + half) * scale
    canvas.rectangle(image, top, MARGIN, 2 * half * scale, canvas.WIDTH - 2 * MARGIN, canvas.FAINT)
    for place, (count, amplitude) in enumerate(zip(counts, amplitudes, strict=True)):
        left = canvas.WIDTH - MARGIN - (len(counts) - place) * width
        height = min(count, _FULL_COUNT) * scale
        colour = canvas.GOOD if abs(count - healthy) <= half else canvas.INK
        canvas.rectangle(image, BASE_ROW - height, left + 1, height, width - 1, colour)
        size = abs(amplitude) * _STIMULATION_HEIGHT
        up = STIMULATION_ROW - size if amplitude > 0 else STIMULATION_ROW
        canvas.rectangle(image, up, left + 1, size, width - 1, canvas.ACCENT)
    row = BASE_ROW - healthy * scale
    canvas.rectangle(image, row, MARGIN, 1, canvas.WIDTH - 2 * MARGIN, canvas.GOOD)
    for line in (BASE_ROW, STIMULATION_ROW):
        canvas.rectangle(image, line, MARGIN, 1, canvas.WIDTH - 2 * MARGIN, canvas.INK)
    return image


# ---- event tracking ------------------------------------------------------------------------------
_DARK = (18, 24, 38)
_LIGHT = (255, 236, 170)
_OFF = (90, 150, 240)
_ARENA_MARGIN = 8  # pixels of the arena shown beyond its border, where the view can reach


def draw_event_tracking(
    light: list[float],
    camera: list[float],
    arena: float,
    radius: float,
    events: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Draw the arena; x goes to the right, y up.

    Args:
        light: Place (x, y) of the light (px).
        camera: Place of the middle of the view (px).
        arena: Side of the arena (px).
        radius: Standard deviation of the light (px).
        events: Latest ON and OFF events, (2, 16, 16), bool.

    Returns:
        Image (256, 256, 3), uint8: the light yellow, the view framed, ON events red and OFF events
        blue at their pixels.
    """
    scale = canvas.HEIGHT / (arena + 2 * _ARENA_MARGIN)
    image = canvas.blank(canvas.INK)
    edge, side = _ARENA_MARGIN * scale, arena * scale
    canvas.rectangle(image, edge, edge, side, side, _DARK)
    rows, columns = np.ogrid[: canvas.HEIGHT, : canvas.WIDTH]
    x = (columns + 0.5) / scale - _ARENA_MARGIN
    y = arena + _ARENA_MARGIN - (rows + 0.5) / scale
    away = (x - light[0]) ** 2 + (y - light[1]) ** 2
    glow = np.exp(-away / (2.0 * radius**2))[..., np.newaxis]
    image = (image + glow * (np.array(_LIGHT) - image)).astype(np.uint8)
    size = events.shape[1]
    left = (camera[0] - size / 2 + _ARENA_MARGIN) * scale
    bottom = (arena + _ARENA_MARGIN - camera[1] + size / 2) * scale
    for polarity, colour in enumerate((canvas.ACCENT, _OFF)):
        for row, column in np.argwhere(events[polarity]):
            corner = bottom - (row + 1) * scale + 0.2 * scale, left + (column + 0.2) * scale
            canvas.rectangle(image, *corner, 0.6 * scale, 0.6 * scale, colour)
    side = size * scale
    for top, start, height, width in (
        (bottom - side - 2, left - 2, 2, side + 4),
        (bottom, left - 2, 2, side + 4),
        (bottom - side, left - 2, side, 2),
        (bottom - side, left + side, side, 2),
    ):
        canvas.rectangle(image, top, start, height, width, canvas.PAPER)
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
    step = (_LINE_RIGHT - _LINE_LEFT) / longest
    for row in (_MEASURED_ROW, _PRODUCED_ROW):
        canvas.line(image, (row, _LINE_LEFT), (row, _LINE_RIGHT), canvas.FAINT)
    if measured >= 0:
        canvas.rectangle(
            image, _MEASURED_ROW - _BAR / 2, _LINE_LEFT, _BAR, measured * step, canvas.INK
        )
        _pulse(image, _MEASURED_ROW, _LINE_LEFT, is_now=measured == 0)
    if produced >= 0:
        centre, reach = _LINE_LEFT + interval * step, tolerance * interval * step
        width = min(2 * reach, _LINE_RIGHT - centre + reach)
        canvas.rectangle(
            image, _PRODUCED_ROW - 2 * _BAR, centre - reach, 4 * _BAR, width, canvas.FAINT
        )
        canvas.rectangle(
            image, _PRODUCED_ROW - _BAR / 2, _LINE_LEFT, _BAR, produced * step, canvas.INK
        )
        canvas.rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - 2, 4 * _BAR, 4, canvas.GOOD)
        is_now = produced == 0 and not has_gone
        _pulse(image, _MEASURED_ROW, _LINE_LEFT + interval * step, is_now)
        _pulse(image, _PRODUCED_ROW, _LINE_LEFT, is_now)
    if has_gone:
        end = _LINE_LEFT + produced * step
        canvas.rectangle(image, _PRODUCED_ROW - 2 * _BAR, end - 3, 4 * _BAR, 6, canvas.ACCENT)
    return image


def _pulse(image: NDArray[np.uint8], row: float, column: float, is_now: bool) -> None:
    canvas.disc(image, row, column, _PULSE_RADIUS, canvas.ACCENT if is_now else canvas.INK)


# ---- pattern detection ---------------------------------------------------------------------------
_WINDOW_MARGIN = 16.0
_WINDOW_HEIGHT = 176.0
_STRIP_TOP, _STRIP_HEIGHT = 216.0, 24.0


def draw_pattern_detection(
    spikes: NDArray[np.int8], present: list[bool], windows: int, pattern_channels: int
) -> NDArray[np.uint8]:
    """Draw the window above a strip of the windows so far.

    Args:
        spikes: The window (T, N).
        present: Whether each window so far, this one included, held the pattern.
        windows: Windows of the episode.
        pattern_channels: Channels that take part in the pattern, the upper ones.

    Returns:
        Image (256, 256, 3), uint8. Time runs to the right, channels downwards. Spikes of the
        pattern are red, all others blue; in the strip, windows with the pattern are green and those
        without are pale. The frame stands on the present one.
    """
    image = canvas.blank()
    time_steps, channels = spikes.shape
    width = canvas.WIDTH - 2 * _WINDOW_MARGIN
    column, row = width / time_steps, _WINDOW_HEIGHT / channels
    for step in range(time_steps + 1):
        canvas.rectangle(
            image, _WINDOW_MARGIN, _WINDOW_MARGIN + step * column, _WINDOW_HEIGHT, 1, canvas.FAINT
        )
    for step, channel in np.argwhere(spikes):
        is_pattern = present[-1] and channel < pattern_channels
        top, left = _WINDOW_MARGIN + channel * row, _WINDOW_MARGIN + step * column
        colour = canvas.ACCENT if is_pattern else canvas.INK
        canvas.rectangle(image, top, left + 2, max(row - 1, 1), column - 3, colour)
    cell = width / windows
    last = len(present) - 1
    canvas.rectangle(
        image, _STRIP_TOP - 4, _WINDOW_MARGIN + last * cell, _STRIP_HEIGHT + 8, cell, canvas.INK
    )
    for window in range(windows):
        colour = canvas.GOOD if window <= last and present[window] else canvas.FAINT
        height = _STRIP_HEIGHT if window <= last else 2
        left = _WINDOW_MARGIN + window * cell + 2
        canvas.rectangle(
            image, _STRIP_TOP + (_STRIP_HEIGHT - height) / 2, left, height, cell - 4, colour
        )
    return image


# ---- water maze ----------------------------------------------------------------------------------
_POOL_MARGIN = 14
_POOL = canvas.WIDTH - 2 * _POOL_MARGIN


def draw_water_maze(
    trail: list[list[float]],
    sites: list[list[float]],
    platform: list[float],
    radius: float,
    on_platform: bool,
) -> NDArray[np.uint8]:
    """Draw the pool; x goes to the right, y up.

    Args:
        trail: Places (x, y) since the last start, latest last, at least one; in pool sides.
        sites: Places where the platform may be.
        platform: Where it is.
        radius: Its radius, in pool sides.
        on_platform: Whether the animal stands on it.

    Returns:
        Image (256, 256, 3), uint8. The platform is green, the other candidates are white, the
        animal is blue, or red on the platform.
    """
    image = canvas.blank()
    canvas.rectangle(image, _POOL_MARGIN - 3, _POOL_MARGIN - 3, _POOL + 6, _POOL + 6, canvas.INK)
    canvas.rectangle(image, _POOL_MARGIN, _POOL_MARGIN, _POOL, _POOL, canvas.FAINT)
    for site in sites:
        row, column = _pixel(site)
        canvas.disc(image, row, column, radius * _POOL, canvas.PAPER)
        canvas.disc(image, row, column, radius * _POOL - 2, canvas.FAINT)
    canvas.disc(image, *_pixel(platform), radius * _POOL, canvas.GOOD)
    points = [_pixel(place) for place in trail]
    for start, end in pairwise(points):
        canvas.line(image, start, end, canvas.INK, width=2.0)
    for row, column in points[:-1]:
        canvas.disc(image, row, column, 3.0, canvas.INK)
    canvas.disc(image, *points[-1], 9.0, canvas.PAPER)
    canvas.disc(image, *points[-1], 7.0, canvas.ACCENT if on_platform else canvas.INK)
    return image


def _pixel(place: list[float]) -> tuple[float, float]:
    """Return row and column of a place; row 0 is the top of the image."""
    x, y = place
    return canvas.HEIGHT - 1 - _POOL_MARGIN - y * (_POOL - 1), _POOL_MARGIN + x * (_POOL - 1)
