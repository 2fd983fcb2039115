"""Write frames as a GIF or an mp4."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snn_gym.plotting.frames import Frame, Pixels, draw_frame, film_colours, fitted
from snn_gym.storage import write_bytes_atomic

FILM_FORMATS = (".gif", ".mp4")
"""How the names of films end."""

MOST_GIF_BYTES = 1_000_000
"""Size above which frames of a GIF are left out."""

_FEWEST_FRAMES = 10
_COLOURS = 256
_SAMPLED_PICTURES = 8


def check_film_path(path: Path) -> Path:
    """Return where a film is to be written, if it can be.

    Args:
        path: The file.

    Raises:
        ValueError: The format is unknown, its folder is missing, or an mp4 needs ffmpeg, which is
            not installed.
    """
    if path.suffix not in FILM_FORMATS:
        raise ValueError(f"{path} names no film; expected a name that ends in .gif or .mp4")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise ValueError(
            f"{path}: an mp4 needs the program ffmpeg, which was not found; install it, or write "
            f"{path.with_suffix('.gif').name}"
        )
    return path


def write_film(frames: Sequence[Frame], path: Path, frames_per_second: int) -> int:
    """Write frames one after the other; the last one stays for a second.

    Of a GIF of more than ``MOST_GIF_BYTES`` every second frame is left out, at half the pace, until
    it is small enough.

    Args:
        frames: At least one, of equal sizes.
        path: File, ``.gif`` or ``.mp4``.
        frames_per_second: Pace.

    Returns:
        Frames in the film.

    Raises:
        ValueError: ffmpeg failed.
    """
    if path.suffix == ".mp4":
        last = itertools.repeat(draw_frame(frames[-1]), frames_per_second - 1)
        _write_mp4(itertools.chain(map(draw_frame, frames), last), path, frames_per_second)
        return len(frames)
    palette, duration_ms = _palette(frames), 1000 / frames_per_second
    data = _encode_gif(frames, palette, duration_ms)
    while len(data) > MOST_GIF_BYTES and len(frames) > _FEWEST_FRAMES:
        # The last one stays, for it shows how an episode ends.
        frames, duration_ms = [*frames[:-1:2], frames[-1]], 2 * duration_ms
        data = _encode_gif(frames, palette, duration_ms)
    write_bytes_atomic(path, data)
    return len(frames)


def _encode_gif(frames: Sequence[Frame], palette: Palette, duration_ms: float) -> bytes:
    first, *others = (palette.image(draw_frame(frame)) for frame in frames)
    durations_ms = [duration_ms] * len(others) + [max(1000.0, duration_ms)]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations_ms, loop=0)
    return file.getvalue()


class Palette:
    """At most 256 colours, and the nearest of them to any other.

    Pillow's own search is approximate, and gives equal areas different colours.
    """

    def __init__(self, colours: NDArray[np.uint8]) -> None:
        """Prepare the search.

        Args:
            colours: (n, 3) RGB, n at most 256; of equal ones the first is taken.
        """
        self.colours = colours
        self._nearest = np.full(1 << 24, -1, np.int16)

    def image(self, picture: Pixels) -> Image.Image:
        """Return a picture in these colours, without dithering, which would cost bytes."""
        image = Image.frombytes("P", picture.shape[1::-1], self.indices(picture).tobytes())
        image.putpalette(self.colours.tobytes())
        return image

    def indices(self, picture: Pixels) -> NDArray[np.uint8]:
        """Return the number of the nearest colour of every pixel, (height, width)."""
        packed = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        found = self._nearest[packed]
        unknown = np.unique(packed[found < 0])
        if len(unknown):
            rgb = unknown[:, np.newaxis] >> np.array([16, 8, 0]) & 255
            differences = rgb[:, np.newaxis] - self.colours.astype(np.int64)
            self._nearest[unknown] = np.square(differences).sum(axis=2).argmin(axis=1)
            found = self._nearest[packed]
        return found.astype(np.uint8)


def _palette(frames: Sequence[Frame]) -> Palette:
    """Return the film's colours: those of the raster, and the tasks' commonest."""
    fixed = film_colours([layer.name for layer in frames[0].layers])
    sampled = frames[:: -(-len(frames) // _SAMPLED_PICTURES)]
    pixels = np.concatenate([fitted(frame.picture).reshape(1, -1, 3) for frame in sampled], axis=1)
    reduced = Image.fromarray(pixels).quantize(_COLOURS - len(fixed), dither=Image.Dither.NONE)
    of_tasks = np.array(reduced.getpalette() or [], np.uint8).reshape(-1, 3)
    return Palette(np.concatenate([np.array(fixed, np.uint8), of_tasks])[:_COLOURS])


def _write_mp4(pictures: Iterator[Pixels], path: Path, frames_per_second: int) -> None:
    first = next(pictures)
    height, width = first.shape[:2]
    command = [
        *("ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(frames_per_second), "-i", "-"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path.absolute())),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None  # asked for above
        assert process.stderr is not None
        try:
            for picture in itertools.chain([first], pictures):
                process.stdin.write(picture.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg gave up, and says why below
        said = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise ValueError(f"{path}: ffmpeg failed: {said or 'it said nothing'}; write a .gif")
