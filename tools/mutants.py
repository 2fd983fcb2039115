"""Draw mutants of the code with a seed and count those that the tests kill.

``python -m tools.mutants`` changes one operator, constant or condition at a time in a copy of
the working tree, runs the tests that concern the changed module until one fails, and writes the
outcome to ``runs/mutants.json``. A stopped run continues; ``--again survived`` tries the
survivors again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import json
import multiprocessing
import os
import queue
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "runs" / "mutants.json"
CPU_LIMIT_S = 300
"""Of a run's own process: a loop without end is a kill, a busy machine is none."""
HEAVY = ("stable_baselines3", "numba", "scipy.stats", "pytest")
"""Modules that take seconds to import and are not under test."""

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "kernels": (
        ("spiking/layer_kernels.py", "spiking/event_kernels.py", "spiking/population.py"),
        ("spiking",),
    ),
    "learners": (("learners/**/*.py", "envs/synapses/*.py"), ("learners", "envs/synapses")),
    "envs": (("envs/*.py", "envs/native/*.py"), ("envs", "references")),
    "statistics": (("leaderboard/statistics.py",), ("leaderboard",)),
    "schema": (
        ("_base/config.py", "leaderboard/manifest.py", "leaderboard/results.py"),
        ("_base", "leaderboard"),
    ),
}
"""For each group its modules, below ``snn_gym``, and where its tests are, below ``tests``."""

