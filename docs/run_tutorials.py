"""Run the tutorials and keep the pictures that they make.

python docs/run_tutorials.py                         # all of them
python docs/run_tutorials.py spikes lean             # some
python docs/run_tutorials.py spikes --to somewhere   # pictures to another folder
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import snn_gym

snn_gym.portable()  # before numpy, which matplotlib loads, as `submit` asks for it

import matplotlib as mpl  # noqa: E402

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in (HERE / "tutorials").glob("*.md") if path.stem != "index")
_BLOCK = re.compile(r"^```(\{code-block\} )?(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CAPTION = re.compile(r"\A:caption: (\S+)\n\n?")
_PICTURE = re.compile(r"!\[[^\]]*\]\(\.\./images/tutorials/([^)]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    language: str
    """``python``, ``bash`` or another."""
    text: str
    """What it holds."""
    file: str | None
    """Name of the file that it shows, None for code that runs."""


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in order."""
    found = []
    for _, language, text in _BLOCK.findall(page):
        caption = _CAPTION.match(text)
        file = None if caption is None else caption[1]
        found.append(Block(language, text if caption is None else text[caption.end() :], file))
    return found


def pictures(page: str) -> list[str]:
    """Return the names of the pictures that a page shows and has to make."""
    return _PICTURE.findall(page)


def commands(text: str) -> list[list[str]]:
    """Return the words of each ``snn-gym`` command of a block, joined where a line goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("snn-gym ")]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, from which modules can be imported, and draw without a window."""
    backend = mpl.get_backend()
    mpl.use("agg")
    before, sys.path[:] = sys.path[:], [str(folder), *sys.path]
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path[:] = before
        mpl.use(backend)


def run(page: str, folder: Path) -> None:
    """Run a page from top to bottom.

    Python blocks share their names, ``snn-gym`` commands run as typed, and a block with a caption
    is written to a file of that name.

    Args:
        page: Markdown.
        folder: Where it all happens; an empty folder.

    Raises:
        RuntimeError: A command did not end well.
    """
    from snn_gym.cli import main

    names: dict[str, object] = {"__name__": "__tutorial__"}
    with _inside(folder):
        for block in blocks(page):
            if block.file is not None:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                exec(compile(block.text, "tutorial", "exec"), names)  # noqa: S102 - our own page
            elif block.language == "bash":
                for words in commands(block.text):
                    if main(words) != 0:
                        raise RuntimeError(f"snn-gym {shlex.join(words)} did not end well")


def main() -> None:
    """Run the tutorials that are named, all if none is."""
    parser = argparse.ArgumentParser(description="Run the tutorials and keep their pictures.")
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME")
    parser.add_argument("--to", type=Path, default=HERE / "images" / "tutorials")
    words = parser.parse_args()
    words.to.mkdir(parents=True, exist_ok=True)
    for name in words.names or NAMES:
        page = (HERE / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            run(page, Path(folder))
            for picture in pictures(page):
                shutil.copy(Path(folder) / picture, words.to / picture)
        sys.stdout.write(f"{name}: {time.perf_counter() - start:.0f} s\n")


if __name__ == "__main__":
    main()
