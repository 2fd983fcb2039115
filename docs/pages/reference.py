"""The API reference: every public name of every public module.

A package has two pages: the names that it exports, which are what users import, and its modules
with all else that has no leading underscore. A name is described once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pages.modules import Definition, Module, public_modules

PACKAGE = "snn_gym"
_TITLES = "=-~"


def is_public(name: str) -> bool:
    """Return whether a name has no leading underscore."""
    return not name.startswith("_")


def title(text: str, level: int) -> str:
    """Return a heading in reStructuredText."""
    return f"{text}\n{_TITLES[level] * len(text)}\n"


def directive(found: Definition, name: str) -> str:
    """Return the directive that documents a definition.

    Args:
        found: The definition.
        name: Dotted name under which users import it.
    """
    if found.kind == "class":
        return f".. autoclass:: {name}\n   :members:\n   :show-inheritance:\n"
    if found.kind == "function":
        return f".. autofunction:: {name}\n"
    if found.documented:
        return f".. autodata:: {found.target}\n   :no-value:\n"
    return f".. py:data:: {found.name}\n   :module: {found.module}\n   :value: {found.value}\n"


def exports(modules: Sequence[Module]) -> dict[str, str]:
    """Return the name under which users import each exported definition, by where it is defined.

    The package nearest to the root wins: ``snn_gym.evaluate`` comes before
    ``snn_gym.leaderboard.evaluate``.
    """
    found: dict[str, str] = {}
    names = {module.name for module in modules}
    origins = {
        f"{module.name}.{name}": where
        for module in modules
        for name, where in module.origins.items()
    }
    for module in sorted(modules, key=lambda module: (module.name.count("."), module.name)):
        for name in filter(is_public, module.exported):
            where = f"{module.name}.{name}"
            while where in origins:
                where = origins[where]
            offered = f"{module.name}.{name}"
            # An attribute of that name may be the submodule.
            found.setdefault(where, where if offered in names else offered)
    return found


def public_page(module: Module, shown: Mapping[str, str], defined: Mapping[str, Definition]) -> str:
    """Return the page of the names that a package exports."""
    lines = [title(module.name, 0), f".. automodule:: {module.name}\n   :no-members:\n"]
    elsewhere = []
    offered = {name: where for where, name in shown.items()}
    for name in filter(is_public, module.exported):
        full = f"{module.name}.{name}"
        where = offered.get(full)
        if where is None:
            elsewhere.append(f":py:obj:`{full}`")
        else:
            lines += [title(name, 1), directive(defined[where], full)]
    if elsewhere:
        lines.append(f"Also here: {', '.join(elsewhere)}.\n")
    return "\n".join(lines)


def modules_page(name: str, modules: Iterable[Module], shown: Mapping[str, str]) -> str:
    """Return the page of a package's modules, without what is exported."""
    lines = [title(f"Modules of {name}", 0)]
    for module in modules:
        lines.append(title(module.name, 1))
        if not module.exported:
            lines.append(f".. automodule:: {module.name}\n   :no-members:\n")
        for found in module.definitions:
            if found.target in shown:
                lines.append(f"``{found.name}``: see :py:obj:`{shown[found.target]}`.\n")
            else:
                lines.append(directive(found, found.target))
    return "\n".join(lines)


def rooms(modules: Iterable[Module]) -> dict[str, list[Module]]:
    """Return the modules by the package that they stand in, packages two levels deep at most."""
    found: dict[str, list[Module]] = {}
    for module in modules:
        parts = module.name.split(".")
        parent = parts if module.package else parts[:-1]
        found.setdefault(".".join(parent[:2]), []).append(module)
    return found


def reference_pages(root: Path) -> dict[str, str]:
    """Return the text of each page by its path on the site.

    Args:
        root: The folder that holds the package.
    """
    found = public_modules(root, PACKAGE)
    modules = [x for x in found if not x.name.removeprefix(f"{PACKAGE}.").startswith("cli")]
    shown = exports(modules)
    defined = {one.target: one for module in modules for one in module.definitions}
    pages: dict[str, str] = {}
    for module in modules:
        if module.exported:
            pages[f"reference/{module.name}.rst"] = public_page(module, shown, defined)
    for name, members in rooms(modules).items():
        inner = [one for one in members if one.definitions or not one.package]
        if inner:
            pages[f"reference/modules/{name}.rst"] = modules_page(name, inner, shown)
    pages["reference/index.md"] = index(modules, pages)
    return pages


def index(modules: Iterable[Module], pages: Iterable[str]) -> str:
    """Return the front page of the reference."""
    headlines = {module.name: module.headline for module in modules}
    public = [Path(page).stem for page in pages if page.count("/") == 1]
    inner = [Path(page).stem for page in pages if "/modules/" in page]
    table = "\n".join(f"| [{name}]({name}.rst) | {headlines[name]} |" for name in public)
    entries = "\n".join(public)
    entries_inner = "\n".join(f"modules/{name}" for name in inner)
    return f"""# Reference

The pages of the packages have the public names, for users. The pages of the modules have all other
names without a leading underscore, for developers of snn_gym; these may change with any version.

| Package | Holds |
|---|---|
{table}

```{{toctree}}
:caption: Packages
:hidden:

{entries}
```

```{{toctree}}
:caption: Modules
:maxdepth: 1

{entries_inner}
```
"""
