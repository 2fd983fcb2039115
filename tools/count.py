"""Count the statements, lines and files of the tracked Python code, by folder.

    python -m tools.count [FOLDER]

A statement is an ``ast.stmt``, docstrings included. With a folder its files are listed, too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(folder: str = "") -> None:
    """Print the counts."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    sums = defaultdict[str, list[int]](lambda: [0, 0, 0])
    for path in listed.stdout.split():
        text = (ROOT / path).read_text(encoding="utf-8")
        statements = sum(isinstance(x, ast.stmt) for x in ast.walk(ast.parse(text)))
        parts = path.split("/")
        names = {"tests"} if "tests" in parts[:2] else {"all but tests", parts[0]}
        names |= {path} if folder and path.startswith(folder) else set()
        for name in names:
            sums[name][0] += statements
            sums[name][1] += len(text.splitlines())
            sums[name][2] += 1
    for name, (statements, lines, files) in sorted(sums.items()):
        print(f"{name:56}{statements:8,} statements{lines:8,} lines{files:6,} files")


if __name__ == "__main__":
    main(*sys.argv[1:])
