"""Tests of plain signatures in the reference."""

import pytest
from docutils import nodes

from tests.docs.scripts import load_pages

plain = load_pages("plain")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("(x: Annotated[float, Range(at_least=0)], y: int)", "(x: float, y: int)"),
        (
            "(x: ~typing.Annotated[dict[str, ~typing.Any], <function check at 0x7f00>] | None = 1)",
            "(x: dict[str, ~typing.Any] | None = 1)",
        ),
        ("Annotated[tuple[Annotated[str, Length(1, 2)], ...], Length(0, 9)]", "tuple[str, ...]"),
        ("Annotated[str, Matching('[],[\\']')] | None", "str | None"),
        ("Annotated[Literal['a,]', 'b'], 3]", "Literal['a,]', 'b']"),
        ("(x: NotAnnotated[int, 3]) -> list[int]", "(x: NotAnnotated[int, 3]) -> list[int]"),
    ],
)
def test_annotations_are_removed_from_a_type(text, shown):
    assert plain.plain_types(text) == shown


def test_an_open_bracket_is_refused():
    with pytest.raises(ValueError, match="no bracket closes"):
        plain.plain_types("Annotated[int, (3]")


def test_signatures_and_aliases_are_plain():
    shown = plain.plain_signature(None, "", "", None, None, "(x: Annotated[int, 1])", None)
    assert shown == ("(x: int)", None)
    shown = plain.plain_signature(None, "", "", None, None, None, "Annotated[int, 1]")
    assert shown == (None, "int")
    texts = ("alias of Annotated[str, <function f at 0x7f00>]", "alias of int", "Annotated[")
    content = nodes.container("", *(nodes.paragraph("", text) for text in texts))
    plain.plain_aliases(None, "py", "data", content)
    assert [part.astext() for part in content] == ["alias of str", "alias of int", "Annotated["]
