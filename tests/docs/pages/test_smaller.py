"""The built site takes less room and looks the same."""

import numpy as np
from PIL import Image

from tests.docs.scripts import load_pages

smaller = load_pages("smaller")


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def read(path):
    return np.asarray(Image.open(path).convert("RGBA"))


def test_few_colours_stay_as_they_are_in_fewer_bytes(tmp_path):
    colours = np.random.default_rng(0).integers(256, size=(20, 3), dtype=np.uint8)
    pixels = colours[np.random.default_rng(1).integers(20, size=(64, 64))]
    before = saved(tmp_path / "a.png", pixels)
    smaller.shrink_pictures(tmp_path)
    assert (read(tmp_path / "a.png")[..., :3] == pixels).all()
    assert (tmp_path / "a.png").stat().st_size < len(before) / 2


def test_many_colours_go_to_near_ones(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp, np.uint8(0)), axis=-1)
    saved(tmp_path / "a.png", pixels)
    smaller.shrink_pictures(tmp_path)
    assert np.abs(read(tmp_path / "a.png")[..., :3].astype(int) - pixels).mean() < 8


def test_what_can_be_seen_through_or_gains_nothing_stays(tmp_path):
    clear = saved(tmp_path / "clear.png", np.full((8, 8, 4), 128, np.uint8))
    tiny = saved(tmp_path / "tiny.png", np.zeros((1, 1), np.uint8))
    smaller.shrink_pictures(tmp_path)
    assert (tmp_path / "clear.png").read_bytes() == clear
    assert (tmp_path / "tiny.png").read_bytes() == tiny


def test_code_and_signatures_lose_their_spans_and_blocks_of_code_keep_theirs(tmp_path):
    page = tmp_path / "reference" / "a.html"
    page.parent.mkdir()
    word = '<span class="pre">a</span> <span class="pre">→</span>'
    # A part of a signature may have two spans, and a line is indented.
    signature = (
        '<em><span class="n"><span class="pre">x</span></span><span class="p">:</span>'
        '<span class="w"> </span>int</em>\n    <p>'
    )
    block = '<pre>b <span class="o">=</span> <span class="n">c</span>\n</pre>'
    page.write_text(f"<code>{word}</code>{block}{signature}", encoding="utf-8")
    smaller.shrink_pages(tmp_path)
    assert page.read_text(encoding="utf-8") == f"<code>a →</code>{block}<em>x: int</em>\n<p>"


def test_source_maps_go(tmp_path):
    (tmp_path / "styles").mkdir()
    for name in ("styles/furo.css", "styles/furo.css.map"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    smaller.remove_maps(tmp_path)
    assert [x.name for x in (tmp_path / "styles").iterdir()] == ["furo.css"]
