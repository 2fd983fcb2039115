"""Tests of the shapes on the canvas, by pixels."""

import numpy as np

from snn_gym.envs.native.scenes import INK, PAPER, blank, disc, line, rectangle


def drawn(draw, *arguments, **options):
    image = blank()
    draw(image, *arguments, INK, **options)
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} <= {PAPER, INK}
    return {tuple(place) for place in np.argwhere((image == INK).all(axis=2)).tolist()}


def block(rows, columns):
    return {(row, column) for row in rows for column in columns}


def test_lines_cover_pixels_within_half_their_width():
    # Two pixels wide: one row to each side, and one pixel beyond each end.
    across = block((9, 10, 11), range(20, 25)) | {(10, 19), (10, 25)}
    assert drawn(line, (10.0, 20.0), (10.0, 24.0)) == across
    assert drawn(line, (10.0, 24.0), (10.0, 20.0)) == across
    down = {(column, row) for row, column in across}
    assert drawn(line, (20.0, 10.0), (24.0, 10.0)) == down
    diagonal = {(30 + i, 40 + i) for i in range(4)}
    assert drawn(line, (30.0, 40.0), (33.0, 43.0), width=1.0) == diagonal
    assert drawn(line, (5.0, 5.0), (5.0, 5.0)) == {(5, 5), (4, 5), (6, 5), (5, 4), (5, 6)}


def test_discs_cover_pixels_within_their_radius():
    around = block((9, 10, 11), (19, 20, 21)) | {(8, 20), (12, 20), (10, 18), (10, 22)}
    assert drawn(disc, 10.0, 20.0, 2.0) == around
    assert drawn(disc, 0.0, 255.0, 1.0) == {(0, 255), (1, 255), (0, 254)}


def test_a_rectangle_is_clipped_to_the_image():
    assert drawn(rectangle, 3, 4, 2, 3) == block((3, 4), (4, 5, 6))
    assert drawn(rectangle, -2, 254, 3, 9) == block((0,), (254, 255))
    assert drawn(rectangle, -5, 0, 3, 3) == set()
