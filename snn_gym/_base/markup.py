"""HTML and SVG elements; only this module escapes texts."""

from __future__ import annotations

import html
from collections.abc import Iterable

Attribute = str | int | float | bool | None
"""Value of an attribute: True for its name alone, None or False for none."""

_VOID = ("br", "img", "input", "link", "meta")


class Markup(str):
    """Text that is HTML and must not be escaped again."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return a text as HTML, quotes escaped; markup does not change."""
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def joined(parts: Iterable[str]) -> Markup:
    """Return the concatenation of parts, escaped unless they are markup."""
    return Markup("".join(map(escaped, parts)))


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """Return an HTML or SVG element with escaped children; attribute ``a_b_`` becomes ``a-b``."""
    head = "".join([tag, *(_attribute(key, value) for key, value in attributes.items())])
    return Markup(f"<{head}>" if tag in _VOID else f"<{head}>{joined(children)}</{tag}>")


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'
