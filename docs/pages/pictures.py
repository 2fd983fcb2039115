"""Pictures of the built site in a palette of their own, which a third of the bytes hold."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

COLOURS = 256


def make_smaller(folder: Path) -> None:
    """Store every PNG of a folder in `COLOURS` colours, without dither, where that takes less.

    Lines, text and dots keep theirs; blends at their edges go to the nearest one. Pictures that one
    can see through stay, and so do those that the pages are built from.
    """
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            if picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                continue
            few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small = io.BytesIO()
        few.save(small, "PNG", optimize=True)
        if len(small.getvalue()) < path.stat().st_size:
            path.write_bytes(small.getvalue())
