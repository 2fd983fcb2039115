"""What a module of the package defines, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LONGEST_VALUE = 70


@dataclass(frozen=True)
class Definition:
    """A public name of a module."""

    module: str
    """Dotted name of the module."""
    name: str
    """The name."""
    kind: str
    """``class``, ``function`` or ``data``."""
    documented: bool = True
    """Whether a docstring stands in or under it; constants may do without."""
    value: str = ""
    """Source text of a constant's value, cut where it is long."""

    @property
    def target(self) -> str:
        """Return the dotted name of the definition."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Module:
    """A public module: its name, what it defines, and what it offers from elsewhere."""

    name: str
    """Dotted name."""
    package: bool
    """Whether it is a package."""
    definitions: tuple[Definition, ...]
    """Public names that are defined there, in the order of the source."""
    exported: tuple[str, ...]
    """Names in ``__all__``."""
    origins: Mapping[str, str]
    """Where each imported name comes from: ``NAME`` to ``MODULE.NAME``."""
    headline: str
    """First line of the docstring, without its full stop."""


def _is_text(node: ast.stmt | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _constant(module: str, node: ast.stmt, after: ast.stmt | None) -> Definition | None:
    """Return the constant that a statement defines, None if it defines none."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    else:
        return None
    if not isinstance(target, ast.Name) or target.id.startswith("_"):
        return None
    assert node.value is not None
    value = ast.unparse(node.value)
    if len(value) > _LONGEST_VALUE:
        value = f"{value[:_LONGEST_VALUE]}…"
    return Definition(module, target.id, "data", _is_text(after), value)


def _definitions(module: str, body: list[ast.stmt]) -> list[Definition]:
    found = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            if not node.name.startswith("_"):
                found.append(Definition(module, node.name, kind))
        elif (constant := _constant(module, node, after)) is not None:
            found.append(constant)
    return found


def _exported(body: list[ast.stmt]) -> tuple[str, ...]:
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return tuple(ast.literal_eval(node.value))
    return ()


def read_module(root: Path, path: Path) -> Module:
    """Return what a module's file holds.

    Args:
        root: The folder that holds the package.
        path: The file.
    """
    parts = path.relative_to(root).with_suffix("").parts
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    headline = (ast.get_docstring(tree) or name).splitlines()[0].removesuffix(".")
    origins = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    definitions = tuple(_definitions(name, tree.body))
    return Module(name, package, definitions, _exported(tree.body), origins, headline)


def public_modules(root: Path, package: str) -> list[Module]:
    """Return the public modules of a package, whose names have no leading underscore, sorted."""
    found = []
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not any(part.startswith("_") for part in parts if part != "__init__"):
            found.append(read_module(root, path))
    return sorted(found, key=lambda module: module.name)
