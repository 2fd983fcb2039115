"""Write the tutorials as notebooks: python docs/write_notebooks.py --to FOLDER."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pages.notebooks import write_notebooks

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write every tutorial and print the files."""
    parser = argparse.ArgumentParser(description="Write the tutorials as notebooks.")
    parser.add_argument("--to", type=Path, default=HERE / "_build" / "notebooks")
    for file in write_notebooks(HERE / "tutorials", parser.parse_args().to):
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
