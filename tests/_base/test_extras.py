"""Tests of the import of packages of extras."""

import re
import sys
from pathlib import Path

import pytest

from snn_gym._base.lazy import import_extra, install_hint

ROOT = Path(__file__).parents[2]


def test_a_package_that_is_there_is_imported():
    assert import_extra("json", "reading needs json", "dev") is sys.modules["json"]


def test_an_absent_package_is_answered_with_the_command_of_the_readme(monkeypatch):
    monkeypatch.setitem(sys.modules, "absent_package", None)
    words = (
        r"^reading needs it, which is not installed; in the clone of snn_gym, run "
        r'pip install -e "\.\[dev\]"$'
    )
    with pytest.raises(LookupError, match=words):
        import_extra("absent_package.inner", "reading needs it", "dev", LookupError)


def test_a_package_that_needs_another_one_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "needy_package.py").write_text("import another_absent_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_absent_package"):
        import_extra("needy_package", "reading needs it", "dev")


def test_no_hint_names_a_package_index():
    """Snn_gym is on none: a package of that name there would be a stranger's."""
    assert re.search(r'pip install -e "\.\[dev\]"', install_hint("dev"))
    for file in (ROOT / "snn_gym").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert re.search(r"pip install [^\n]*snn[-_]gym\[", text) is None, file
