"""Test of the picture of the page of floors."""

import re

import pytest
from matplotlib.figure import Figure

from studies.floor.picture import draw
from studies.floor.search import DOCS_NAME
from studies.runs import DOCS


def test_the_lines_pass_through_the_ratios_of_the_page():
    left, right = Figure().subplots(1, 2)
    draw(left, right)
    lines = (DOCS / DOCS_NAME).read_text(encoding="utf-8").splitlines()
    grown = [x for x in lines if re.match(r"\| snn/DelayedMatchToSample-v0 \d ", x)]
    operations = [float(re.search(r": ([\d.]+) \(", x.split(" | ")[3]).group(1)) for x in grown]
    assert left.lines[0].get_ydata() == pytest.approx(operations, abs=5e-4)
    (events,) = [x for x in lines if x.startswith("| relu-8 events / ")]
    shown = [float(x) for x in re.findall(r"costs less: ([\d.]+)", events)]
    drawn = next(x for x in right.lines if x.get_label().startswith("relu-8"))
    assert drawn.get_ydata() == pytest.approx(shown, abs=5e-4)
