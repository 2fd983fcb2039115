"""The built site in less room: smaller pictures and films, pages without idle spans."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image, ImageSequence

COLOURS = 256
_IDLE = re.compile(r'<span class="(?:pre|[nopw])">([^<]*)</span>')
_COMMON = re.compile(
    r'<a class="reference external" href="https://(?:docs\.python|numpy)\.org[^>]*>([^<]*)</a>'
)
_FILM = re.compile(r"(_images/[\w.-]+)\.gif")
_INDENTED = re.compile(r"\n\s+")
_BLOCKS = re.compile(r"(<pre\b.*?</pre>)", re.DOTALL)


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


def shrink_films(folder: Path) -> None:
    """Store every GIF of a folder as WebP, which loses nothing and takes half the room."""
    for path in sorted(folder.glob("*.gif")):
        with Image.open(path) as film:
            times = [frame.info["duration"] for frame in ImageSequence.Iterator(film)]
            settings = {"lossless": True, "method": 2, "duration": times}
            film.save(path.with_suffix(".webp"), save_all=True, **settings)
        path.unlink()


def shrink_pages(folder: Path) -> None:
    """Remove spans around words of code, links of ``str`` and the like, and indentation.

    Sphinx puts a span around each word, 100,000 in all. The theme styles them only in blocks of
    code, which stay. Annotations of signatures have 15,000 links to Python's and numpy's pages.
    Films are those that `shrink_films` writes.
    """
    for path in folder.rglob("*.html"):
        parts = _BLOCKS.split(path.read_text(encoding="utf-8"))
        for _ in range(2):  # around a part of a signature stands often one more
            parts[::2] = [_IDLE.sub(r"\1", part) for part in parts[::2]]
        for change, text in ((_COMMON, r"\1"), (_FILM, r"\1.webp"), (_INDENTED, "\n")):
            parts[::2] = [change.sub(text, part) for part in parts[::2]]
        path.write_text("".join(parts), encoding="utf-8")


def remove_maps(folder: Path) -> None:
    """Remove the theme's source maps, which only its own developers open."""
    for path in folder.rglob("*.map"):
        path.unlink()
