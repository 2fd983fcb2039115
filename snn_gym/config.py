"""Build frozen configuration dataclasses from plain mappings, strictly.

Files and command lines give mappings; code wants typed objects. Anything that does not
fit raises a ``ValueError`` of one line that says where, what came and what is allowed.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

ConfigT = TypeVar("ConfigT")


def from_mapping(cls: type[ConfigT], mapping: Mapping[str, Any], where: str) -> ConfigT:
    """Build a dataclass from a mapping, refusing whatever does not fit its fields.

    Lists become tuples, integers become floats where a float is wanted, and mappings
    become nested dataclasses. Nothing else is converted: a bool is no int, a string is
    no number.

    Args:
        cls: A dataclass. Its fields may be int, float, str, bool, Literal, tuple, dict,
            Mapping, Any, another such dataclass, or a union of these.
        mapping: Values by field name.
        where: Place to name in errors, such as a file name.

    Returns:
        The dataclass, after its own checks in ``__post_init__``.

    Raises:
        ValueError: A key is unknown or missing, or a value has a wrong type or fails
            the dataclass's own checks.
    """
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"from_mapping expects a dataclass, got {cls!r}")
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: expected a table of {cls.__name__}, got {_show(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    _check_keys(fields, mapping, where)
    hints = typing.get_type_hints(cls)
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in mapping.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def to_mapping(config: Any) -> dict[str, Any]:
    """Turn a configuration dataclass into plain JSON types.

    The inverse of ``from_mapping``: tuples become lists and nested dataclasses dicts.

    Args:
        config: An instance of a configuration dataclass.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"to_mapping expects a dataclass instance, got {_show(config)}")
    fields = [field.name for field in dataclasses.fields(config) if field.init]
    return {name: _plain(getattr(config, name)) for name in fields}


def check_positive(settings: object, *names: str) -> None:
    """Refuse counts below 1.

    Args:
        settings: Hyper-parameters.
        *names: Names of the counts.

    Raises:
        ValueError: One of them is below 1.
    """
    for name in names:
        value = getattr(settings, name)
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _check_keys(
    fields: Mapping[str, dataclasses.Field[Any]], mapping: Mapping[str, Any], where: str
) -> None:
    allowed = ", ".join(fields) or "none"
    unknown = [str(key) for key in mapping if key not in fields]
    if unknown:
        raise ValueError(f"{where}: unknown key {', '.join(unknown)}; allowed keys: {allowed}")
    missing = [
        name
        for name, field in fields.items()
        if name not in mapping
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{where}: missing key {', '.join(missing)}; allowed keys: {allowed}")


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the annotation ``hint`` asks, or raise ValueError."""
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    convert = _CONVERTERS.get(typing.get_origin(hint), _convert_scalar)
    return convert(hint, value, where)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) in (int, float):
        return float(value)
    # `type(...) is`, for bool is a subclass of int
    if hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    expected = "null" if hint is type(None) else getattr(hint, "__name__", str(hint))
    raise ValueError(f"{where}: expected {expected}, got {_show(value)}")


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    if value is None and type(None) in typing.get_args(hint):
        return None
    errors = []
    for member in members:
        try:
            return _convert(member, value, where)
        except ValueError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    expected = " or ".join(getattr(member, "__name__", str(member)) for member in members)
    raise ValueError(f"{where}: expected {expected}, got {_show(value)}") from errors[-1]


def _convert_literal(hint: Any, value: Any, where: str) -> Any:
    allowed = typing.get_args(hint)
    for choice in allowed:
        if type(value) is type(choice) and value == choice:
            return value
    choices = ", ".join(repr(choice) for choice in allowed)
    raise ValueError(f"{where}: got {_show(value)}; allowed values: {choices}")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: expected a list, got {_show(value)}")
    members = typing.get_args(hint)
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise ValueError(f"{where}: expected {len(members)} values, got {len(value)}")
    pairs = zip(members, value, strict=True)
    return tuple(
        _convert(member, item, f"{where}[{index}]") for index, (member, item) in enumerate(pairs)
    )


def _convert_dict(hint: Any, value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a table, got {_show(value)}")
    key_hint, item_hint = typing.get_args(hint)
    return {
        _convert(key_hint, key, f"{where}: key"): _convert(item_hint, item, f"{where}.{key}")
        for key, item in value.items()
    }


_CONVERTERS = {
    Union: _convert_union,
    types.UnionType: _convert_union,
    Literal: _convert_literal,
    tuple: _convert_tuple,
    dict: _convert_dict,
    Mapping: _convert_dict,
}


def _show(value: Any) -> str:
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"
