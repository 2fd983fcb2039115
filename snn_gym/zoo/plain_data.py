"""Whether what a model holds can be written as plain data."""

from __future__ import annotations

import json
from typing import Any


def as_plain_data(values: dict[str, Any], what: str) -> dict[str, Any]:
    """Return a mapping as plain JSON types.

    Args:
        values: The mapping.
        what: What it holds, for the error.

    Raises:
        ValueError: A value is no plain data, such as a class or a function.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} {values!r} hold more than plain data and can't be saved; use numbers, "
            "strings, lists and mappings"
        ) from error
    return plain
