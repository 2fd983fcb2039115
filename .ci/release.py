"""Do in a fresh clone of this commit all that a release needs, and say what passed.

    make release-check [STEPS="wheels docs"] [SAMPLE=10] [SEED=0]

A step is a make target of the clone, so that nothing counts that only lies about here; a step that
fails does not keep the others from being tried. It runs before anything is installed.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

STEPS = ("check", "wheels", "docs", "audit", "sbom", "retrain")
"""In this order, because the last one writes into rows that it trained again."""

_SKIPPED = re.compile(r"SKIPPED \[\d+\] (.+)")
_OURS = ("PYTHONPATH", "VIRTUAL_ENV")


def git(*words: str) -> str:
    """Return what git says."""
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def clone(folder: Path) -> str:
    """Clone the commit that is checked out here into an empty folder; return its hash."""
    commit = git("rev-parse", "HEAD").strip()
    shutil.rmtree(folder, ignore_errors=True)
    git("clone", "--quiet", "--no-checkout", ".", str(folder))
    git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    return commit


def run(step: str, folder: Path, log: Path) -> tuple[bool, list[str]]:
    """Run a step in the clone, shown and logged; return whether it passed, and what it skipped."""
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    skipped = []
    with (
        log.open("w") as file,
        subprocess.Popen(
            ["make", "--no-print-directory", step],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            file.write(line)
            if found := _SKIPPED.match(line):
                skipped.append(found[1])
    return process.returncode == 0, skipped


def main(out: Path, asked: list[str]) -> int:
    """Run the steps that are asked for, all if none are; return 1 if one failed."""
    asked = asked or list(STEPS)
    if unknown := sorted(set(asked) - set(STEPS)):
        sys.stderr.write(f"there is no step {unknown[0]!r}; there are: {' '.join(STEPS)}\n")
        return 2
    commit = clone(out / "clone")
    changed = len(git("status", "--porcelain").splitlines())
    lines, failed = [f"release check of {commit[:12]}"], []
    if changed:
        lines.append(f"  {changed} changed files here are not committed, and not in it")
    for step in STEPS:
        if step not in asked:
            lines.append(f"  {step:8} left out")
            continue
        began, log = time.monotonic(), out / f"{step}.log"
        passed, skipped = run(step, out / "clone", log)
        minutes = (time.monotonic() - began) / 60
        lines.append(f"  {step:8} {'passed' if passed else 'FAILED'} in {minutes:.1f} min: {log}")
        lines += [f"           skipped: {reason}" for reason in skipped]
        failed += [] if passed else [step]
    sys.stdout.write("\n".join(["", *lines, f"failed: {', '.join(failed) or 'none'}", ""]))
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
