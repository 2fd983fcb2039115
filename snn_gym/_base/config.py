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
from collections.abc import Callable, Collection, Mapping, Sequence, Set, Sized
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
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
        if _compiled(self.pattern).fullmatch(value) is None:
            raise ValueError(f"{where} must match {self.pattern}, got {_show(value)}")


_compiled = functools.cache(re.compile)

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

    gone: ClassVar[Mapping[str, Any]] = {}
    """Fields of older files, with the one value of each that the class still stands for."""

    def __post_init__(self) -> None:
        """Convert every value as ``from_mapping`` does, then check them together."""
        cls: Any = type(self)
        for name, convert in _converters(cls).items():
            converted = convert(getattr(self, name), name)
            object.__setattr__(self, name, converted)  # frozen dataclasses refuse assignment
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
    form = _form(cls)
    if type(mapping) is not dict and not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: expected a table of {cls.__name__}, got {_show(mapping)}")
    if form.gone:
        mapping = {k: x for k, x in mapping.items() if k not in form.gone or x != form.gone[k]}
    if not form.required <= mapping.keys() <= form.converters.keys():
        raise _unfit_keys(form, mapping, where)
    converters = form.converters
    try:
        values = {key: converters[key](value, key) for key, value in mapping.items()}
        return _made_of(cls, form, values) if form.is_plain else cls(**values)
    except ValueError as error:
        error.args = (f"{where}: {error}",)  # of the same type, which says what went wrong
        raise


def _made_of(cls: Any, form: _Form, values: Mapping[str, Any]) -> Any:
    """Return an instance of values that are converted already."""
    config = object.__new__(cls)
    vars(config).update(form.defaults)
    for name, make in form.factories.items():
        if name not in values:
            vars(config)[name] = form.converters[name](make(), name)
    vars(config).update(values)
    config._check()
    return config


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


Converter = Callable[[Any, str], Any]
"""Function of a value and its place that returns the value as a field has it, or ValueError."""


class _Form(NamedTuple):
    """Fields of a dataclass that mappings may have."""

    converters: Mapping[str, Converter]
    required: Set[str]
    defaults: Mapping[str, Any]
    """Converted defaults."""
    factories: Mapping[str, Callable[[], Any]]
    is_plain: bool
    """Whether it is a `Config` without an initialisation of its own."""
    gone: Mapping[str, Any]
    """Fields of older files."""


@functools.cache
def _form(cls: Any) -> _Form:
    fields = [field for field in dataclasses.fields(cls) if field.init]
    missing, converters = dataclasses.MISSING, _converters(cls)
    defaults = {x.name: x.default for x in fields if x.default is not missing}
    factories = {
        x.name: x.default_factory for x in fields if x.default_factory is not dataclasses.MISSING
    }
    is_plain = issubclass(cls, Config) and cls.__post_init__ is Config.__post_init__
    if is_plain:
        defaults = {name: converters[name](x, name) for name, x in defaults.items()}
    return _Form(
        {field.name: converters[field.name] for field in fields},
        {field.name for field in fields} - defaults.keys() - factories.keys(),
        defaults,
        factories,
        is_plain,
        getattr(cls, "gone", {}),
    )


