"""Tests of deprecations: each states its version, its end and a replacement."""

import ast
import re
from collections.abc import Iterator

import pytest

import snn_gym
from snn_gym._base.folders import checkout_root

ROOT = checkout_root()
FORM = re.compile(r"\S.* is deprecated since (\d+)\.(\d+) and leaves in (\d+)\.(\d+); use \S.*")
CATEGORIES = {"DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"}


def deprecations(source: str) -> Iterator[ast.expr]:
    """Yield the message of each call of ``deprecated`` and of each deprecation warning."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = ast.unparse(node.func).split(".")[-1]
        others = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        told = {ast.unparse(x).split(".")[-1] for x in others}
        if name == "deprecated" or (name == "warn" and told & CATEGORIES):
            message = node.args[0]
            filled = isinstance(message, ast.Call) and isinstance(message.func, ast.Attribute)
            yield message.func.value if filled and message.func.attr == "format" else message


def problems(source: str, version: str) -> list[str]:
    """Return the messages that are incomplete or expired."""
    now = tuple(int(part) for part in version.split(".")[:2])
    found = []
    for message in deprecations(source):
        said = FORM.fullmatch(str(getattr(message, "value", "")))
        numbers = [int(x) for x in said.groups()] if said else []
        if not said or not tuple(numbers[:2]) <= now < tuple(numbers[2:]):
            found.append(ast.unparse(message))
    return found


GOOD = "old is deprecated since 1.2 and leaves in 2.0; use new"
USES = {
    "decorator": '@deprecated("{}")\ndef old(): ...',
    "of its module": '@typing_extensions.deprecated("{}", category=None)\nclass Old: ...',
    "warning": 'warnings.warn("{}", DeprecationWarning, stacklevel=2)',
    "by keyword": 'warn("{}", category=FutureWarning)',
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    ("message", "version", "sound"),
    [
        (GOOD, "1.2.0", True),
        (GOOD, "1.10.3", True),
        (GOOD, "2.0.0", False),
        (GOOD, "2.1.0", False),
        (GOOD, "1.1.0", False),  # it can't be deprecated by a version that is still to come
        ("old is deprecated; use new", "1.2.0", False),
        ("old is deprecated since 1.2 and leaves in 2.0", "1.2.0", False),
        ("old is deprecated since 1.2 and leaves in 2.0; use ", "1.2.0", False),
    ],
)
def test_a_deprecation_is_read(use: str, message: str, version: str, sound: bool) -> None:
    assert (problems(use.format(message), version) == []) is sound


def test_other_warnings_and_computed_messages() -> None:
    assert problems('warnings.warn("set aside", UserWarning, stacklevel=2)', "1.0.0") == []
    assert problems('warnings.filterwarnings("ignore", "x", FutureWarning)', "1.0.0") == []
    assert problems("warnings.warn(text, DeprecationWarning)", "1.0.0") == ["text"]
    filled = (
        "warn('{} is deprecated since 1.0 and leaves in 2.0; use {}'.format(a, b), FutureWarning)"
    )
    assert problems(filled, "1.0.0") == []
    assert problems(filled, "2.0.0") != []


def test_package_deprecations_are_valid() -> None:
    files = sorted((ROOT / "snn_gym").rglob("*.py"))
    assert len(files) > 100
    found = {str(file): problems(file.read_text(), snn_gym.__version__) for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_contributing_shows_the_form() -> None:
    shown = re.findall(r"`([^`]* is deprecated [^`]*)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert [bool(FORM.fullmatch(line)) for line in shown] == [True]
