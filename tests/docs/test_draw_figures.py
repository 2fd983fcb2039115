"""Figures of how it works: arrows join boxes, and every figure is drawn and shown."""

import numpy as np
import pytest
from matplotlib import image as images

from tests.docs.scripts import DOCS, load_script

figures = load_script("draw_figures")


def test_a_line_leaves_a_box_at_its_rim():
    width, height = figures._BOX
    assert figures.edge((0, 0), (5, 0)) == pytest.approx((width / 2 + 0.1, 0))
    assert figures.edge((1, 1), (1, -5)) == pytest.approx((1, 1 - height / 2 - 0.1))


@pytest.mark.parametrize("name", figures.FIGURES)
def test_arrows_join_all_boxes_of_a_figure(name):
    parts = figures.FIGURES[name]
    count = len(parts["boxes"])
    assert all(0 <= end < count for arrow in parts["arrows"] for end in arrow)
    assert {end for arrow in parts["arrows"] for end in arrow} == set(range(count))
    assert set(parts["marked"]) < set(range(count))
    assert len(set(parts["boxes"].values())) == count


def test_a_figure_has_a_box_on_white(tmp_path):
    figures.draw({"a": (0, 0), "b": (3, 0)}, [(0, 1)], [0], tmp_path / "x.png")
    picture = images.imread(tmp_path / "x.png")[..., :3]
    assert np.allclose(picture[0, 0], 1)
    colours = {tuple(colour) for colour in (picture.reshape(-1, 3) * 255).round().astype(int)}
    wanted = {tuple(int(x[i : i + 2], 16) for i in (1, 3, 5)) for x in ("#eef2f7", "#fdebd0")}
    assert wanted <= colours


def test_the_page_shows_every_figure():
    page = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    for name in figures.FIGURES:
        assert f"](images/how/{name}.png)" in page
        assert (DOCS / "images" / "how" / f"{name}.png").stat().st_size < 100_000