@functools.cache
def _converters(cls: Any) -> Mapping[str, Converter]:
    """Return the converter of each field of a dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: _converter(hints[field.name]) for field in dataclasses.fields(cls)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _unfit_keys(form: _Form, mapping: Mapping[str, Any], where: str) -> ValueError:
    """Return the error of a mapping with unknown keys, or without required ones."""
    allowed = ", ".join(form.converters) or "none"
    # Keys of a stranger's file may be long.
    unknown = [f"{key!s:.60}" for key in mapping if key not in form.converters]
    if unknown:
        hint = did_you_mean(unknown[0], form.converters)
        message = f"{where}: unknown key {', '.join(unknown)}{hint} allowed keys: {allowed}"
        return UnknownKeyError(unknown, message)
    missing = [x for x in form.converters if x in form.required and x not in mapping]
    return ValueError(f"{where}: missing key {', '.join(missing)}; allowed keys: {allowed}")


def typed(hint: Any, value: Any, where: str) -> Any:
    """Return a value as a field of the type ``hint`` has it; ValueError if it does not fit."""
    return _converter(hint)(value, where)


@functools.cache
def _converter(hint: Any) -> Converter:
    if hint is Any:
        return lambda value, _: value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return lambda value, where: (
            value if isinstance(value, hint) else from_mapping(hint, value, where)
        )
    return _MAKERS.get(get_origin(hint), _scalar_converter)(hint)


def _annotated_converter(hint: Any) -> Converter:
    base, *rules = get_args(hint)
    convert = _converter(base)

    def convert_and_check(value: Any, where: str) -> Any:
        converted = convert(value, where)
        for rule in rules:
            rule(converted, where)
        return converted

    return convert_and_check


def _scalar_converter(hint: Any) -> Converter:
    def convert(value: Any, where: str) -> Any:
        if type(value) is hint and hint is not float:
            return value
        if hint in (int, float) and not isinstance(value, bool):  # which is an int in Python
            # Python's numbers and numpy's
            if hint is float and isinstance(value, numbers.Real):
                return _finite(value, where)
            if hint is int and isinstance(value, numbers.Integral):
                return int(value)
        raise _WrongTypeError(f"{where}: expected {_name(hint)}, got {_show(value)}")

    return convert


def _finite(value: Any, where: str) -> float:
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{where}: a number of {value.bit_length()} bits is too large") from error
    if not math.isfinite(number):
        raise ValueError(f"{where} must be finite, got {number}")
    return number


def _union_converter(hint: Any) -> Converter:
    members = [member for member in get_args(hint) if member is not type(None)]
    converters = [_converter(member) for member in members]
    optional = type(None) in get_args(hint)
    if optional and len(members) == 1:
        (only,) = converters
        return lambda value, where: None if value is None else only(value, where)

    def convert(value: Any, where: str) -> Any:
        if value is None and optional:
            return None
        errors = []
        for member in converters:
            try:
                return member(value, where)
            except ValueError as error:
                errors.append(error)
        # A number out of range is no "expected float or str".
        specific = [error for error in errors if not isinstance(error, _WrongTypeError)] or errors
        if len(specific) == 1:
            raise specific[0]
        expected = " or ".join(_name(member) for member in members)
        raise _WrongTypeError(f"{where}: expected {expected}, got {_show(value)}") from errors[-1]

    return convert


def _literal_converter(hint: Any) -> Converter:
    allowed = get_args(hint)

    def convert(value: Any, where: str) -> Any:
        for choice in allowed:
            # True equals 1, and 1.0 does, too.
            if type(value) is type(choice) and value == choice:
                return value
        choices = ", ".join(repr(choice) for choice in allowed)
        raise _WrongTypeError(f"{where}: got {_show(value)}; allowed values: {choices}")

    return convert


def _tuple_converter(hint: Any) -> Converter:
    members = get_args(hint)
    endless = len(members) == 2 and members[1] is Ellipsis
    converters = [_converter(member) for member in members if member is not Ellipsis]
    are_valid = _test(members[0])

    def convert(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, got {_show(value)}")
        if endless and are_valid(value):
            return tuple(value)
        by_place = converters * len(value) if endless else converters
        if len(by_place) != len(value):
            raise ValueError(f"{where}: expected {len(by_place)} values, got {len(value)}")
        pairs = zip(by_place, value, strict=True)
        return tuple(member(item, f"{where}[{k}]") for k, (member, item) in enumerate(pairs))

    return convert


def _test(hint: Any) -> Callable[[Collection[Any]], bool]:
    """Return a quick test whether numbers or texts, at least one, surely fit a type as they are.

    The rows of results tables have hundreds of numbers each.
    """
    base, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if base is str:
        return _text_test(rules)
    if hint is Any:
        return lambda _: True
    if base not in (int, float) or not all(isinstance(rule, Range) for rule in rules):
        return lambda _: False

    def are_valid(values: Collection[Any]) -> bool:
        if set(map(type, values)) != {base}:
            return False
        if base is float and not math.isfinite(sum(values)):  # or some of them are very large
            return False
        return all(rule.holds(min(values)) and rule.holds(max(values)) for rule in rules)

    return are_valid


def _text_test(rules: Sequence[Callable[[str, str], None]]) -> Callable[[Collection[Any]], bool]:
    @functools.lru_cache(maxsize=1024)
    def is_valid(text: str) -> bool:
        try:
            for rule in rules:
                rule(text, "")
        except ValueError:
            return False
        return True

    return lambda texts: set(map(type, texts)) == {str} and all(map(is_valid, texts))


def _dict_converter(hint: Any) -> Converter:
    hints = get_args(hint)
    of_key, of_item = map(_converter, hints)
    are_keys, are_items = map(_test, hints)

    def convert(value: Any, where: str) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected a table, got {_show(value)}")
        if not value or (are_keys(value) and are_items(value.values())):
            return dict(value)
        return {
            of_key(key, f"{where}: key"): of_item(item, f"{where}.{key!s:.60}")
            for key, item in value.items()
        }

    return convert


_MAKERS: Mapping[Any, Callable[[Any], Converter]] = {
    Annotated: _annotated_converter,
    Union: _union_converter,
    types.UnionType: _union_converter,
    Literal: _literal_converter,
    tuple: _tuple_converter,
    dict: _dict_converter,
    Mapping: _dict_converter,
}


def _name(hint: Any) -> str:
    if hint is type(None):
        return "null"
    if get_origin(hint) is Annotated:
        return _name(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
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
            "register an id or a features extractor that has the path itself (--module PACKAGE), "
            "and name that"
        )


# An agent's name, an environment's id and its arguments for ``gym.make``, as files give them.
RecordedAgent = Annotated[str, Length(1, MAX_AGENT_NAME), Matching(AGENT_NAME)]
RecordedId = Annotated[str, check_names_no_module, Matching(r"[\w./-]*")]
RecordedArguments = Annotated[dict[str, Any], check_names_no_module]
PathlessArguments = Annotated[dict[str, Any], check_names_no_module, check_names_no_path]
# Those of a policy, whose features extractor may open what they name.
PolicyArguments = Annotated[dict[str, Any], check_names_no_path]
