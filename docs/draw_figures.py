"""Draw the figures of docs/how-it-works.md.

python docs/draw_figures.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

TARGET = Path(__file__).resolve().parent / "images" / "how"
INK, PAPER, LINE, ACCENT = "#1a1a1a", "#eef2f7", "#4a5a6a", "#fdebd0"
Place = tuple[float, float]
_BOX = (1.9, 0.8)

TWO_IDEAS = {
    "boxes": {
        "neuron\none text": (0, 0),
        "graph\nand its derivatives": (2.6, 0),
        "kernels: forward,\nbackward, trace": (5.2, 0),
        "regulation\npenalties, lean": (7.8, 0),
        "algorithm\nPPO, DQN, SAC, local": (2.6, -1.6),
        "trainable network\nspiking layers": (5.2, -1.6),
        "recording\nspikes, voltages": (7.8, -1.6),
        "C, ONNX, NIR,\nchips": (2.6, -3.2),
        "program\none value": (5.2, -3.2),
        "compiled call\npredict, evaluation": (7.8, -3.2),
        "smaller program\ncompaction": (5.2, -4.8),
        "interpreter\nthe oracle": (7.8, -4.8),
    },
    "arrows": [
        (0, 1), (1, 2), (2, 5), (4, 5), (5, 6), (6, 3), (3, 5), (5, 8),
        (8, 7), (8, 9), (8, 10), (8, 11),
    ],
    "marked": (0, 8),
}  # fmt: skip
FIGURES = {"two-ideas": TWO_IDEAS}


def draw_box(axes: Axes, text: str, place: Place, marked: bool) -> None:
    """Draw a box with its text around a place."""
    width, height = _BOX
    corner = (place[0] - width / 2, place[1] - height / 2)
    style = mpl.patches.BoxStyle("round", pad=0.05, rounding_size=0.1)
    colour = ACCENT if marked else PAPER
    box = mpl.patches.FancyBboxPatch(
        corner, width, height, boxstyle=style, facecolor=colour, edgecolor=LINE
    )
    axes.add_patch(box)
    axes.text(*place, text, ha="center", va="center", fontsize=8.5, color=INK)


def edge(place: Place, towards: Place) -> Place:
    """Return where a line from a box to another place leaves the box."""
    across, up = towards[0] - place[0], towards[1] - place[1]
    reach = (_BOX[0] / 2 + 0.1, _BOX[1] / 2 + 0.1)
    share = min(
        reach[0] / abs(across) if across else float("inf"),
        reach[1] / abs(up) if up else float("inf"),
    )
    return place[0] + share * across, place[1] + share * up


def draw(
    boxes: Mapping[str, Place], arrows: Sequence[tuple[int, int]], marked: Sequence[int], path: Path
) -> None:
    """Draw boxes and arrows between them, by their numbers, and save the figure.

    Args:
        boxes: Place of the middle of each box by its text.
        arrows: From one box to another, each given by its number.
        marked: Numbers of the boxes that stand out.
        path: Where to.
    """
    places = list(boxes.values())
    across = max(x for x, _ in places) - min(x for x, _ in places) + 2.4
    down = max(y for _, y in places) - min(y for _, y in places) + 1.4
    figure, axes = plt.subplots(figsize=(across * 0.85, down * 0.85), constrained_layout=True)
    for number, (text, place) in enumerate(boxes.items()):
        draw_box(axes, text, place, number in marked)
    for first, second in arrows:
        start, end = edge(places[first], places[second]), edge(places[second], places[first])
        bend = 0.25 if (second, first) in arrows else 0.0
        look = {"arrowstyle": "-|>", "color": LINE, "connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", xy=end, xytext=start, arrowprops=look)
    axes.set_xlim(min(x for x, _ in places) - 1.2, max(x for x, _ in places) + 1.2)
    axes.set_ylim(min(y for _, y in places) - 0.7, max(y for _, y in places) + 0.7)
    axes.set_aspect("equal")
    axes.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Draw all figures."""
    mpl.use("agg")
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, parts in FIGURES.items():
        draw(parts["boxes"], parts["arrows"], parts["marked"], TARGET / f"{name}.png")


if __name__ == "__main__":
    main()