_BOTH_WAYS = [
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)),
    *((ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
]
SWAPS: dict[type, type] = {
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    **dict(_BOTH_WAYS),
    **{other: one for one, other in _BOTH_WAYS},
}
"""Operators and their replacements."""


@dataclass(frozen=True)
class Mutant:
    """One change of one expression or statement of a module."""

    group: str
    path: str
    line: int
    column: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """Unique key."""
        return f"{self.path}:{self.line}:{self.column} {self.after}"

    def apply(self, text: str) -> str:
        """Return a module's text with the change."""
        lines = text.splitlines(keepends=True)
        head = "".join(lines[: self.line - 1]).encode()
        start = len(head) + self.column
        code = text.encode()
        if not code.startswith(self.before.encode(), start):
            raise ValueError(f"{self.path} has changed at line {self.line}; draw anew")
        return (
            code[:start] + self.after.encode() + code[start + len(self.before.encode()) :]
        ).decode()


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes whose change can change the behaviour.

    Left out are docstrings, decorators, f-strings and annotations, except for calls in them
    (``Annotated[float, Above(0)]``), which this package's configuration reads.
    """
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else (value,):
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            if name == "decorator_list" or _is_type_checking(child):
                continue
            if name in ("annotation", "returns"):
                for call in (n for n in ast.walk(child) if isinstance(n, ast.Call)):
                    yield from _nodes(call)
                continue
            yield child
            yield from _nodes(child)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node's mutants."""
    mutant = copy.deepcopy(node)
    if isinstance(mutant, ast.Compare):
        for i, operator in enumerate(mutant.ops):
            mutant.ops[i] = SWAPS[type(operator)]()
            yield copy.deepcopy(mutant)
            mutant.ops[i] = operator
    elif isinstance(mutant, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(mutant.op) in SWAPS:
        mutant.op = SWAPS[type(mutant.op)]()
        yield mutant
    elif isinstance(mutant, ast.UnaryOp) and isinstance(mutant.op, ast.Not | ast.USub):
        yield mutant.operand
    elif isinstance(mutant, ast.Constant) and isinstance(mutant.value, bool):
        yield ast.Constant(not mutant.value)
    elif isinstance(mutant, ast.Constant) and isinstance(mutant.value, int | float):
        yield ast.Constant(mutant.value + 1)
    elif isinstance(mutant, ast.If | ast.IfExp | ast.While):
        yield ast.UnaryOp(ast.Not(), mutant.test)
    elif isinstance(mutant, ast.Continue):
        yield ast.Break()


def mutants(group: str, path: str, text: str) -> list[Mutant]:
    """Return all mutants of a module, in the order of the text."""
    found = []
    for node in _nodes(ast.parse(text)):
        for changed in _changed(node):
            place = node.test if isinstance(node, ast.If | ast.IfExp | ast.While) else node
            if not isinstance(place, ast.expr | ast.stmt):
                continue
            before = ast.get_source_segment(text, place)
            after = ast.unparse(ast.fix_missing_locations(changed))
            if before is not None and "\n" not in after:
                after = f"({after})" if isinstance(place, ast.expr) else after
                found.append(Mutant(group, path, place.lineno, place.col_offset, before, after))
    return sorted(found, key=lambda m: (m.line, m.column, m.after))


def draw(root: Path, count: int, seed: int) -> list[Mutant]:
    """Draw an equal number of mutants from each group, each with the seed."""
    drawn: list[Mutant] = []
    for group, (patterns, _) in GROUPS.items():
        files = sorted({f for pattern in patterns for f in (root / "snn_gym").glob(pattern)})
        pool = [
            mutant
            for file in files
            for mutant in mutants(group, file.relative_to(root).as_posix(), file.read_text("utf-8"))
        ]
        drawn += random.Random(seed).sample(pool, min(count // len(GROUPS), len(pool)))
    return drawn


def tests_of(root: Path, mutant: Mutant, *, nearest: bool) -> list[str]:
    """Return the test files of a mutant's group that concern its module, the nearest first.

    Tests with the module's name come first, then tests that name it or its definitions; without
    either, all tests. Layers run the kernels, so all tests of their group count, by folder.
    """
    module = root / mutant.path
    tree = ast.parse(module.read_text("utf-8"))
    names = [n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    said_by_all = {"__init__", "task", "scene", "neurons", *GROUPS[mutant.group][1]}
    stems = {module.stem, module.parent.name} - said_by_all
    named = re.compile("|".join(rf"\b{re.escape(n)}\b" for n in (*names, *stems)))
    ranks: dict[str, int] = {}
    others: list[str] = []
    for place, folder in enumerate(GROUPS[mutant.group][1]):
        for test in (root / "tests" / folder).glob(
            "test_*.py" if folder == "." else "**/test_*.py"
        ):
            path = test.relative_to(root).as_posix()
            if any(stem in test.stem for stem in stems):
                ranks.setdefault(path, 0)
            elif mutant.group == "kernels":
                ranks.setdefault(path, 1 + place)
            elif named.search(test.read_text("utf-8")):
                ranks.setdefault(path, 1)
            else:
                others.append(path)
    ranks = ranks or dict.fromkeys(others, 1)
    first = min(ranks.values(), default=0)
    files = [path for path, rank in ranks.items() if rank == first or not nearest]
    return sorted(files, key=lambda path: (ranks[path], path))


def _run_tests(copy_of_root: str, tests: Sequence[str], cache: str, report: str) -> None:
    """Run tests until one fails, in a process of their own; write the exit code and the test."""
    import pytest

    class FirstFailure:
        """Remembers the first test that failed."""

        name = ""

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and not self.name:
                self.name = report.nodeid

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    os.chdir(copy_of_root)
    os.environ.update(NUMBA_CACHE_DIR=cache, PYTHONPATH=copy_of_root, OMP_NUM_THREADS="1")
    sys.path.insert(0, copy_of_root)
    first = FirstFailure()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no"]
        code = pytest.main([*options, *tests], plugins=[first])
    Path(report).write_text(json.dumps([int(code), first.name]))


class Workshop:
    """A copy of the tree in which mutants are tried one after the other."""

    def __init__(self, root: Path, preload: Sequence[str] = HEAVY) -> None:
        """Copy the tree, and have the runs forked from a process that has imported ``preload``."""
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        left_out = shutil.ignore_patterns(".*", "runs", "__pycache__", "mutants.json")
        self.tree = self.folder / "tree"
        shutil.copytree(root, self.tree, ignore=left_out)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(preload))

    def outcome(self, mutant: Mutant, *, nearest: bool) -> tuple[str, str]:
        """Return killed, survived or timeout, and the test that failed first."""
        file = self.tree / mutant.path
        original = file.read_text("utf-8")
        # A compiled caller keeps what it inlined: kernels are compiled anew, all of them.
        cache = self.folder / ("fresh" if "njit" in original else "cache")
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        tests = tests_of(self.tree, mutant, nearest=nearest)
        file.write_text(mutant.apply(original), "utf-8")
        run = self.context.Process(
            target=_run_tests, args=(str(self.tree), tests, str(cache), str(report))
        )
        run.start()
        run.join(10 * CPU_LIMIT_S)
        late = run.is_alive() or run.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        run.kill()
        run.join()
        file.write_text(original, "utf-8")
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)
        if late:
            return "timeout", ""
        if not report.exists() and run.exitcode not in (-signal.SIGSEGV, -signal.SIGABRT):
            raise RuntimeError(f"the run of {mutant.key} ended with {run.exitcode}, no report")
        code, name = json.loads(report.read_text()) if report.exists() else (1, "it crashed")
        if code == 5 or not tests:
            raise RuntimeError(f"no tests for {mutant.path}: {tests}")
        return ("survived", "") if code == 0 else ("killed", name or "the import fails")


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the mutants that have no outcome yet, and print the count."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--again", nargs="+", default=[], metavar="OUTCOME")
    parser.add_argument("--nearest", action="store_true", help="run only the nearest tests")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    workshops: queue.SimpleQueue[Workshop] = queue.SimpleQueue()
    for made in [Workshop(ROOT) for _ in range(options.workers)]:
        workshops.put(made)
        tree = made.tree  # the working tree may change meanwhile
    repeat = {None, *options.again}
    drawn = [m for m in draw(tree, options.count, options.seed) if m.group in options.groups]
    todo = [m for m in drawn if results.get(m.key, {}).get("outcome") in repeat]

    def attempt(mutant: Mutant) -> tuple[Mutant, str, str]:
        workshop = workshops.get()
        try:
            return mutant, *workshop.outcome(mutant, nearest=options.nearest)
        finally:
            workshops.put(workshop)

    with ThreadPool(options.workers) as pool:
        for mutant, outcome, test in pool.imap_unordered(attempt, todo):
            results[mutant.key] = {**asdict(mutant), "outcome": outcome, "test": test}
            options.results.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
            print(f"{outcome:9}{mutant.key}   {test}", flush=True)
    while not workshops.empty():
        shutil.rmtree(workshops.get().folder)
    counts = Counter((r["group"], r["outcome"]) for r in results.values())
    print(*(f"{group} {outcome}: {n}" for (group, outcome), n in sorted(counts.items())), sep="\n")


if __name__ == "__main__":
    main()
