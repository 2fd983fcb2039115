"""Mutation testing, on a package small enough to list its mutants by hand."""

import random

import pytest

from tools import mutants as mutation
from tools.mutants import GROUPS, Workshop

MODULE = '''"""Five is a number: 5."""

from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    LIMIT = 3

Share = 1.5


@cached(9)
def clipped(value: Annotated[float, Above(0)], low: float = -1.0) -> float:
    """Return it, 7 at most."""
    if value < low and not done:
        value += 2 * value
    return value
'''
EXPECTED = [
    "(2.5)",  # Share
    "(1)",  # Above
    "(1.0)",  # -1.0 loses its sign, or
    "(2.0)",  # is -2.0
    "(not (value < low and (not done)))",
    "(value < low or not done)",
    "(value <= low)",
    "(done)",
    "value -= 2 * value",
    "(2 / value)",
    "(3)",
]


def listed(text=MODULE):
    return mutation.mutants("envs", "snn_gym/envs/clip.py", text)


def test_every_operator_constant_and_condition_has_its_mutants():
    assert sorted(m.after for m in listed()) == sorted(EXPECTED)


def test_a_mutant_differs_from_the_module_at_its_place_alone():
    (less,) = (m for m in listed() if m.after == "(value <= low)")
    assert less.apply(MODULE) == MODULE.replace("value < low", "(value <= low)")
    for mutant in listed():
        compile(mutant.apply(MODULE), "clip.py", "exec")


def test_a_mutant_of_another_text_is_refused():
    (less,) = (m for m in listed() if m.after == "(value <= low)")
    with pytest.raises(ValueError, match=r"clip\.py has changed at line 14; draw anew"):
        less.apply(MODULE.replace("value < low", "low > value"))


@pytest.fixture
def tree(tmp_path):
    tasks = tmp_path / "snn_gym" / "envs"
    tests = tmp_path / "tests" / "envs"
    for folder in (tasks, tests):
        folder.mkdir(parents=True)
    for package in (tasks, tasks.parent):
        (package / "__init__.py").touch()
    (tasks / "clip.py").write_text(
        "def at_most(value, top):\n    return top if value > top else value\n"
    )
    (tests / "test_all.py").write_text("from snn_gym.envs.clip import at_most\n")
    (tests / "test_other.py").write_text("")
    (tests / "test_clip.py").write_text(
        "from snn_gym.envs.clip import at_most\n\n"
        "def test_lower():\n    assert at_most(1, 2) == 1\n\n"
        "def test_higher():\n    assert at_most(3, 2) == 2\n"
    )
    return tmp_path


def test_the_draw_is_that_of_the_seed(tree):
    drawn = mutation.draw(tree, 2 * len(GROUPS), seed=0)
    text = (tree / "snn_gym/envs/clip.py").read_text()
    pool = mutation.mutants("envs", "snn_gym/envs/clip.py", text)
    assert len(pool) == 2
    assert drawn == random.Random(0).sample(pool, 2)


def test_the_nearest_tests_come_first_and_those_of_other_modules_not_at_all(tree):
    (mutant, _) = mutation.draw(tree, 2 * len(GROUPS), seed=0)
    expected = ["tests/envs/test_clip.py", "tests/envs/test_all.py"]
    assert mutation.tests_of(tree, mutant, nearest=False) == expected
    assert mutation.tests_of(tree, mutant, nearest=True) == expected[:1]


def test_a_mutant_is_killed_by_the_test_that_fails_and_leaves_no_trace(tree):
    workshop = Workshop(tree, preload=())
    outcomes = {
        m.after: workshop.outcome(m, nearest=False)
        for m in mutation.draw(tree, 2 * len(GROUPS), seed=0)
    }
    assert outcomes == {
        "(not value > top)": ("killed", "tests/envs/test_clip.py::test_lower"),
        "(value >= top)": ("survived", ""),
    }
    copied = (workshop.tree / "snn_gym/envs/clip.py").read_text()
    assert copied == (tree / "snn_gym/envs/clip.py").read_text()
