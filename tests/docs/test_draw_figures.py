"""Tests of the figures of how spiking networks work."""

import numpy as np
import pytest
from matplotlib import image as images

from tests.docs.scripts import DOCS, load_script

figures = load_script("draw_figures")


def test_arrows_start_at_the_edge_of_a_box():
    width, height = figures._BOX
    assert figures.edge((0, 0), (5, 0)) == pytest.approx((width / 2 + 0.1, 0))
    assert figures.edge((1, 1), (1, -5)) == pytest.approx((1, 1 - height / 2 - 0.1))


@pytest.mark.parametrize("name", figures.FIGURES)
def test_arrows_join_all_boxes_of_shown_figures(name):
    parts = figures.FIGURES[name]
    boxes = set(range(len(parts["boxes"])))
    assert {end for arrow in parts["arrows"] for end in arrow} == boxes
    assert set(parts["marked"]) < boxes
    assert len(set(parts["boxes"].values())) == len(boxes)
    assert f"](images/how/{name}.png)" in (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    assert (DOCS / "images" / "how" / f"{name}.png").stat().st_size < 100_000


def test_a_figure_has_boxes_on_white(tmp_path):
    figures.draw({"a": (0, 0), "b": (3, 0)}, [(0, 1)], [0], tmp_path / "x.png")
    picture = images.imread(tmp_path / "x.png")[..., :3]
    assert np.allclose(picture[0, 0], 1)
    colours = {tuple(colour) for colour in (picture.reshape(-1, 3) * 255).round().astype(int)}
    assert {(0xEE, 0xF2, 0xF7), (0xFD, 0xEB, 0xD0)} <= colours
