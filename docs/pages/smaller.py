"""The built site in less room: pictures in a palette of their own, pages without idle spans."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image

COLOURS = 256
_IDLE = re.compile(r'<span class="pre">([^<]*)</span>')


def shrink_pictures(folder: Path) -> None:
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


def shrink_pages(folder: Path) -> None:
    """Take from every page below a folder the spans around words of code.

    Sphinx puts one around each, 60,000 in all, and the theme has no style for them.
    """
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(_IDLE.sub(r"\1", text), encoding="utf-8")
