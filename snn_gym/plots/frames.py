"""Episodes that are played for a film, and each of its frames."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

from snn_gym.plots.style import BLACK, GREY, layer_colours
from snn_gym.policies.protocols import Acting, RecordedPolicy
from snn_gym.spiking import Recording

# ---- episode -------------------------------------------------------------------------------------
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One layer over consecutive decisions."""

    name: str
    spikes: FloatArray
    """(decisions * T, N), 0 or 1."""
    voltages: FloatArray | None
    """(decisions * T, N) before the reset; None of the input."""
    thresholds: FloatArray | None
    """(decisions * T, N); None where there is none to tell."""


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """A network over consecutive decisions of one episode."""

    layers: tuple[LayerTrace, ...]
    """Spiking layers, input side first."""
    dt_ms: float
    """Length of a time step (ms)."""
    time_steps: int
    """Time steps of a decision, T."""
    decisions: int
    """Decisions recorded."""
    stateful: bool = False
    """Whether a decision goes on from the state that the one before left, or starts from rest."""

    @property
    def decision_ms(self) -> float:
        """Length of a decision (ms)."""
        return self.time_steps * self.dt_ms

    @property
    def times_ms(self) -> FloatArray:
        """Middle of every time step (ms), (decisions * T,)."""
        return (np.arange(self.decisions * self.time_steps, dtype=np.float64) + 0.5) * self.dt_ms


@dataclass(frozen=True, eq=False)
class Decision:
    """A decision of an episode, and what came of it."""

    index: int
    """Which one of its episode, from 1."""
    recording: Recording | None
    """Recording of the network; None of a policy without recordings."""
    action: Any
    """Action that the environment was given."""
    reward: float
    """In the task's reward units."""
    episode_return: float
    """Undiscounted sum of the rewards so far, this one included."""
    over: bool
    """Whether the episode ended with it."""


