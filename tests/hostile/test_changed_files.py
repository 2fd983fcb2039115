"""Changed files of every kind: refused in one line, or taken for exactly what they say."""

import contextlib
import io
import os
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.cli import main
from tests.hostile.mutations import BYTES, PLACES
from tests.hostile.readers import Reader, Restored, Resume, Table, one_line
from tests.hostile.structured import STRUCTURED
from tests.leaderboard.helpers import fingerprint

NUMBERS = {
    "verify": (40, 2200), "verify --check": (30, 1500), "table": (30, 1500),
    "verify --again": (20, 500), "verify --retrain": (15, 500), "load_agent": (40, 2200),
    "train --resume": (20, 1200), "train --resume, finished": (20, 700), "sweep": (40, 1000),
}  # fmt: skip
"""Changed inputs of each reader: by default, and in the slow test."""
CONTROL_EVERY = 20
COMMAND_EVERY = 5
MAX_SECONDS = 20.0
MOST_SHOWN = 50
MOST_LETTERS = 3000

Made = dict[str, Callable[[], Reader]]


class HungError(BaseException):
    """An input kept its reader busy; nothing under test catches it."""


class Noted(contextlib.AbstractContextManager["Noted"]):
    """Notes whatever is raised, so that one run shows all defects."""

    def __init__(self, defects, what):
        self._defects, self._what = defects, what

    def __exit__(self, kind, error, trace):
        if error is None or isinstance(error, KeyboardInterrupt):
            return False
        where = "".join(traceback.format_exception(error)[-5:])
        self._defects.append(f"{self._what}:\n{where[-MOST_LETTERS:]}")
        return True


@contextlib.contextmanager
def limited():
    def stop(*_):
        raise HungError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutate(reader, work, outside, generator):
    path = work / reader.files[int(generator.integers(len(reader.files)))]
    chance = generator.random()
    if chance < 0.15:
        place = PLACES[int(generator.integers(len(PLACES)))]
        place(path, outside, generator)
        return place.__name__
    data = path.read_bytes()
    if chance < 0.5 or path.suffix not in STRUCTURED:
        change = BYTES[int(generator.integers(len(BYTES)))]
    else:
        change = STRUCTURED[path.suffix]
    path.write_bytes(change(data, generator))
    repaired = generator.random() < 0.6
    if repaired:
        with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
            reader.repair(work, path)
    return f"{path.suffix} {change.__name__}{', digests made to fit' if repaired else ''}"


class Bench:
    """Gives changed copies to a reader, and counts."""

    def __init__(self, reader, room):
        self.reader, self.room, self.work = reader, room, room / "work"
        self.outside, self.here = room / "outside", room / "here"
        shutil.copytree(reader.other, self.outside / "other")
        self.kept = self._surroundings()
        self.counts = Counter()
        self.defects = []
        self._fresh()
        reader.honest = reader.read(self.work)
        if reader.name in ("verify --check", "table", "verify --again", "verify --retrain"):
            assert len(reader.honest[0]) or reader.name == "verify --check"

    def _fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.reader.control, self.work)

    def _surroundings(self):
        return fingerprint(self.outside), str(sorted(os.listdir(self.here)))

    def control(self):
        self._fresh()
        assert self.reader.read(self.work) == self.reader.honest or self.reader.name == "verify"
        self._fresh()
        code, said = self._command()
        assert code == 0, said
        self.counts["controls accepted"] += 2

    def changed(self, seed):
        """Give a changed folder, or name what is wrong with how it was taken."""
        self._fresh()
        how = mutate(self.reader, self.work, self.outside, np.random.default_rng(seed))
        before = fingerprint(self.work)
        with Noted(self.defects, f"seed {seed}, {how}"):
            with limited():
                outcome = self._call("made to fit" in how, before)
            assert self._surroundings() == self.kept, "something outside was touched"
            if seed[-1] % COMMAND_EVERY == 0:
                self._again_by_command(seed)
            self.counts[f"{outcome}: {how}"] += 1

    def _call(self, repaired, before):
        try:
            accepted = self.reader.read(self.work)
        except (ValueError, gym.error.Error) as error:
            one_line(str(error))
            assert fingerprint(self.work) == before, "refused, and yet something was changed"
            return "refused"
        self.reader.check(self.work, accepted, repaired)
        return "accepted"

    def _again_by_command(self, seed):
        self._fresh()
        mutate(self.reader, self.work, self.outside, np.random.default_rng(seed))
        code, said = self._command()
        lines = said.splitlines()
        assert code in (0, 2), said
        # Warnings may come before the line that refuses.
        assert code == 0 or isinstance(self.reader, Table | Resume) or len(lines) == 1, said
        assert all(line.startswith("snn-gym: ") and len(line) < 2100 for line in lines), said
        self.counts[f"command ended with {code}"] += 1

    def _command(self):
        if self.reader.words(self.work) is None:
            return 0, ""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                with limited():
                    code = main(self.reader.words(self.work))
            except Restored:
                code = 0
        return code, said.getvalue()


def run(name, number, made, room):
    """Give a reader so many changed inputs, with controls between; return what came of them."""
    bench = Bench(made[name](), room)
    for index in range(number):
        if index % CONTROL_EVERY == 0:
            bench.control()
        bench.changed((list(NUMBERS).index(name), index))
    if bench.defects:
        first = "\n".join(bench.defects[:MOST_SHOWN])
        pytest.fail(f"{len(bench.defects)} of {number} inputs of {name}:\n{first}", pytrace=False)
    return bench.counts


def total(counts, word):
    return sum(count for how, count in counts.items() if how.startswith(word))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_changed_files_are_refused_or_read_correctly(name, whole, made, room):
    number = NUMBERS[name][whole]
    counts = run(name, number, made, room)
    assert total(counts, "refused") >= number // 10 or name == "table"  # which sets lines aside
    assert total(counts, "refused") + total(counts, "accepted") == number
    assert counts["controls accepted"] >= 2
