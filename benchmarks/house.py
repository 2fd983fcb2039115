"""Print how large the code is and how often it says a thing, before and after a change.

``python -m benchmarks.house --before 7fd6fdc`` reads that commit and the working tree. Nothing is
imported or run: files are read as text.
"""

from __future__ import annotations

import argparse
import ast
import io
import keyword
import re
import statistics
import subprocess
import tarfile
import tempfile
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "snn_gym"
FOLDERS = (PACKAGE, "references", "studies", "tests")

RUN = 6
"""How many lines in a row two places share to be a duplicate."""

COMMON = 8
"""A run that stands in more places than these is an idiom, not a copy."""

THIN_LINES, THIN_TOKENS = 4, 30
"""A run alike in shape alone has at least so many different lines, and tokens: argument lists and
closing brackets look alike everywhere."""

EXEMPLARS = {
    "an algorithm (TQC)": r"TQC|tqc\b",
    "a neuron (alif)": r"(?<!Cub)(?i:alif)",
    "an encoder (latency)": r"(?i:latency)",
    "a native task (WaterMaze)": r"WaterMaze|water_maze",
    "an agent (sac-lif)": r"sac-lif\b",
    "an environment variant (snn/Acrobot)": r"snn/Acrobot",
}
"""Kinds of additions, and the name of an existing example in the code."""

_TOKEN = re.compile(
    r"""([rbf]{0,2}(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))|(\d[\w.]*)|([^\W\d]\w*)""", re.I
)
_LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: str
    """Relative to the root of its tree, with slashes."""
    text: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)


def read(root: Path, folder: str) -> list[Source]:
    """Return the Python files below a folder of a tree, sorted; none where it does not exist."""
    files = sorted((root / folder).rglob("*.py"))
    return [Source(file.relative_to(root).as_posix(), file.read_text("utf-8")) for file in files]


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the numbers of the lines of all strings that stand as statements."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def code_lines(source: Source) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    lines: set[int] = set()
    for token in tokens:
        if token.type not in _LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(source.tree))


