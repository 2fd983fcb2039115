"""Import of scripts in docs/, which is not a package."""

import importlib
import sys

from snn_gym._base.folders import checkout_root

DOCS = checkout_root() / "docs"


def load_script(name):
    """Return docs/NAME.py as a module."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    return importlib.import_module(name)


def load_pages(name):
    """Return docs/pages/NAME.py as a module."""
    return load_script(f"pages.{name}")
