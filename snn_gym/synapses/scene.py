"""A network in training: its weights as matrices, and its scores below them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.population import SynapseTable
from snn_gym.tasks.native.canvas import ACCENT, FAINT, INK, PAPER, WIDTH, blank, line, rectangle
from snn_gym.tasks.rendering import enlarged

_MARGIN = 12
_MATRIX_HEIGHT = 160
"""Height of the matrices (pixels)."""
_SCORE_TOP, _SCORE_HEIGHT = 188, 56
"""Place of the scores (pixels)."""


def weight_matrices(weights: NDArray[np.float32], table: SynapseTable) -> list[NDArray[np.float32]]:
    """Return weights (W,) as a matrix (post, pre + 1) for each layer, biases last."""
    matrices = []
    for layer in range(int(table.layer.max()) + 1):
        mine = table.layer == layer
        post, pre = table.post[mine], table.pre[mine]
        matrix = np.zeros((post.max() + 1, pre.max() + 1), np.float32)
        matrix[post, pre] = weights[mine]
        matrices.append(matrix)
    return matrices


def draw_scene(
    matrices: Sequence[NDArray[np.float32]], limit: float, scores: Sequence[float]
) -> NDArray[np.uint8]:
    """Draw a network in training.

    Args:
        matrices: Weights (post, pre + 1) of each layer, side by side from the first; a row is what
            a neuron gets, its bias at the right.
        limit: Weight whose colour is full: red above 0, blue below.
        scores: Scores since the episode began, the latest at the right.

    Returns:
        Image (256, 256, 3), uint8.
    """
    image = blank()
    width = (WIDTH - _MARGIN) // len(matrices) - _MARGIN
    for place, matrix in enumerate(matrices):
        left = _MARGIN + place * (width + _MARGIN)
        cells = enlarged(_coloured(matrix / limit), _MATRIX_HEIGHT, width)
        image[_MARGIN : _MARGIN + _MATRIX_HEIGHT, left : left + width] = cells
    rectangle(image, _SCORE_TOP, _MARGIN, _SCORE_HEIGHT, WIDTH - 2 * _MARGIN, FAINT)
    low, high = min(scores), max(scores)
    heights = (np.array(scores) - low) / (high - low) if high > low else np.full(len(scores), 0.5)
    rows = _SCORE_TOP + _SCORE_HEIGHT * (1.0 - heights)
    columns = np.linspace(_MARGIN, WIDTH - _MARGIN, max(len(scores), 2))
    for index in range(1, len(scores)):
        start, end = (rows[index - 1], columns[index - 1]), (rows[index], columns[index])
        line(image, start, end, INK)
    return image


def _coloured(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return colours (..., 3) of shares in [-1, 1]: blue, white, red."""
    strength = np.clip(np.abs(shares), 0.0, 1.0)[..., np.newaxis]
    full = np.where(shares[..., np.newaxis] > 0, ACCENT, INK)
    return np.round(strength * full + (1.0 - strength) * PAPER).astype(np.uint8)
