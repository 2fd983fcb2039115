"""Typed configuration: dataclasses that check their values, and are built from mappings.

A field's annotation states its type and, in ``Annotated``, its rules::

    @dataclass(frozen=True)
    class Settings(Config):
        gamma: Share = 0.99
        n_steps: Annotated[int, Range(at_least=1)] = 128

Files and command lines give mappings; code wants typed objects. A value that does not fit raises a
``ValueError`` of one line: the place, the value and the allowed values.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import numbers
import re
import types
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from snn_gym._base.names import AGENT_NAME, MAX_AGENT_NAME, did_you_mean

ConfigT = TypeVar("ConfigT")


class _WrongTypeError(ValueError):
    """A value of another type than its field."""


class UnknownKeyError(ValueError):
    """Error of a mapping with ``keys`` that its dataclass has not."""

    def __init__(self, keys: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


@dataclass(frozen=True)
class Range:
    """Rule of a field: limits of a number, None for no limit.

    A rule is any callable in a field's ``Annotated`` that takes the converted value and its place,
    and raises ``ValueError`` for a value that is not allowed.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __call__(self, value: float, where: str) -> None:
        """Refuse a number that is out of range."""
        if not self.holds(value):
            bounds = [
                f"{name.replace('_', ' ')} {bound}"
                for name, bound in dataclasses.asdict(self).items()
                if bound is not None
            ]
            raise ValueError(f"{where} must be {' and '.join(bounds)}, got {value}")

    def holds(self, value: float) -> bool:
        """Return whether a number is in the range."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class Length:
    """Rule of a field: least and largest number of entries or letters."""

    at_least: int
    at_most: int

    def __call__(self, value: Sized, where: str) -> None:
        """Refuse a value that is too short or too long."""
        if not self.at_least <= len(value) <= self.at_most:
            raise ValueError(
                f"{where} must have {self.at_least} to {self.at_most} entries, got {len(value)}"
            )


@dataclass(frozen=True)
class Matching:
    """Rule of a field: regular expression of its whole text."""

    pattern: str

    def __call__(self, value: str, where: str) -> None:
        """Refuse a text that does not match."""
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(f"{where} must match {self.pattern}, got {_show(value)}")


Count = Annotated[int, Range(at_least=1)]
Natural = Annotated[int, Range(at_least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(at_least=0)]
Share = Annotated[float, Range(at_least=0, at_most=1)]
PositiveShare = Annotated[float, Range(above=0, at_most=1)]
MAX_TIME_STEPS = 10_000  # of a decision, whose memory and time they multiply
TimeSteps = Annotated[Count, Range(at_most=MAX_TIME_STEPS)]


@dataclass(frozen=True)
class Config:
    """Base of frozen dataclasses whose values always fit their fields' annotations."""

    def __post_init__(self) -> None:
        """Convert every value as ``from_mapping`` does, then check them together."""
        cls: Any = type(self)
        hints = _type_hints(cls)
        for field in dataclasses.fields(self):
            converted = typed(hints[field.name], getattr(self, field.name), field.name)
            object.__setattr__(self, field.name, converted)  # frozen dataclasses refuse assignment
        self._check()

    def _check(self) -> None:
        """Refuse values that do not fit each other, by default none; overrides call super first."""


