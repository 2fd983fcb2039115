"""Types as readers need them: without what their annotations check."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.domains.python import PyAttribute, PyProperty, PyVariable
from sphinx.util.typing import OptionSpec

_ANNOTATED = re.compile(r"(?:~?\btyping\.|\b)Annotated\[")
# What stands in quotes holds no brackets and commas of the type.
_MARKS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[][(){},]""")


def plain_types(text: str) -> str:
    """Return a text of types with ``X`` in place of every ``Annotated[X, ...]``.

    Args:
        text: Signature or type, as autodoc writes it.
    """
    while (found := _ANNOTATED.search(text)) is not None:
        end_of_type, end = _parts(text, found.end())
        text = text[: found.start()] + text[found.end() : end_of_type] + text[end + 1 :]
    return text


def _parts(text: str, start: int) -> tuple[int, int]:
    """Return where the first of some parts ends, and where the bracket around them closes."""
    depth, end_of_first = 0, None
    for mark in _MARKS.finditer(text, start):
        if mark[0] in "[({":
            depth += 1
        elif mark[0] in "])}":
            if depth == 0:
                return (mark.start() if end_of_first is None else end_of_first), mark.start()
            depth -= 1
        elif mark[0] == "," and depth == 0 and end_of_first is None:
            end_of_first = mark.start()
    raise ValueError(f"no bracket closes after character {start} of {text!r}")


def plain_signature(
    _app: Sphinx,
    _kind: str,
    _name: str,
    _value: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Return a signature and what it returns in plain types, as autodoc asks."""
    return signature and plain_types(signature), returns and plain_types(returns)


def plain_aliases(_app: Sphinx, _domain: str, _kind: str, content: Any) -> None:
    """Make plain what a type alias is said to stand for, as Sphinx asks.

    Args:
        content: Node of docutils with what describes an object.
    """
    for part in list(content.children):
        text = part.astext()
        if text.startswith("alias of ") and _ANNOTATED.search(text):
            part.replace_self(type(part)("", plain_types(text)))


class PlainAttribute(PyAttribute):
    """An attribute whose type is plain."""

    option_spec: ClassVar[OptionSpec] = {**PyAttribute.option_spec, "type": plain_types}


class PlainProperty(PyProperty):
    """A property whose type is plain."""

    option_spec: ClassVar[OptionSpec] = {**PyProperty.option_spec, "type": plain_types}


class PlainVariable(PyVariable):
    """A constant whose type is plain."""

    option_spec: ClassVar[OptionSpec] = {**PyVariable.option_spec, "type": plain_types}


def use_plain_types(app: Sphinx) -> None:
    """Make the reference's types plain."""
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("object-description-transform", plain_aliases)
    app.add_directive_to_domain("py", "attribute", PlainAttribute, override=True)
    app.add_directive_to_domain("py", "property", PlainProperty, override=True)
    app.add_directive_to_domain("py", "data", PlainVariable, override=True)
