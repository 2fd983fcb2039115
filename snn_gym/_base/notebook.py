"""Jupyter and IPython, where they run: displays of objects, and lines renewed in place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def find_shell() -> Any:
    """Return the shell of a running IPython, None without one; IPython is never imported."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def show_as_html(module: str, name: str, html: Callable[[Any], str | None]) -> None:
    """Let a running IPython show objects of a class, imported or not, by a function to HTML."""
    shell = find_shell()
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type_by_name(module, name, html)


def new_line() -> Callable[[str], None] | None:
    """Show an empty line and return a function that replaces it; None outside of Jupyter."""
    if not hasattr(find_shell(), "kernel"):
        return None
    display = sys.modules["IPython.display"].display
    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda line: handle.update({"text/plain": line}, raw=True)