def from_mapping(cls: type[ConfigT], mapping: Mapping[str, Any], where: str) -> ConfigT:
    """Build a dataclass from a mapping; missing keys take the fields' defaults.

    Lists become tuples, numbers Python's int or float, and mappings nested dataclasses, as fields
    want them. Nothing else is converted: a bool is no int, a string is no number. Unknown keys,
    missing ones without default, and values that don't fit or are not finite raise ValueError,
    which begins with ``where``.
    """
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"from_mapping expects a dataclass, got {cls!r}")
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: expected a table of {cls.__name__}, got {_show(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    _check_keys(fields, mapping, where)
    hints = _type_hints(cls)
    values = {key: typed(hints[key], value, f"{where}: {key}") for key, value in mapping.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def from_arguments(cls: type[ConfigT], arguments: Mapping[str, Any], where: str) -> ConfigT:
    """Build a dataclass as ``from_mapping`` does; unknown arguments raise ``TypeError``."""
    allowed = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    for name in arguments:
        if name not in allowed:
            raise TypeError(
                f"{where} got an unexpected keyword argument {name!r}; allowed: "
                f"{', '.join(allowed)}"
            )
    return from_mapping(cls, arguments, where)


_ADDED = "added"
ADDED = {_ADDED: True}
"""Metadata of a field that older files lack: mappings leave it out at its default."""


def to_mapping(config: Any, *, whole: bool = False) -> dict[str, Any]:
    """Return a dataclass instance as a dict of plain JSON types, for ``from_mapping``.

    Fields marked ``ADDED`` are left out at their defaults, unless the ``whole`` is asked for.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"to_mapping expects a dataclass instance, got {_show(config)}")
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.init
        and (
            whole or not field.metadata.get(_ADDED) or getattr(config, field.name) != field.default
        )
    }
    return {name: _plain(value) for name, value in values.items()}


# Reading a results table asks for the same few hundred annotations a million times.
_origin: Callable[[Any], Any] = functools.cache(get_origin)
_arguments: Callable[[Any], tuple[Any, ...]] = functools.cache(get_args)


@functools.cache
def _type_hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls, include_extras=True)


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
    # Keys of a stranger's file may be long.
    unknown = [f"{key!s:.60}" for key in mapping if key not in fields]
    if unknown:
        hint = did_you_mean(unknown[0], fields)
        message = f"{where}: unknown key {', '.join(unknown)}{hint} allowed keys: {allowed}"
        raise UnknownKeyError(unknown, message)
    missing = [
        name
        for name, field in fields.items()
        if name not in mapping and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{where}: missing key {', '.join(missing)}; allowed keys: {allowed}")


def typed(hint: Any, value: Any, where: str) -> Any:
    """Return a value as a field of the type ``hint`` has it; ValueError if it does not fit."""
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    convert = _CONVERTERS.get(_origin(hint), _convert_scalar)
    return convert(hint, value, where)


def _convert_annotated(hint: Any, value: Any, where: str) -> Any:
    base, *rules = _arguments(hint)
    converted = typed(base, value, where)
    for rule in rules:
        rule(converted, where)
    return converted


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint in (int, float) and not isinstance(value, bool):  # which is an int in Python
        # Python's numbers and numpy's
        if hint is float and isinstance(value, numbers.Real):
            return _finite(value, where)
        if hint is int and isinstance(value, numbers.Integral):
            return int(value)
    elif hint in (str, bool, type(None)) and type(value) is hint:
        return value
    raise _WrongTypeError(f"{where}: expected {_name(hint)}, got {_show(value)}")


def _finite(value: Any, where: str) -> float:
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{where}: a number of {value.bit_length()} bits is too large") from error
    if not math.isfinite(number):
        raise ValueError(f"{where} must be finite, got {number}")
    return number


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    members = [member for member in _arguments(hint) if member is not type(None)]
    if value is None and type(None) in _arguments(hint):
        return None
    errors = []
    for member in members:
        try:
            return typed(member, value, where)
        except ValueError as error:
            errors.append(error)
    # A number out of range is no "expected float or str".
    specific = [error for error in errors if not isinstance(error, _WrongTypeError)] or errors
    if len(specific) == 1:
        raise specific[0]
    expected = " or ".join(_name(member) for member in members)
    raise _WrongTypeError(f"{where}: expected {expected}, got {_show(value)}") from errors[-1]


def _convert_literal(hint: Any, value: Any, where: str) -> Any:
    allowed = _arguments(hint)
    for choice in allowed:
        # True equals 1, and 1.0 does, too.
        if type(value) is type(choice) and value == choice:
            return value
    choices = ", ".join(repr(choice) for choice in allowed)
    raise _WrongTypeError(f"{where}: got {_show(value)}; allowed values: {choices}")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: expected a list, got {_show(value)}")
    members = _arguments(hint)
    if len(members) == 2 and members[1] is Ellipsis:
        if _are_valid_numbers(members[0], value):
            return tuple(value)  # the rows of results tables have a thousand numbers each
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise ValueError(f"{where}: expected {len(members)} values, got {len(value)}")
    pairs = zip(members, value, strict=True)
    return tuple(
        typed(member, item, f"{where}[{index}]") for index, (member, item) in enumerate(pairs)
    )


def _are_valid_numbers(hint: Any, values: Sequence[Any]) -> bool:
    """Return whether values, at least one, surely fit the number type ``hint`` unconverted."""
    base, rules = hint, []
    if _origin(hint) is Annotated:
        base, *rules = _arguments(hint)
    kinds = set(map(type, values))
    if base not in (int, float) or kinds != {base}:
        return False
    if base is float and not all(map(math.isfinite, values)):
        return False
    ends = (min(values), max(values))
    return all(isinstance(rule, Range) and all(map(rule.holds, ends)) for rule in rules)


def _convert_dict(hint: Any, value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a table, got {_show(value)}")
    key_hint, item_hint = _arguments(hint)
    return {
        typed(key_hint, key, f"{where}: key"): typed(item_hint, item, f"{where}.{key!s:.60}")
        for key, item in value.items()
    }


_CONVERTERS = {
    Annotated: _convert_annotated,
    Union: _convert_union,
    types.UnionType: _convert_union,
    Literal: _convert_literal,
    tuple: _convert_tuple,
    dict: _convert_dict,
    Mapping: _convert_dict,
}


def _name(hint: Any) -> str:
    if hint is type(None):
        return "null"
    if _origin(hint) is Annotated:
        return _name(_arguments(hint)[0])
    if _origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in _arguments(hint))
    return getattr(hint, "__name__", str(hint))


def _show(value: Any) -> str:
    text = repr(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f"{shown} ({type(value).__name__})"


def check_names_no_module(value: Any, where: str) -> None:
    """Raise ValueError for a text with a colon, also inside lists or values of mappings."""
    # ``gym.make`` imports the module before a colon: a file could run a stranger's code.
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            check_names_no_module(item, where)
    elif isinstance(value, str) and ":" in value:
        raise ValueError(
            f"{where} is {value!r}, which names a module, and a file can't have code run; import "
            "the module yourself, and record the part after the colon"
        )


_PATH = re.compile(r'"(?![\w.-]+/[\w.-]+-v\d+")([.~][^"]*|[^"]*[/\\][^"]*)"')


def path_in(value: Any) -> re.Match[str] | None:
    """Return the first text in plain data that is a path and no id, quoted; None without one."""
    return _PATH.search(json.dumps(value, ensure_ascii=False))


def check_names_no_path(value: Any, where: str) -> None:
    """Raise ValueError for plain data with a text that is a path."""
    if found := path_in(value):
        raise ValueError(
            f"{where} has the path {found[0]:.80}, and a run's file can't have other files opened; "
            "register an id whose own arguments hold the path (--module PACKAGE), and name that"
        )


# An agent's name, an environment's id and its arguments for ``gym.make``, as files give them.
RecordedAgent = Annotated[str, Length(1, MAX_AGENT_NAME), Matching(AGENT_NAME)]
RecordedId = Annotated[str, check_names_no_module, Matching(r"[\w./-]*")]
RecordedArguments = Annotated[dict[str, Any], check_names_no_module]
PathlessArguments = Annotated[dict[str, Any], check_names_no_module, check_names_no_path]
