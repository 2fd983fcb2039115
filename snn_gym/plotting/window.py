"""Show frames in a window as they come."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl

from snn_gym.plotting.frames import Pixels

_DOTS_PER_INCH = 100
_SHORTEST_WAIT_S = 0.001  # 0 would be for ever


def check_window() -> None:
    """Do nothing where a window can be opened.

    Raises:
        ValueError: None can be: there is no display, or matplotlib has no backend for it.
    """
    # Only here, because pyplot is what chooses a backend.
    import matplotlib.pyplot as plt

    refusal = "no window can be opened here: {}; write the film to a file with --save film.gif"
    try:
        figure = plt.figure()
    except ImportError as error:
        raise ValueError(refusal.format(error)) from error
    interactive = figure.canvas.required_interactive_framework is not None
    plt.close(figure)
    if not interactive:
        backend = mpl.get_backend()
        raise ValueError(
            refusal.format(f"matplotlib's backend is {backend}, for lack of a display")
        )


def show_frames(pictures: Iterable[Pixels], frames_per_second: int, heading: str) -> int:
    """Show pictures in a window until they end or it is closed.

    Args:
        pictures: (height, width, 3), uint8, of equal sizes.
        frames_per_second: Pace, if they come so fast.
        heading: Title of the window.

    Returns:
        How many were shown.

    Raises:
        ValueError: No window can be opened.
    """
    check_window()
    import matplotlib.pyplot as plt

    figure: Any = None
    shown, due_s = 0, time.monotonic()
    for picture in pictures:
        if figure is None:
            figure, image = _open(picture, heading)
        elif not plt.fignum_exists(figure.number):
            break
        image.set_data(picture)
        figure.canvas.draw_idle()
        due_s = max(due_s + 1 / frames_per_second, time.monotonic())
        figure.canvas.start_event_loop(max(_SHORTEST_WAIT_S, due_s - time.monotonic()))
        shown += 1
    if figure is not None:
        plt.close(figure)
    return shown


def _open(picture: Pixels, heading: str) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    height, width = picture.shape[:2]
    with mpl.rc_context({"toolbar": "none"}):
        size = (width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)
        figure = plt.figure(figsize=size, dpi=_DOTS_PER_INCH)
    assert figure.canvas.manager is not None  # of a figure of pyplot's
    figure.canvas.manager.set_window_title(heading)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    image = axes.imshow(picture, aspect="equal")
    plt.show(block=False)
    return figure, image
