"""Refuse a change of rows that were verified before: `python .ci/rows.py BASE`.

Compared with the commit BASE, every line of leaderboard/results must still be there, with other
values at most where later findings stand, and no file of leaderboard/weights may have changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LATER = {"trained_again", "robustness", "curve", "sha256"}
"""Fields that `snn-gym verify` writes into rows that are there."""
_RESULTS = "leaderboard/results"
_WEIGHTS = "leaderboard/weights"


def changed_rows(root: Path, base: str) -> list[str]:
    """Return a line for each row or file of weights of a commit that was changed or removed."""
    problems = []
    for name in _git(root, "ls-tree", "-r", "--name-only", base, "--", _RESULTS).splitlines():
        if not name.endswith(".jsonl"):
            continue
        before = _rows(_git(root, "show", f"{base}:{name}"))
        now = _rows((root / name).read_text()) if (root / name).is_file() else {}
        problems += [
            f"{name}: {agent}, seed {seed}: {'was changed' if (agent, seed) in now else 'is gone'}"
            for (agent, seed), row in before.items()
            if now.get((agent, seed)) != row
        ]
    changed = _git(root, "diff", "--name-status", "--no-renames", base, "--", _WEIGHTS)
    status = (line.split("\t") for line in changed.splitlines())
    return [*problems, *(f"{name}: was changed or is gone" for kind, name in status if kind != "A")]


def _rows(text: str) -> dict[tuple[str, int], dict[str, object]]:
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:  # rows of before version 2.0 do not say that they were
        if row.get("recipe") is not None:
            row["recipe"].setdefault("numerics", "native")
    return {
        (row["agent"], row["seed"]): {key: x for key, x in row.items() if key not in LATER}
        for row in rows
    }


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    found = changed_rows(Path(__file__).parents[1], sys.argv[1])
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(bool(found) and "rows that were verified before are never changed; add new ones")
