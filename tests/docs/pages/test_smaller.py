"""Tests of compression of the built site."""

import numpy as np
from PIL import Image, ImageSequence

from tests.docs.scripts import load_pages

smaller = load_pages("smaller")


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def read(path):
    return np.asarray(Image.open(path).convert("RGBA"))[..., :3].astype(int)


def test_pictures_shrink_and_look_the_same(tmp_path):
    few, many, clear, tiny = (tmp_path / f"{x}.png" for x in ("few", "many", "clear", "tiny"))
    rng = np.random.default_rng(0)
    colours = rng.integers(256, size=(20, 3), dtype=np.uint8)[rng.integers(20, size=(64, 64))]
    ramp = np.arange(256, dtype=np.uint8)
    ramps = np.stack(np.broadcast_arrays(ramp[:, None], ramp, np.uint8(0)), axis=-1)
    before = save(few, colours)
    save(many, ramps)
    # A picture with transparency stays, and so does a picture that would not shrink.
    unchanged = {
        clear: save(clear, np.full((8, 8, 4), 128, np.uint8)),
        tiny: save(tiny, np.zeros((1, 1), np.uint8)),
    }
    smaller.shrink_pictures(tmp_path)
    assert (read(few) == colours).all()
    assert few.stat().st_size < len(before) / 2
    assert np.abs(read(many) - ramps).mean() < 8
    assert {path: path.read_bytes() for path in unchanged} == unchanged


def test_code_and_signatures_lose_their_spans_and_blocks_of_code_keep_theirs(tmp_path):
    page = tmp_path / "reference" / "a.html"
    page.parent.mkdir()
    word = '<span class="pre">a</span> <span class="pre">→</span>'
    # A part of a signature may have two spans, and a line is indented.
    signature = (
        '<em><span class="n"><span class="pre">x</span></span><span class="p">:</span>'
        '<span class="w"> </span>int</em>\n    <p>'
    )
    link = '<a class="reference external" href="https://docs.python.org/3/x#{}" title="y">{}</a>'
    linked = link.format("int", "int") + link.format("y", "<code>y</code>")
    block = '<pre>b <span class="o">=</span> <span class="n">c</span>\n</pre>'
    page.write_text(f"<code>{word}</code>{linked}{block}{signature}", encoding="utf-8")
    smaller.shrink_pages(tmp_path)
    assert page.read_text(encoding="utf-8") == (
        f"<code>a →</code>int{link.format('y', '<code>y</code>')}{block}<em>x: int</em>\n<p>"
    )


def test_films_become_smaller_and_pages_follow(tmp_path):
    (tmp_path / "_images").mkdir()
    film = tmp_path / "_images" / "a-v1.gif"
    noise = np.random.default_rng(0).integers(256, size=(3, 64, 64), dtype=np.uint8)
    first, *others = map(Image.fromarray, noise)
    first.save(film, save_all=True, append_images=others, duration=[40, 80, 120], loop=0)
    before = shown(film)
    (tmp_path / "a.html").write_text('<img src="_images/a-v1.gif">', encoding="utf-8")
    smaller.shrink_films(tmp_path / "_images")
    smaller.shrink_pages(tmp_path)
    assert not film.exists()
    assert shown(film.with_suffix(".webp")) == before
    assert (tmp_path / "a.html").read_text() == '<img src="_images/a-v1.webp">'


def shown(film):
    """Return pixels and milliseconds of each frame."""
    with Image.open(film) as opened:
        return [
            (frame.convert("RGB").tobytes(), frame.info["duration"])
            for frame in ImageSequence.Iterator(opened)
        ]


def test_source_maps_are_removed(tmp_path):
    for name in ("furo.css", "furo.css.map"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    smaller.remove_maps(tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["furo.css"]
