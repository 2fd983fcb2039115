"""Run the tutorials and keep the pictures that they make.

python docs/run_tutorials.py                         # all of them
python docs/run_tutorials.py spikes lean             # some
python docs/run_tutorials.py spikes --to somewhere   # pictures to another folder
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pages.tutorials import pictures, run

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in (HERE / "tutorials").glob("*.md") if path.stem != "index")


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
