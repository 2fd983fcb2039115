"""Tests of colour contrast, light and dark, by WCAG 2.2."""

import importlib.resources
import re

import pytest

from snn_gym.leaderboard.site.layout import SHOWN_PRICES
from snn_gym.program.prices import DEFAULT

STYLE = (importlib.resources.files("snn_gym.leaderboard.site") / "style.css").read_text("utf-8")
COLOURS = re.findall(r"--(\w+): .*?light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
LIGHT = {name: light for name, light, _ in COLOURS}
DARK = {name: dark for name, _, dark in COLOURS}


def luminance(colour):
    """Return the relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    shares = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(x * weight for x, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one, other):
    brighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_by_hand():
    assert contrast("#ffffff", "#000000") == 21.0
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # a known near miss


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "raised"])
@pytest.mark.parametrize(
    ("name", "least"),
    [
        *(("text", 4.5), ("muted", 4.5), ("link", 4.5)),
        *(("spiking", 3.0), ("ann", 3.0), ("oracle", 3.0)),
    ],
)
def test_colours_contrast_with_their_background(name, least, ground, colours):
    assert contrast(colours[name], colours[ground]) >= least


def test_every_colour_that_is_used_has_both_schemes():
    used = set(re.findall(r"var\(--(\w+)\)", STYLE))
    prices = {"operations", "cmos45", "loihi"}
    assert used - prices <= LIGHT.keys() | {"dot"}


@pytest.mark.parametrize("price", SHOWN_PRICES)
def test_each_price_can_be_chosen(price):
    for part in (f".by.{price}", f"translateX(var(--{price}))", f"order: var(--{price}-order)"):
        assert STYLE.count(part) >= 1
    assert price == DEFAULT or STYLE.count(f'[value="{price}"]:checked') == 3
