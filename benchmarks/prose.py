"""Print how plain the English of docstrings and pages is, before and after a change.

``python -m benchmarks.prose --before REV`` reads that commit and the working tree as text. Reading
ease is Flesch's (Flesch 1948, https://doi.org/10.1037/h0057532), computed by ``textstat``: 60 to 70
is plain English, below 30 is academic.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import textstat

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 35
"""Words in a sentence of README and guide, at most."""

READ = {
    "README": ("README.md",),
    "guide": ("docs/guide/*.md",),
    "tutorials": ("docs/tutorials/*.md",),
    "studies": ("docs/*.md",),
    "cards": ("agents/*/README.md", "envs/*.md"),
    "rules and contributing": ("leaderboard/RULES.md", "CONTRIBUTING.md"),
}
"""Pages by kind, as patterns from the root."""

_CODE = re.compile(r"^(```|:::|~~~).*?^\1\S*$", re.M | re.S)
_NOT_PROSE = re.compile(r"^(\||#|<|\[|\+|\(|!\[|:|=).*$|<!--.*?-->", re.M)
_LINK = re.compile(r"!?\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])")
_LITERAL = re.compile(r"\{\w+\}`[^`]*`|``[^`]+``|`[^`]*`")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z0-9*\"])|\n\s*\n|\n\s*(?:[-*]|\d+\.) ")


def prose(page: str) -> str:
    """Return a page without code blocks, tables, headings and addresses; `code` becomes Code."""
    text = _LINK.sub(r"\1", _CODE.sub("", page))
    return _NOT_PROSE.sub("", _LITERAL.sub("Code", text)).replace("**", "")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, white space folded; a list's items are apart."""
    folded = (" ".join(part.split()) for part in _SENTENCE.split(text))
    return [part.lstrip("-* ") for part in folded if re.search(r"[A-Za-z]{2}", part)]


def whats(text: str) -> int:
    """Count "what" and "whatever" in a text, questions apart."""
    asked = [part for part in sentences(text) if not part.rstrip("*_\"'").endswith("?")]
    return sum(len(re.findall(r"\bwhat(?:ever)?\b", part, re.I)) for part in asked)


def docstrings(root: Path) -> Iterator[str]:
    """Yield the docstrings of the package, those of attributes included."""
    for file in sorted((root / "snn_gym").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def pages(root: Path, patterns: Sequence[str]) -> dict[str, str]:
    """Return the prose of the pages that match, by their path."""
    files = [file for pattern in patterns for file in sorted(root.glob(pattern))]
    return {f.relative_to(root).as_posix(): prose(f.read_text("utf-8")) for f in files}


def figures(root: Path) -> dict[str, str]:
    """Return a tree's figures by their name."""
    written = list(docstrings(root))
    lines = {
        "docstrings: lines": f"{sum(len(text.splitlines()) for text in written):,}",
        'docstrings: that begin with "What"': str(sum(t.startswith("What") for t in written)),
        'docstrings: "what" as a noun': f"{sum(map(whats, written)):,}",
    }
    for kind, patterns in READ.items():
        texts = list(pages(root, patterns).values())
        if not texts:
            continue
        lengths = [len(sentence.split()) for text in texts for sentence in sentences(text)]
        ease = [textstat.flesch_reading_ease(text) for text in texts]
        lines[f'{kind}: "what" as a noun'] = str(sum(map(whats, texts)))
        lines[f"{kind}: words in a sentence, median, longest"] = (
            f"{statistics.median(lengths):g}, {max(lengths)}"
        )
        lines[f"{kind}: sentences over {LONGEST} words"] = str(sum(n > LONGEST for n in lengths))
        lines[f"{kind}: reading ease, median, least"] = (
            f"{statistics.median(ease):.0f}, {min(ease):.0f}"
        )
    return lines


def long_sentences(root: Path) -> Iterator[str]:
    """Yield the sentences of all pages that are too long, each with its page and its words."""
    for patterns in READ.values():
        for path, text in pages(root, patterns).items():
            for sentence in sentences(text):
                if (words := len(sentence.split())) > LONGEST:
                    yield f"{path}: {words} words: {sentence}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of a commit and of the working tree side by side."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--before", default="v1.0.0", metavar="REV", help="the commit before")
    parser.add_argument("--long", action="store_true", help="list the sentences that are too long")
    options = parser.parse_args(arguments)
    if options.long:
        print(*long_sentences(ROOT), sep="\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = ["git", "-C", str(ROOT), "archive", options.before]
        done = subprocess.run(archive, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            tar.extractall(folder, filter="data")
        before, after = figures(Path(folder)), figures(ROOT)
    print(f"{'':52}{options.before[:12]:>14}{'now':>14}")
    for name in before | after:
        print(f"{name:52}{before.get(name, '-'):>14}{after.get(name, '-'):>14}")


if __name__ == "__main__":
    main()
