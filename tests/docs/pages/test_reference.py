"""Tests of the reference: every public name is described once."""

import importlib
import pkgutil
import re
from collections import Counter

import snn_gym
from snn_gym._base.folders import checkout_root
from tests.docs.scripts import load_pages

modules = load_pages("modules")
reference = load_pages("reference")
PAGES = reference.reference_pages(checkout_root())
MODULES = modules.public_modules(checkout_root(), "snn_gym")
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


def test_a_module_is_read_without_importing_it(tmp_path):
    path = tmp_path / "pack" / "__init__.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    module = modules.read_module(tmp_path, path)
    assert (module.name, module.package, module.headline) == ("pack", True, "First line")
    assert module.exported == ("Quiet", "SIZE", "run")
    assert module.origins == {"Quiet": "other.Loud"}
    assert [(x.name, x.kind, x.documented) for x in module.definitions] == [
        ("SIZE", "data", True),
        ("BARE", "data", False),
        ("run", "function", True),
        ("Thing", "class", True),
    ]
    assert (module.definitions[0].value, module.definitions[0].target) == ("3", "pack.SIZE")


def test_every_exported_name_is_described_once():
    exported = {
        module.name: [name for name in module.exported if not name.startswith("_")]
        for module in MODULES
    }
    assert {"snn_gym", "snn_gym.spiking", "snn_gym.learners"} <= set(exported)
    for module, names in exported.items():
        words = set(re.findall(r"\w+", PAGES.get(f"reference/{module}.rst", "")))
        assert set(names) <= words, module
    assert [name for name, times in DOCUMENTED.items() if times > 1] == []


def test_every_public_module_is_described():
    text = "\n".join(PAGES.values())
    names = [module.name for module in pkgutil.walk_packages(snn_gym.__path__, "snn_gym.")]
    public = [
        name for name in names if not any(x.startswith(("_", "cli")) for x in name.split("."))
    ]
    assert len(public) > 100
    missing = [
        name
        for name in public
        if f"reference/{name}.rst" not in PAGES and f".. automodule:: {name}\n" not in text
    ]
    # A package without definitions needs no description.
    assert all(hasattr(importlib.import_module(name), "__path__") for name in missing)


def test_every_exported_constant_is_documented():
    definitions = {one.target: one for module in MODULES for one in module.definitions}
    shown = reference.exports(MODULES)
    assert [name for name in shown if not definitions[name].documented] == []
