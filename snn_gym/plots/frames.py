"""Episodes that are played for a picture or a film, and the frames of a film."""

from __future__ import annotations

import functools
import itertools
import math
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
from snn_gym.policies.raw_observations import Acting, RecordedPolicy
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
    """(decisions * T, N); None of a layer without thresholds."""


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
    """A decision goes on from the state that the one before left; otherwise it starts from rest."""

    @property
    def decision_ms(self) -> float:
        """Length of a decision (ms)."""
        return self.time_steps * self.dt_ms

    @property
    def times_ms(self) -> FloatArray:
        """Middle of every time step (ms), (decisions * T,)."""
        return (np.arange(self.decisions * self.time_steps, dtype=np.float64) + 0.5) * self.dt_ms


@dataclass(frozen=True, eq=False)
class PlayedDecision:
    """A decision of an episode, after its environment step."""

    index: int
    """Number in its episode, from 1."""
    recording: Recording | None
    """Recording of the network; None of a policy without recordings."""
    action: Any
    episode_return: float
    """Undiscounted sum of the rewards so far, this decision's included."""

    @property
    def layers(self) -> Sequence[Any]:
        """Recorded layers that spike, input side first."""
        return () if self.recording is None else self.recording.layers


def play_episode(policy: Acting, env: gym.Env[Any, Any], seed: int) -> Iterator[PlayedDecision]:
    """Play an episode deterministically, one decision each time the next is asked for.

    Between two decisions the environment is ready to be drawn. A noisy encoder's noise restarts
    with the seed, as in an evaluation.
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
        yield PlayedDecision(index, recording, action, float(total))
        if terminated or truncated:
            return


def record_episode(
    policy: RecordedPolicy, env: gym.Env[Any, Any], seed: int, max_decisions: int
) -> EpisodeTrace:
    """Record at most ``max_decisions`` of an episode, played no further, and close the environment.

    ValueError if the policy does not spike.
    """
    decisions = itertools.islice(play_episode(policy, env, seed), max_decisions)
    recordings = [x.recording for x in decisions if x.recording is not None]
    env.close()
    return join(recordings, stateful=policy.carries_state)


def join(recordings: Sequence[Recording], *, stateful: bool = False) -> EpisodeTrace:
    """Join recordings of decisions, batches of one, in time; ValueError without spiking layers."""
    if not recordings or not recordings[0].layers:
        raise ValueError("the policy does not spike, so there are no spikes to draw")
    first = recordings[0]
    layers = tuple(map(_join_layer, zip(*(x.layers for x in recordings), strict=True)))
    time_steps = first.layers[0].spikes.shape[0]
    return EpisodeTrace(layers, first.dt_ms, time_steps, len(recordings), stateful)


def _join_layer(parts: Sequence[Any]) -> LayerTrace:
    first = parts[0]
    spikes = _joined([part.spikes for part in parts])
    voltages = None if first.voltages is None else _joined([part.voltages for part in parts])
    thresholds = None
    if isinstance(first.v_threshold, Tensor):
        thresholds = _joined([part.v_threshold for part in parts])
    elif first.v_threshold is not None:
        thresholds = np.full_like(spikes, first.v_threshold)
    return LayerTrace(first.name, spikes, voltages, thresholds)


def _joined(tensors: Sequence[Tensor]) -> FloatArray:
    """Join (T, 1, N) of each decision to (decisions * T, N)."""
    arrays = [tensor.detach().cpu().numpy()[:, 0].astype(np.float64) for tensor in tensors]
    return np.concatenate(arrays)


# ---- frames --------------------------------------------------------------------------------------
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
    """Draw a frame (height, ``WIDTH``, 3), whose size follows from those of picture and layers.

    Time runs to the right, a column for each time step, up to now at the right edge; neurons are
    rows, the output side on top. The latest decision stands out, and thin lines part the others. Of
    a layer with more neurons than rows, a row shows a spike if any of its neurons fired.
    """
    picture = fitted(frame.picture)
    below = _MARGIN + _LINE + picture.shape[0] + _GAP
    tops, height = _places(frame.layers, below + _LINE + _GAP)
    image = Image.new("RGB", (WIDTH, height), _PAPER)
    image.paste(Image.fromarray(picture), ((WIDTH - picture.shape[1]) // 2, _MARGIN + _LINE))
    pen, normal, small = ImageDraw.Draw(image), _font(_FONT_SIZE), _font(_SMALL_FONT_SIZE)
    pen.text((_MARGIN, _MARGIN - 2), frame.heading, BLACK, normal)
    pen.text((_MARGIN, below), frame.status, BLACK, normal)
    colours = layer_colours([layer.name for layer in frame.layers])
    for layer, top in zip(frame.layers[::-1], tops, strict=True):
        colour, neurons = colours[layer.name], layer.spikes.shape[1]
        raster = Image.fromarray(draw_spikes(layer.spikes, frame.time_steps, colour))
        image.paste(raster, (WIDTH - _MARGIN - raster.width, top))
        pooled, rows, _ = _rows(neurons)
        pen.text((_MARGIN, top - 1), layer.name, colour, small)
        count = f"{neurons} neurons" if pooled == 1 else f"{neurons} in {rows} rows"
        pen.text((_MARGIN, top + _SMALL_FONT_SIZE + 1), count, GREY, small)
    note = "the agent does not spike"
    if frame.layers:
        decisions = shown_steps(frame.time_steps) / frame.time_steps
        note = f"spikes of the last {decisions:.3g} decisions, {frame.time_steps} time steps each"
    pen.text((WIDTH - _MARGIN, height - _GAP), note, GREY, small, anchor="rs")
    return np.array(image)


def shown_steps(time_steps: int) -> int:
    """Return the time steps in the raster from those of a decision: whole decisions if one fits."""
    columns = _RASTER_WIDTH // _column_pixels(time_steps)
    decisions = min(SHOWN_DECISIONS, columns // time_steps)
    return decisions * time_steps or columns


def draw_spikes(spikes: NDArray[np.bool_], time_steps: int, colour: str) -> Pixels:
    """Draw the latest spikes (steps, N) of a layer; the size depends on N and T alone."""
    columns, neurons = shown_steps(time_steps), spikes.shape[1]
    wide, (pooled, rows, high) = _column_pixels(time_steps), _rows(neurons)
    grid = np.zeros((columns, pooled * rows), np.bool_)
    latest = spikes[-columns:]
    grid[columns - len(latest) :, :neurons] = latest
    cells = grid.reshape(columns, rows, pooled).any(axis=2).T  # (rows, time steps)
    lit = np.kron(cells, np.ones((high, wide), np.bool_))
    image = np.empty((*lit.shape, 3), np.uint8)
    image[:] = ImageColor.getrgb(_PANEL)
    image[:, -wide * time_steps :] = ImageColor.getrgb(_NOW)
    starts = np.arange(image.shape[1] - wide * time_steps, -1, -wide * time_steps)
    image[:, starts] = ImageColor.getrgb(_BOUNDARY)
    image[lit] = ImageColor.getrgb(colour)
    return image


def fitted(picture: Pixels) -> Pixels:
    """Return a task's picture (height, width, 3), made smaller if a frame has no room for it."""
    image = Image.fromarray(picture)
    scale = min(1.0, (WIDTH - 2 * _MARGIN) / image.width, _PICTURE_HEIGHT / image.height)
    if scale == 1.0:
        return picture
    size = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def _places(layers: Sequence[LayerSpikes], top: int) -> tuple[list[int], int]:
    """Return the top of each raster, the output side first, and the height of the frame."""
    tops = []
    for layer in layers[::-1]:
        tops.append(top)
        _, rows, high = _rows(layer.spikes.shape[1])
        # A label has two lines, however few its neurons.
        top += max(rows * high, 2 * _SMALL_FONT_SIZE + 4) + _GAP
    bottom = top + _LINE
    return tops, bottom + bottom % 2  # films need an even height


def _column_pixels(time_steps: int) -> int:
    return max(1, round(_RASTER_WIDTH / (SHOWN_DECISIONS * time_steps)))


def _rows(neurons: int) -> tuple[int, int, int]:
    """Return the neurons that share a row, the rows of a layer, and their height (pixels)."""
    pooled = math.ceil(neurons / _MOST_ROWS)
    high = max(1, min(_LARGEST_ROW, _ROWS_OF_SMALL_PIXELS // neurons))
    return pooled, math.ceil(neurons / pooled), high


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib's own, so that films and figures have the same letters on every machine.
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
