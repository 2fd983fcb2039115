"""The figures of the code base, on trees small enough to count by hand."""

import re
import subprocess

import pytest

from benchmarks import house
from benchmarks.house import Source

SCALE = '''"""What the module holds."""

import math  # not counted


def scaled(values, factor):
    """Return scaled values.

    Args:
        values: Numbers.
    """
    # A reason.
    largest = max(values)
    smallest = min(values)
    if largest == smallest:
        return [0.0 for _ in values]
    spread = largest - smallest
    return [factor * (value - smallest) / spread for value in values]
'''


def renamed(text):
    for old, new in {"values": "rates", "largest": "top", "smallest": "low", "factor": "k"}.items():
        text = text.replace(old, new)
    return text


def pairs(**texts):
    return house.duplicate_pairs([Source(f"{name}.py", text) for name, text in texts.items()])


def test_lines_of_code_are_those_without_blank_lines_comments_and_docstrings():
    assert house.code_lines(Source("a.py", SCALE)) == 1 + 7


def test_a_function_is_as_long_as_its_lines_without_the_docstring():
    # def, a comment, six lines: its five lines of docstring and the blank line in it are left out.
    assert house.function_lengths([Source("a.py", SCALE)]) == [8]
    nested = "@cache\ndef f():\n    def g():\n        return 1\n    return g\n"
    assert house.function_lengths([Source("a.py", nested)]) == [2, 4]


def test_the_same_lines_and_the_same_shape_are_duplicates():
    assert pairs(a=SCALE, b=SCALE) == {("a.py", "b.py")}
    assert pairs(a=SCALE, b=renamed(SCALE)) == {("a.py", "b.py")}
    assert pairs(a=SCALE + SCALE) == {("a.py", "a.py")}
    assert pairs(a=SCALE) == set()


def test_five_lines_or_another_operator_are_no_duplicate():
    body = SCALE.splitlines()[-6:]
    assert len(body) == 6
    assert pairs(a="\n".join(body[:5]), b="\n".join(body[:5])) == set()
    other = [*body[:3], body[3].replace("[0.0 for _ in values]", "None"), *body[4:]]
    assert pairs(a="\n".join(body), b="\n".join(other)) == set()


def test_code_in_every_file_is_an_idiom():
    eight = {f"m{i}": SCALE for i in range(8)}
    assert len(pairs(**eight)) == 8 * 7 // 2
    assert pairs(**eight, m8=SCALE) == set()


def test_lists_of_names_look_alike_and_are_no_duplicate():
    first = "\n".join(f"    first_{i}," for i in range(9))
    assert pairs(a=first, b=first.replace("first", "second")) == set()
    assert pairs(a=first, b=first) == {("a.py", "b.py")}


@pytest.mark.parametrize(("text", "expected"), [
    ('TABLE = {\n    "box": 1,\n    "tqc": 2,\n}\n', ["table.py:1"]),
    ("def build(name):\n    if name == 'tqc':\n        return 1\n", ["table.py:1"]),
    ("A = 1\n\nif A:\n    B = TQC\nC = [TQC]\n", ["table.py:3", "table.py:5"]),
    ("from somewhere import TQC\n", []),
    ('"""About TQC."""\nA = 1  # as TQC\n', []),
    ('class Sac:\n    """Not TQC."""\n\n    x = 1\n    """Nor tqc."""\n', []),
    ("class TQCSettings:\n    name = 'TQC'\n", []),
])  # fmt: skip
def test_a_place_to_edit_is_a_statement_that_names_the_thing(text, expected):
    assert house.places([Source("table.py", text)], r"TQC|tqc\b") == expected
    assert house.places([Source("tqc.py", text)], r"TQC|tqc\b") == []


def test_before_and_after_stand_side_by_side(tmp_path, monkeypatch, capsys):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)

    git("init", "-q")
    package = tmp_path / "snn_gym" / "learners"
    package.mkdir(parents=True)
    for name in ("a", "b"):
        (package / f"{name}.py").write_text(SCALE)
    (package / "table.py").write_text('NAMES = ("TQC",)\n')
    git("add", "-A")
    git("commit", "-qm", "first")
    (package / "b.py").write_text("from snn_gym.learners.a import scaled\n")
    (package / "table.py").write_text("NAMES = ()\n")
    monkeypatch.setattr(house, "ROOT", tmp_path)
    house.main(["--before", "HEAD"])
    printed = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    table = {cells[0]: tuple(cells[1:]) for cells in printed if len(cells) == 3}
    assert table["snn_gym: lines"] == ("37", "20")
    assert table["snn_gym: lines of code"] == ("17", "10")
    assert table["snn_gym: statements"] == ("21", "12")
    assert table["snn_gym: docstring lines"] == ("12", "6")
    assert table["snn_gym: duplicate pairs"] == ("1", "0")
    assert table["snn_gym: functions"] == ("2", "1")
    assert table["to add an algorithm (TQC), edit"] == ("1", "0")
    # Six lines of docstring and two with a comment in each copy of 18 lines.
    assert table["learners"] == ("3 / 37 / 32 / 10.8", "3 / 20 / 30 / 10.0")
