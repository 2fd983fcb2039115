"""The scripts of docs/, which is no package, as modules, and what writes its pages."""

import importlib
import importlib.util
import sys

from snn_gym._base.folders import checkout_root

DOCS = checkout_root() / "docs"


def reach():
    """Put docs/ on the path, as Sphinx and a script's start do."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))


def load_script(name):
    """Return docs/NAME.py as a module."""
    reach()
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_pages(name):
    """Return docs/pages/NAME.py as a module."""
    reach()
    return importlib.import_module(f"pages.{name}")