def function_lengths(sources: Sequence[Source]) -> list[int]:
    """Return every function's length in lines, without decorators and docstrings, sorted."""
    lengths = []
    for source in sources:
        tree = source.tree
        docstrings = docstring_lines(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                lengths.append(len(set(lines) - docstrings))
    return sorted(lengths)


def duplicate_pairs(sources: Sequence[Source]) -> set[tuple[str, str]]:
    """Return the pairs of files that share ``RUN`` lines in a row: the same, or of the same shape.

    Blank lines, comments, imports and lines of punctuation do not count, white space is folded. A
    line's shape is the line with every name, string and number replaced by one sign for its kind.
    A file is paired with itself where a run stands in it twice.
    """
    pairs: set[tuple[str, str]] = set()
    rows = {source.path: list(_rows(source.text)) for source in sources}
    for by_shape in (False, True):
        places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
        for path, lines in rows.items():
            kept = [_shape(line) if by_shape else line for line in lines]
            for start in range(len(kept) - RUN + 1):
                run = tuple(kept[start : start + RUN])
                if not (by_shape and _thin(run)):
                    places[run].append((path, start))
        for where in places.values():
            if len(where) <= COMMON:
                pairs.update(
                    (a, b) for (a, i), (b, j) in combinations(where, 2) if a != b or j - i >= RUN
                )
    return pairs


def _rows(text: str) -> Iterator[str]:
    """Yield the lines that count, white space folded."""
    importing = False
    for line in text.splitlines():
        folded = " ".join(line.split())
        if importing or folded.startswith(("import ", "from ")):
            importing = ")" not in folded and (importing or "(" in folded)
        elif re.search(r"\w", folded) and not folded.startswith("#"):
            yield folded


def _shape(line: str) -> str:
    """Return a line with names, strings and numbers replaced by n, a quote and 0."""

    def sign(match: re.Match[str]) -> str:
        name: str | None = match[3]
        if name:
            return name if keyword.iskeyword(name) else "n"
        return '"' if match[1] else "0"

    return _TOKEN.sub(sign, line)


def _thin(run: tuple[str, ...]) -> bool:
    """Say whether a run of shapes is too poor to be called alike."""
    tokens = sum(len(re.findall(r"\w+|[^\w\s]", line)) for line in run)
    return len(set(run)) < THIN_LINES or tokens < THIN_TOKENS


def places(sources: Sequence[Source], pattern: str) -> list[str]:
    """Return the places that name an example in other code: the edits of an addition.

    A place is a statement at the top of a module, without imports, comments and docstrings. The
    example's file or folder, classes and functions are additions, not edits.
    """
    named = re.compile(pattern)
    found = []
    for source in sources:
        if named.search(source.path):
            continue
        for node in source.tree.body:
            own = isinstance(node, ast.ClassDef | ast.FunctionDef) and named.search(node.name)
            imports = isinstance(node, ast.Import | ast.ImportFrom)
            if not own and not imports and named.search(_without_docstrings(node)):
                found.append(f"{source.path}:{node.lineno}")
    return found


def _without_docstrings(node: ast.stmt) -> str:
    """Return a statement's code; ``ast`` has dropped the comments."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return ""
    lines = ast.unparse(node).splitlines()
    hidden = docstring_lines(ast.parse("\n".join(lines)))
    return "\n".join(line for i, line in enumerate(lines, 1) if i not in hidden)


def statements(source: Source) -> int:
    """Count the statements of a file, docstrings included."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(source.tree))


def comment_lines(source: Source) -> int:
    """Count the lines that have a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    return len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})


def room_figures(sources: Sequence[Source]) -> dict[str, str]:
    """Return for each room its files, lines, and the shares of docstrings and comments."""
    rooms: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        parts = source.path.split("/")
        rooms[parts[1] if len(parts) > 2 else "(root)"].append(source)
    shown = {}
    for room, files in rooms.items():
        lines = sum(len(f.text.splitlines()) for f in files)
        shares = (
            100 * sum(count) / max(1, lines)
            for count in (
                [len(docstring_lines(f.tree)) for f in files],
                [comment_lines(f) for f in files],
            )
        )
        docstrings, comments = shares
        shown[room] = f"{len(files)} / {lines:,} / {docstrings:.0f} / {comments:.1f}"
    return shown


def figures(root: Path) -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Return a tree's figures, those of the package's rooms, and its places to edit."""
    sources = {folder: read(root, folder) for folder in FOLDERS}
    lines: dict[str, str] = {}
    for folder, files in sources.items():
        lines[f"{folder}: files"] = f"{len(files):,}"
        lines[f"{folder}: lines"] = f"{sum(len(f.text.splitlines()) for f in files):,}"
        lines[f"{folder}: lines of code"] = f"{sum(map(code_lines, files)):,}"
    package = sources[PACKAGE]
    lines[f"{PACKAGE}: statements"] = f"{sum(map(statements, package)):,}"
    docstrings = sum(len(docstring_lines(f.tree)) for f in package)
    lines[f"{PACKAGE}: docstring lines"] = f"{docstrings:,}"
    for folder in (PACKAGE, "tests"):
        lines[f"{folder}: duplicate pairs"] = str(len(duplicate_pairs(sources[folder])))
    lengths = function_lengths(sources[PACKAGE])
    lines[f"{PACKAGE}: functions"] = f"{len(lengths):,}"
    if len(lengths) > 1:
        ninth = statistics.quantiles(lengths, n=10)[8]
        lines["their lines, median, p90, max"] = (
            f"{statistics.median(lengths):g}, {ninth:g}, {lengths[-1]}"
        )
    folders = Counter(f.path.rpartition("/")[0] for f in sources[PACKAGE])
    lines["files in a folder, median, max"] = (
        f"{statistics.median(folders.values()):g}, {max(folders.values())}" if folders else "none"
    )
    edits = {kind: places(sources[PACKAGE], named) for kind, named in EXEMPLARS.items()}
    lines.update({f"to add {kind}, edit": str(len(where)) for kind, where in edits.items()})
    return lines, room_figures(package), edits


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of a commit and of the working tree side by side."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--before", default="7fd6fdc", metavar="REV", help="the commit before")
    parser.add_argument("--places", action="store_true", help="list the places to edit, after")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = ["git", "-C", str(ROOT), "archive", options.before]
        done = subprocess.run(archive, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            tar.extractall(folder, filter="data")
        before, rooms_before, _ = figures(Path(folder))
    after, rooms_after, edits = figures(ROOT)
    _print(options.before, before, after)
    print("\nrooms: files / lines / docstrings, % / comments, %")
    _print(options.before, rooms_before, rooms_after)
    for kind, where in edits.items() if options.places else ():
        print(f"\nto add {kind}, edit", *where, sep="\n  ")


def _print(revision: str, before: dict[str, str], after: dict[str, str]) -> None:
    print(f"{'':52}{revision[:12]:>24}{'now':>24}")
    for name in before | after:
        print(f"{name:52}{before.get(name, '-'):>24}{after.get(name, '-'):>24}")


if __name__ == "__main__":
    main()
