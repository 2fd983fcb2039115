"""The reference has no gaps: every public name stands in it, once."""

import importlib
import pkgutil
import re
from collections import Counter

import pytest

import snn_gym
from snn_gym._base.folders import checkout_root
from tests.docs.scripts import load_pages

modules = load_pages("modules")
reference = load_pages("reference")
PAGES = reference.reference_pages(checkout_root())
TARGET = re.compile(
    r"^\.\. (?:auto(?:class|function|data)|py:data):: (\S+)\n(?:   :module: (\S+))?", re.MULTILINE
)
DOCUMENTED = Counter(
    f"{module}.{name}" if module else name
    for text in PAGES.values()
    for name, module in TARGET.findall(text)
)

SOURCE = '''"""First line.

More."""

from other import Loud as Quiet

__all__ = ["Quiet", "SIZE", "run"]

SIZE: int = 3
"""How many."""
_HIDDEN = 4
BARE = "x" * 100


def run():
    """Run."""


class Thing:
    """A thing."""


def _helper():
    pass
'''


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "pack" / "__init__.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return modules.read_module(tmp_path, path)


def test_a_module_is_read_without_importing_it(module):
    assert (module.name, module.package, module.headline) == ("pack", True, "First line")
    assert module.exported == ("Quiet", "SIZE", "run")
    assert module.origins == {"Quiet": "other.Loud"}


def test_public_definitions_come_in_order_with_their_kind(module):
    found = [(one.name, one.kind, one.documented) for one in module.definitions]
    assert found == [
        ("SIZE", "data", True),
        ("BARE", "data", False),
        ("run", "function", True),
        ("Thing", "class", True),
    ]
    assert module.definitions[0].value == "3"
    assert module.definitions[0].target == "pack.SIZE"


def test_every_exported_name_is_described_once():
    found = {
        module.name: [name for name in module.exported if not name.startswith("_")]
        for module in modules.public_modules(checkout_root(), "snn_gym")
    }
    assert {"snn_gym", "snn_gym.spiking", "snn_gym.learners"} <= set(found)
    for module, names in found.items():
        page = PAGES.get(f"reference/{module}.rst", "")
        assert [name for name in names if not re.search(rf"\b{name}\b", page)] == [], module
    assert [name for name, times in DOCUMENTED.items() if times > 1] == []


def test_every_public_module_is_described():
    text = "\n".join(PAGES.values())
    names = [one.name for one in pkgutil.walk_packages(snn_gym.__path__, "snn_gym.")]
    public = [
        name for name in names if not any(x.startswith(("_", "cli")) for x in name.split("."))
    ]
    assert len(public) > 100
    packages = {name for name in names if f"reference/{name}.rst" in PAGES}
    missing = [x for x in public if x not in packages and f".. automodule:: {x}\n" not in text]
    # A package that holds no more than its modules has nothing of its own to describe.
    packages = {name for name in missing if hasattr(importlib.import_module(name), "__path__")}
    assert set(missing) == packages


def test_every_exported_constant_says_what_it_is():
    found = {
        one.target: one
        for module in modules.public_modules(checkout_root(), "snn_gym")
        for one in module.definitions
    }
    shown = reference.exports(modules.public_modules(checkout_root(), "snn_gym"))
    assert {one for one in shown if one in found} == set(shown)
    assert [name for name in shown if not found[name].documented] == []
