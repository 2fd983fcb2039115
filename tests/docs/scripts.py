"""The scripts of docs/, which is no package, as modules."""

import importlib.util

from snn_gym.content import checkout_root


def load_script(name):
    """Return docs/NAME.py as a module."""
    path = checkout_root() / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
