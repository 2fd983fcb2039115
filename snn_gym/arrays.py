"""Named arrays, in which form things are saved: of dataclasses, and with the names' prefixes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    DataclassT = TypeVar("DataclassT", bound=DataclassInstance)

ValueT = TypeVar("ValueT")


def to_arrays(values: DataclassInstance) -> dict[str, NDArray[Any]]:
    """Return the fields of a dataclass by name, copied; numbers become arrays of shape ().

    Args:
        values: A dataclass whose fields are numbers and arrays.
    """
    names = [field.name for field in dataclasses.fields(values)]
    return {name: np.array(getattr(values, name)) for name in names}


def from_arrays(like: DataclassT, arrays: Mapping[str, NDArray[Any]], owner: str) -> DataclassT:
    """Return a dataclass of the values that ``to_arrays`` gave, copied.

    Args:
        like: A dataclass of the same type, whose fields say what is a number.
        arrays: Values by name.
        owner: Whose values they are, for errors.

    Raises:
        ValueError: The names are not those of the fields.
    """
    expected = [field.name for field in dataclasses.fields(like)]
    if arrays.keys() != set(expected):
        raise ValueError(f"{owner} carries {sorted(expected)}, got {sorted(arrays)}")
    values = {}
    for name, array in arrays.items():
        known = getattr(like, name)
        is_array = isinstance(known, np.ndarray)
        values[name] = np.array(array) if is_array else type(known)(array.item())
    return type(like)(**values)


def prefixed(prefix: str, values: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return values by names that begin with a prefix and a point.

    Args:
        prefix: What tells these values from others in a file.
        values: Values by name.
    """
    return {f"{prefix}.{name}": value for name, value in values.items()}


def with_prefix(prefix: str, values: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return those values whose names begin with a prefix and a point, without these.

    Args:
        prefix: As for ``prefixed``.
        values: Values by name.
    """
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in values.items() if name.startswith(start)}