def play_episode(policy: Acting, env: gym.Env[Any, Any], seed: int) -> Iterator[Decision]:
    """Play an episode deterministically, one decision each time the next is asked for.

    Between two decisions the environment is as the former left it, ready to be drawn.

    Args:
        policy: Policy of Stable-Baselines3's interface. Of ours, a noisy encoder's noise restarts
            with the seed, as in an evaluation.
        env: Environment, which is left open.
        seed: Seed of the episode.

    Yields:
        Its decisions, the last one with ``over``.
    """
    if hasattr(policy, "reseed_noise"):
        policy.reseed_noise(seed)
    observation, _ = env.reset(seed=seed)
    state, total = None, np.float64(0)
    for index in itertools.count(1):
        # Before the decision: recording leaves the noise where it is, and deciding then draws it.
        recording = policy.record(observation, state) if hasattr(policy, "record") else None
        action, state = policy.predict(observation, state, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += np.float64(reward)
        over = bool(terminated or truncated)
        yield Decision(index, recording, action, float(reward), float(total), over)
        if over:
            return


def record_episode(
    policy: RecordedPolicy, env: gym.Env[Any, Any], seed: int, max_decisions: int
) -> EpisodeTrace:
    """Play an episode deterministically and record its first decisions.

    Args:
        policy: Policy of ``snn_gym.policies`` that spikes; a noisy encoder's noise restarts with
            the seed, as in an evaluation.
        env: Environment, which is closed afterwards.
        seed: Seed of the episode.
        max_decisions: Decisions to record; fewer if the episode is shorter.

    Raises:
        ValueError: The policy does not spike.
    """
    decisions = itertools.islice(play_episode(policy, env, seed), max_decisions)
    recordings = [x.recording for x in decisions if x.recording is not None]
    env.close()
    return join(recordings, stateful=policy.carries_state)


def join(recordings: Sequence[Recording], *, stateful: bool = False) -> EpisodeTrace:
    """Join recordings of single decisions in time.

    Args:
        recordings: One of each decision, of a batch of one.
        stateful: Whether each decision went on from the state of the one before.

    Raises:
        ValueError: The network does not spike.
    """
    if not recordings or not recordings[0].layers:
        raise ValueError("the policy does not spike, so there are no spikes to draw")
    first = recordings[0]
    layers = tuple(
        _join_layer([recording.layers[k] for recording in recordings])
        for k in range(len(first.layers))
    )
    time_steps = first.layers[0].spikes.shape[0]
    return EpisodeTrace(layers, first.dt_ms, time_steps, len(recordings), stateful)


def _join_layer(parts: Sequence[Any]) -> LayerTrace:
    # (T, 1, N) of each decision -> (decisions * T, N)
    spikes = np.concatenate([_array(part.spikes) for part in parts])
    voltages = thresholds = None
    if parts[0].voltages is not None:
        voltages = np.concatenate([_array(part.voltages) for part in parts])
    if isinstance(parts[0].v_threshold, Tensor):
        thresholds = np.concatenate([_array(part.v_threshold) for part in parts])
    elif parts[0].v_threshold is not None:
        thresholds = np.full_like(spikes, parts[0].v_threshold)
    return LayerTrace(parts[0].name, spikes, voltages, thresholds)


def _array(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy()[:, 0].astype(np.float64)
    return array


# ---- frames --------------------------------------------------------------------------------------
# Draw one frame of a film: the task, and under it the spikes of the agent's network, scrolling.
#
# Pixels by numpy and letters by Pillow: a film has hundreds of frames, and a figure of matplotlib's
# takes a tenth of a second for each.
SHOWN_DECISIONS = 40
"""Decisions that the raster looks back, unless they have so many time steps that fewer fit."""
WIDTH = 720
"""Width of every frame (pixels)."""

Pixels = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_RASTER_WIDTH = 600
_MARGIN = 10
_LINE = 22
_GAP = 8
_PICTURE_HEIGHT = 300
_LARGEST_ROW = 6
_ROWS_OF_SMALL_PIXELS = 128
_MOST_ROWS = 160
_FONT_SIZE, _SMALL_FONT_SIZE = 14, 12
_PAPER = "#ffffff"
_PANEL = "#f5f6f8"
_NOW = "#fff1cc"
_BOUNDARY = "#e2e4e8"
_GREYS = ("#444444", "#888888", "#aaaaaa", "#cccccc")


@dataclass(frozen=True, eq=False)
class LayerSpikes:
    """The latest spikes of a layer."""

    name: str
    spikes: NDArray[np.bool_]
    """(time steps, N), the latest last."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Content of a frame."""

    picture: Pixels
    """The task's own picture, of any size."""
    layers: tuple[LayerSpikes, ...]
    """Layers that spike, input side first; none of an agent that does not."""
    time_steps: int
    """Time steps of a decision; 0 of an agent that does not spike."""
    heading: str
    """Title above the picture: agent and environment."""
    status: str
    """Decision, action and return, under it."""


def draw_frame(frame: Frame) -> Pixels:
    """Draw a frame; frames of equal sizes of picture and layers have equal sizes.

    Time runs to the right, a column for each time step, up to now at the right edge; neurons are
    rows, the output side on top. The latest decision stands out, and thin lines part the others. Of
    a layer with more neurons than rows, a row shows a spike if any of its neurons fired.

    Args:
        frame: What it shows.

    Returns:
        Image (height, ``WIDTH``, 3), uint8; its height is even, as films need.
    """
    picture = fitted(frame.picture)
    below = _MARGIN + _LINE + picture.shape[0] + _GAP
    tops, height = _places(frame.layers, below + _LINE + _GAP)
    canvas = np.empty((height, WIDTH, 3), np.uint8)
    canvas[:] = _rgb(_PAPER)
    left = (WIDTH - picture.shape[1]) // 2
    canvas[_MARGIN + _LINE : _MARGIN + _LINE + len(picture), left : left + picture.shape[1]] = (
        picture
    )
    colours = layer_colours([layer.name for layer in frame.layers])
    for layer, top in zip(frame.layers[::-1], tops, strict=True):
        raster = draw_spikes(layer.spikes, frame.time_steps, colours[layer.name])
        right = WIDTH - _MARGIN
        canvas[top : top + len(raster), right - raster.shape[1] : right] = raster
    return _with_text(canvas, frame, below, tops)


def film_colours(layers: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the colours that frames have beside those of the task's picture (RGB).

    Args:
        layers: Names of the layers, input side first.
    """
    names = (_PAPER, _PANEL, _NOW, _BOUNDARY, BLACK, GREY, *_GREYS)
    return [_rgb(name) for name in (*names, *layer_colours(layers).values())]


def shown_steps(time_steps: int) -> int:
    """Return how many time steps the raster looks back.

    Args:
        time_steps: Time steps of a decision.
    """
    columns = _RASTER_WIDTH // _column_pixels(time_steps)
    decisions = min(SHOWN_DECISIONS, columns // time_steps)
    return decisions * time_steps or columns


def draw_spikes(spikes: NDArray[np.bool_], time_steps: int, colour: str) -> Pixels:
    """Draw the raster of a layer.

    Args:
        spikes: (steps, N), the latest last; of more steps than are shown the first are left out.
        time_steps: Time steps of a decision.
        colour: Colour of a spike, as matplotlib names it.

    Returns:
        Image (rows, columns, 3), uint8, of a size that follows from N and ``time_steps`` alone.
    """
    shown, neurons = shown_steps(time_steps), spikes.shape[1]
    wide, high, pooled = _column_pixels(time_steps), _row_pixels(neurons), _pooled(neurons)
    grid = np.zeros((shown, pooled * _rows(neurons)), np.bool_)
    latest = spikes[-shown:]
    grid[shown - len(latest) :, :neurons] = latest
    cells = grid.reshape(shown, -1, pooled).any(axis=2).T  # (rows, time steps)
    lit = np.repeat(np.repeat(cells, high, axis=0), wide, axis=1)
    image = np.empty((*lit.shape, 3), np.uint8)
    image[:] = _rgb(_PANEL)
    image[:, -wide * time_steps :] = _rgb(_NOW)
    starts = np.arange(image.shape[1] - wide * time_steps, -1, -wide * time_steps)
    image[:, starts] = _rgb(_BOUNDARY)
    image[lit] = _rgb(colour)
    return image


def fitted(picture: Pixels) -> Pixels:
    """Return a task's picture, made smaller where it is too large for a frame.

    Args:
        picture: (height, width, 3), uint8.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, (WIDTH - 2 * _MARGIN) / width, _PICTURE_HEIGHT / height)
    if scale == 1.0:
        return picture
    size = max(1, round(scale * width)), max(1, round(scale * height))
    resized: Pixels = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return resized


def _places(layers: Sequence[LayerSpikes], top: int) -> tuple[list[int], int]:
    """Return the top of each raster, the output side first, and the height of the frame."""
    tops = []
    for layer in layers[::-1]:
        tops.append(top)
        neurons = layer.spikes.shape[1]
        # A label has two lines, however few its neurons.
        top += max(_rows(neurons) * _row_pixels(neurons), 2 * _SMALL_FONT_SIZE + 4) + _GAP
    bottom = top + _LINE
    return tops, bottom + bottom % 2


def _with_text(canvas: Pixels, frame: Frame, below: int, tops: Sequence[int]) -> Pixels:
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    normal, small = _font(_FONT_SIZE), _font(_SMALL_FONT_SIZE)
    pen.text((_MARGIN, _MARGIN - 2), frame.heading, BLACK, normal)
    pen.text((_MARGIN, below), frame.status, BLACK, normal)
    colours = layer_colours([layer.name for layer in frame.layers])
    for layer, top in zip(frame.layers[::-1], tops, strict=True):
        neurons = layer.spikes.shape[1]
        count = "neurons" if _pooled(neurons) == 1 else f"in {_rows(neurons)} rows"
        pen.text((_MARGIN, top - 1), layer.name, colours[layer.name], small)
        pen.text((_MARGIN, top + _SMALL_FONT_SIZE + 1), f"{neurons} {count}", GREY, small)
    shown = "the agent does not spike"
    if frame.layers:
        decisions = shown_steps(frame.time_steps) / frame.time_steps
        shown = f"spikes of the last {decisions:.3g} decisions, {frame.time_steps} time steps each"
    pen.text((WIDTH - _MARGIN, len(canvas) - _GAP), shown, GREY, small, anchor="rs")
    return np.array(image)


def _column_pixels(time_steps: int) -> int:
    return max(1, round(_RASTER_WIDTH / (SHOWN_DECISIONS * time_steps)))


def _row_pixels(neurons: int) -> int:
    return max(1, min(_LARGEST_ROW, _ROWS_OF_SMALL_PIXELS // neurons))


def _pooled(neurons: int) -> int:
    """Return how many neurons share a row."""
    return -(-neurons // _MOST_ROWS)


def _rows(neurons: int) -> int:
    return -(-neurons // _pooled(neurons))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib's own, so that films and figures have the same letters on every machine.
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue
