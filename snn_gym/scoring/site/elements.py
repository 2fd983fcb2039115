"""HTML and SVG from Python: the one place where texts become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

Attribute = str | int | float | bool | None
"""Value of an attribute: True for its name alone, None or False for none."""

_VOID = ("br", "img", "input", "link", "meta")
# In the Markdown of definitions and notes: code, links, emphasis.
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\[(?P<label>[^\]]+)\]\((?P<target>[^)\s]+)\)|\*(?P<emphasis>[^*]+)\*"
)


class Markup(str):
    """A text that is HTML already, and is not escaped again."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return a text as HTML that shows it, quotes included; markup stays as it is.

    Args:
        text: Any text, which a stranger may have written.
    """
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def joined(parts: Iterable[str]) -> Markup:
    """Return parts one after the other, escaped if they are no markup.

    Args:
        parts: Texts and markup.
    """
    return Markup("".join(map(escaped, parts)))


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """Return an element of HTML or SVG.

    Args:
        tag: Its name.
        *children: What is inside; texts that are no markup are escaped.
        **attributes: Its attributes: of their names an underscore at the end is left out, and
            others become hyphens. Floats get one decimal, which is what drawings need.
    """
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


def from_markdown(text: str) -> Markup:
    """Return a paragraph of Markdown as HTML.

    Links to other hosts stay, those to files of the repository become their words.

    Args:
        text: Words with code, links and emphasis, as in the table's definitions.
    """
    parts: list[str] = []
    end = 0
    for found in _INLINE.finditer(text):
        parts += [text[end : found.start()], _inline(found)]
        end = found.end()
    return joined([*parts, text[end:]])


def _inline(found: re.Match[str]) -> str:
    if found["code"]:
        return element("code", found["code"])
    if found["emphasis"]:
        return element("em", found["emphasis"])
    if found["target"].startswith("https://"):
        return element("a", found["label"], href=found["target"])
    return found["label"]
