"""Tests of film files: frames, colours and durations."""

import sys

import numpy as np
import pytest
from PIL import Image

from snn_gym.plots import films as film_files
from snn_gym.plots.films import check_film_path, write_film
from snn_gym.plots.frames import Frame, LayerSpikes, draw_frame


def frames(count):
    """Return frames in which the number of black columns is the frame index."""
    random = np.random.default_rng(0)
    layers = [(LayerSpikes("hidden_1", random.random((8, 5)) < 0.3),) for _ in range(count)]
    black = np.arange(30) < np.arange(count)[:, np.newaxis]
    pictures = np.where(black[:, np.newaxis, :, np.newaxis], 0, (200, 100, 50)).astype(np.uint8)
    pictures = np.repeat(pictures, 20, axis=1)
    return [
        Frame(picture, spikes, 4, "agent on task", "decision")
        for picture, spikes in zip(pictures, layers, strict=True)
    ]


def black_columns(picture):
    left = (720 - 30) // 2
    return int((picture[40, left : left + 30] <= 4).all(axis=1).sum())


def read_gif(path):
    with Image.open(path) as film:
        pictures, durations_ms = [], []
        for k in range(film.n_frames):
            film.seek(k)
            pictures.append(np.array(film.convert("RGB")))
            durations_ms.append(film.info["duration"])
    return pictures, durations_ms


def is_blue(picture):
    # Right of the labels; the colours of a GIF are rounded.
    return (abs(picture[:, 118:].astype(int) - (0, 114, 178)) <= 4).all(axis=2)


def test_gif_frames_equal_the_drawn_frames(tmp_path):
    shown = frames(5)
    assert write_film(shown, tmp_path / "film.gif", 20) == 5
    pictures, durations_ms = read_gif(tmp_path / "film.gif")
    assert durations_ms == [50, 50, 50, 50, 1000]
    for picture, of in zip(pictures, shown, strict=True):
        drawn = draw_frame(of)
        assert is_blue(drawn).any()
        assert np.array_equal(is_blue(picture), is_blue(drawn))
    assert [black_columns(x) for x in pictures] == [0, 1, 2, 3, 4]


def test_a_gif_that_grows_too_large_loses_every_second_frame_but_not_the_last(
    tmp_path, monkeypatch
):
    shown = frames(21)
    write_film(shown, tmp_path / "whole.gif", 25)
    limit = (tmp_path / "whole.gif").stat().st_size - 1
    monkeypatch.setattr(film_files, "MOST_GIF_BYTES", limit)
    assert write_film(shown, tmp_path / "film.gif", 25) == 11
    assert (tmp_path / "film.gif").stat().st_size <= limit
    pictures, durations_ms = read_gif(tmp_path / "film.gif")
    assert [black_columns(x) for x in pictures] == list(range(0, 21, 2))
    assert durations_ms == [80] * 10 + [1000]


def test_mp4_files_have_every_frame_and_the_last_for_a_second(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    shown = frames(3)
    assert write_film(shown, check_film_path(tmp_path / "film.mp4"), 10) == 3
    read = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    width, height = next(read)["size"]
    pictures = [np.frombuffer(x, np.uint8).reshape(height, width, 3) for x in read]
    assert len(pictures) == 3 + 9
    for picture, of in zip(pictures, [*shown, *[shown[-1]] * 9], strict=True):
        # A film's colours are those of a video, whose edges are soft.
        assert np.abs(picture.astype(int) - draw_frame(of)).mean() < 3.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("film.avi", "names no film; expected a name that ends in .gif or .mp4"),
        ("film", "names no film"),
        ("absent/film.gif", "there is no folder .*absent; make it first"),
        ("film.mp4", r"write film.gif, or an mp4 by imageio-ffmpeg, which is not .*\[films\]"),
    ],
)
def test_unwritable_films_are_refused_before_recording(tmp_path, monkeypatch, name, message):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match=message):
        check_film_path(tmp_path / name)
