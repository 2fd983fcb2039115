"""Tests of film files: frames, colours and durations."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from snn_gym.plots import films as film_files
from snn_gym.plots.films import Palette, check_film_path, write_film
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
    return int((picture[40, left : left + 30] == 0).all(axis=1).sum())


def read_gif(path):
    with Image.open(path) as film:
        pictures, durations_ms = [], []
        for k in range(film.n_frames):
            film.seek(k)
            pictures.append(np.array(film.convert("RGB")))
            durations_ms.append(film.info["duration"])
    return pictures, durations_ms


def is_blue(picture):
    return (picture[:, 118:] == (0, 114, 178)).all(axis=2)  # right of the labels


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


def test_nearest_colours():
    random = np.random.default_rng(1)
    colours = random.integers(0, 256, (17, 3), np.uint8)
    picture = random.integers(0, 256, (9, 11, 3), np.uint8)
    palette = Palette(colours)
    differences = picture[:, :, np.newaxis].astype(int) - colours.astype(int)
    expected = (differences**2).sum(axis=3).argmin(axis=2)
    assert np.array_equal(palette.indices(picture), expected)
    assert np.array_equal(palette.indices(picture[::-1]), expected[::-1])
    assert np.array_equal(np.array(palette.image(picture).convert("RGB")), colours[expected])


def fake_ffmpeg(folder, monkeypatch, script):
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_ffmpeg_is_given_every_frame_and_the_last_for_a_second(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, 'for last; do :; done; cat > "$last"')
    shown = frames(3)
    assert write_film(shown, check_film_path(tmp_path / "film.mp4"), 10) == 3
    drawn = [draw_frame(x) for x in shown]
    given = (tmp_path / "film.mp4").read_bytes()
    assert given == b"".join(x.tobytes() for x in [*drawn, *[drawn[-1]] * 9])


def test_the_error_of_ffmpeg_is_named(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, "echo no such encoder >&2; exit 3")
    with pytest.raises(ValueError, match="ffmpeg failed: no such encoder"):
        write_film(frames(3), tmp_path / "film.mp4", 10)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_mp4_files_have_an_mp4_header(tmp_path):
    write_film(frames(3), tmp_path / "film.mp4", 10)
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("film.avi", "names no film; expected a name that ends in .gif or .mp4"),
        ("film", "names no film"),
        ("absent/film.gif", "there is no folder .*absent; make it first"),
        ("film.mp4", "needs the program ffmpeg, .* or write film.gif"),
    ],
)
def test_unwritable_films_are_refused_before_recording(tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match=message):
        check_film_path(tmp_path / name)
