"""Tests of modules and public names of 1.0.0 that have moved: they import with a warning."""

import json
import subprocess
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from snn_gym._base.moved import homes

STORED = Path(__file__).parents[1] / "formats" / "stored" / "1.0.0"
PUBLIC = json.loads((STORED / "public.json").read_text())
"""Names in ``__all__`` of each package of 1.0.0."""
MODULES = {
    module: name
    for module, name in json.loads((STORED / "modules.json").read_text()).items()
    if not module.startswith(
        (
            "snn_gym.export.",
            "snn_gym.scoring.chips",
            "snn_gym.scoring.room",
            "snn_gym.policies.port",
        )
    )
}
"""A class or function of each of its modules that have moved, but for those of exports."""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (module, name)
        for module, names in PUBLIC.items()
        for name in names
        if "export" not in module
    ],
)
def test_public_names_import_and_warn_of_their_new_place(module, name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = getattr(import_module(module), name)
    lines = [str(x.message) for x in caught if "is deprecated since" in str(x.message)]
    assert (lines != []) is (module in homes())
    for line in lines:
        place, _, new = line.rpartition("; use ")[2].rpartition(".")
        assert getattr(import_module(place), new) is value


def test_new_modules_exist_and_old_ones_do_not():
    assert len(homes()) > 180
    for old, new in homes().items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # imports give no warning
            import_module(old)
        assert [home for home in new if find_spec(home) is None] == []
        assert not Path(*old.split(".")).with_suffix(".py").exists()


def test_each_old_module_still_has_its_names():
    assert len(MODULES) > 180
    again = MODULES.keys() - homes().keys()  # with a file of that name
    assert again == {"snn_gym.learners.lean_algorithm"}
    for module, name in MODULES.items():
        if module in again:
            assert getattr(import_module(module), name) is not None
            continue
        with pytest.warns(DeprecationWarning, match=f"{module}.{name} is deprecated since"):
            assert getattr(import_module(module), name) is not None


def test_unknown_names_and_modules_are_refused():
    moved = import_module("snn_gym.scoring.table")
    with pytest.raises(AttributeError, match=r"table' has no attribute 'nothing'"):
        _ = moved.nothing
    with pytest.raises(ModuleNotFoundError, match=r"No module named .*nothing"):
        import_module("snn_gym.scoring.nothing")


def test_moved_modules_are_imported_on_first_access():
    code = "import snn_gym.scoring.verification, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
