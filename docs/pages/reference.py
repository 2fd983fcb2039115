"""The API reference: the names that each package exports, which are those that users import."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGES = {"snn_gym": "", "snn_gym_deploy": "deploy"}
"""Documented packages, and the folder that holds each."""


def reference_pages(root: Path) -> dict[str, str]:
    """Return the page of each package with an ``__all__``, and their list, by path on the site.

    A name is described once, on the page of the package nearest to the root.
    """
    pages, entries = dict[str, str](), list[tuple[str, str]]()
    described = set[str]()
    found = [
        (root / y, path)
        for x, y in PACKAGES.items()
        for path in (root / y / x).rglob("__init__.py")
    ]
    for above, path in sorted(found, key=lambda pair: len(pair[1].relative_to(pair[0]).parts)):
        name = ".".join(path.parent.relative_to(above).parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exported = _exported(tree)
        if "._" in name or not exported:
            continue
        entries.append((name, (ast.get_docstring(tree) or name).splitlines()[0]))
        left_out = ", ".join(sorted(exported & described))
        pages[f"reference/{name}.rst"] = (
            f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n"
            f"   :show-inheritance:\n   :exclude-members: {left_out}\n"
        )
        described |= exported
    lines = "\n".join(f"| [{name}]({name}.rst) | {text} |" for name, text in entries)
    listed = "\n".join(name for name, _ in entries)
    pages["reference/index.md"] = (
        "# Reference\n\nThe public names of each package. Modules below them may change with any "
        f"version.\n\n| Package | Holds |\n|---|---|\n{lines}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def _exported(tree: ast.Module) -> set[str]:
    """Return the names in a module's ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()
