import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base import config
from snn_gym._base.config import (
    Config,
    Count,
    Natural,
    Positive,
    Range,
    Share,
    from_mapping,
    to_mapping,
)


def no_shouting(value: str, where: str) -> None:
    if value.isupper():
        raise ValueError(f"{where} must not shout, got {value!r}")


@dataclass(frozen=True)
class Inner:
    slope: float = 1.0
    kind: Literal["hard", "soft"] = "hard"


@dataclass(frozen=True)
class Bounded(Config):
    count: Count = 1
    share: Share = 0.5
    angle: Annotated[float, Range(above=0, below=180)] = 90.0
    limit: Positive | None = None
    sizes: tuple[Natural, ...] = ()
    word: Annotated[str, no_shouting] = ""
    rate: Positive | Literal["auto"] = "auto"
    inner: Inner | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    sizes: tuple[int, ...] = (64, 64)
    limits: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    budget: dict[str, int] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    rate: float | str = 0.1
    active: bool = True

    def __post_init__(self) -> None:
        if self.limits[0] >= self.limits[1]:
            raise ValueError(f"limits must rise, got {self.limits}")


def build(**values: Any) -> Outer:
    return from_mapping(Outer, {"name": "a", **values}, "here.toml")


def test_values_are_converted_to_the_annotated_types():
    same = {"budget": {"gradient": 5}, "notes": {"any": [1, None]}, "rate": "linear"}
    inner = {"slope": 3, "kind": "soft"}
    made = build(sizes=[8, 4], limits=[0, 2], inner=inner, threshold=7, active=False, **same)
    soft = Inner(3.0, "soft")
    assert made == Outer("a", (8, 4), (0.0, 2.0), soft, threshold=7.0, active=False, **same)
    assert type(made.limits[0]) is float
    assert type(made.threshold) is float


def test_an_instance_of_a_nested_dataclass_is_kept():
    inner = Inner(2.0)
    assert build(inner=inner).inner is inner


ALLOWED = "name, sizes, limits, inner, budget, notes, threshold, rate, active"


@pytest.mark.parametrize(("values", "message"), [
    ({}, f"missing key name; allowed keys: {ALLOWED}"),
    ({"size": 1}, f"unknown key size; did you mean 'sizes'? allowed keys: {ALLOWED}"),
    ({"inner": {"gain": 1}}, "inner: unknown key gain; allowed keys: slope, kind"),
    ({"inner": 3}, "inner: expected a table of Inner, got 3 (int)"),
    (
        {"inner": {"kind": "firm"}},
        "inner: kind: got 'firm' (str); allowed values: 'hard', 'soft'",
    ),
    ({"name": 3}, "name: expected str, got 3 (int)"),
    ({"sizes": 64}, "sizes: expected a list, got 64 (int)"),
    ({"sizes": [64, True]}, "sizes[1]: expected int, got True (bool)"),
    ({"sizes": [64, 1.0]}, "sizes[1]: expected int, got 1.0 (float)"),
    ({"limits": [1]}, "limits: expected 2 values, got 1"),
    ({"budget": {"local": "x"}}, "budget.local: expected int, got 'x' (str)"),
    ({"budget": {1: 1}}, "budget: key: expected str, got 1 (int)"),
    ({"budget": []}, "budget: expected a table, got [] (list)"),
    ({"threshold": True}, "threshold: expected float, got True (bool)"),
    ({"threshold": "1"}, "threshold: expected float, got '1' (str)"),
    ({"rate": None}, "rate: expected float or str, got None (NoneType)"),
    ({"active": 1}, "active: expected bool, got 1 (int)"),
    ({"limits": [1, 0]}, "limits must rise, got (1.0, 0.0)"),
])  # fmt: skip
def test_invalid_values_are_named_with_their_place(values, message):
    with pytest.raises(ValueError, match=r"here\.toml") as caught:
        from_mapping(Outer, {"name": "a", **values} if values else {}, "here.toml")
    assert str(caught.value) == f"here.toml: {message}"


@pytest.mark.parametrize(("values", "message"), [
    ({"count": 0}, "count must be at least 1, got 0"),
    ({"count": 1.5}, "count: expected int, got 1.5 (float)"),
    ({"count": True}, "count: expected int, got True (bool)"),
    ({"share": 1.01}, "share must be at least 0 and at most 1, got 1.01"),
    ({"share": math.nan}, "share must be finite, got nan"),
    ({"share": 10**400}, "share: a number of 1329 bits is too large"),
    ({"angle": 0.0}, "angle must be above 0 and below 180, got 0.0"),
    ({"angle": 180.0}, "angle must be above 0 and below 180, got 180.0"),
    ({"limit": -math.inf}, "limit must be finite, got -inf"),
    ({"limit": 0}, "limit must be above 0, got 0.0"),
    ({"sizes": [1, -1]}, "sizes[1] must be at least 0, got -1"),
    ({"word": "HO"}, "word must not shout, got 'HO'"),
    ({"rate": 0}, "rate must be above 0, got 0.0"),
    ({"rate": "fast"}, "rate: expected float or 'auto', got 'fast' (str)"),
    ({"inner": {"gain": 1}}, "inner: unknown key gain; allowed keys: slope, kind"),
])  # fmt: skip
def test_ranges_and_rules_apply_to_code_and_files(values, message):
    with pytest.raises(ValueError, match=message[:5]) as made:
        Bounded(**values)
    assert str(made.value) == message
    with pytest.raises(ValueError, match="here") as read:
        from_mapping(Bounded, values, "here.toml")
    assert str(read.value) == f"here.toml: {message}"


def test_bounds_themselves_are_allowed_and_values_converted():
    made = Bounded(np.int64(1), 0, 179.9, np.float32(0.5), [0], "Ho", 2, {"slope": 2})
    assert made == Bounded(1, 0.0, 179.9, 0.5, (0,), "Ho", 2.0, Inner(2.0))
    assert [type(x) for x in (made.count, made.share, made.limit)] == [int, float, float]


@pytest.mark.parametrize(("kind", "inside", "outside"), [
    (config.Count, [1, 7], [0]),
    (config.Natural, [0], [-1]),
    (config.Positive, [1e-300], [0.0]),
    (config.NonNegative, [0.0], [-1e-300]),
    (config.Share, [0.0, 1.0], [-1e-300, 1.0 + 1e-15]),
    (config.PositiveShare, [1e-300, 1.0], [0.0, 1.0 + 1e-15]),
    (Annotated[str, config.Length(2, 3)], ["ab", "abc"], ["a", "abcd"]),
    (Annotated[str, config.Matching("a+")], ["aa"], ["", "ab", "ba", "a\n"]),
])  # fmt: skip
def test_limits_of_named_ranges(kind, inside, outside):
    made = dataclasses.make_dataclass("Made", [("value", kind)], bases=(Config,), frozen=True)
    for value in inside:
        assert made(value).value == value
    for value in outside:
        with pytest.raises(ValueError, match=r"^value must "):
            made(value)


def test_unknown_arguments_are_type_errors():
    made = config.from_arguments(Inner, {"slope": 2}, "Inner")
    assert made == Inner(2.0)
    message = r"^Inner got an unexpected keyword argument 'gain'; allowed: slope, kind$"
    with pytest.raises(TypeError, match=message):
        config.from_arguments(Inner, {"gain": 2}, "Inner")


def test_rules_between_fields_are_checked_after_the_fields():
    @dataclass(frozen=True)
    class Window(Config):
        low: float
        high: float

        def _check(self) -> None:
            if self.low >= self.high:
                raise ValueError("low must be below high")

    with pytest.raises(ValueError, match=r"^low must be finite"):
        Window(math.nan, 1)
    with pytest.raises(ValueError, match=r"^here: low must be below high$"):
        from_mapping(Window, {"low": 1, "high": 1}, "here")


def test_long_values_are_shortened_in_messages():
    # Sixty characters are shown whole, of more the first 57.
    for zeros, shown in ([0] * 20, repr([0] * 20)), ([0] * 21, "[" + "0, " * 18 + "0,..."):
        with pytest.raises(ValueError, match="expected str") as caught:
            build(name=zeros)
        assert str(caught.value) == f"here.toml: name: expected str, got {shown} (list)"


def test_only_dataclasses_are_built_and_written():
    with pytest.raises(TypeError, match="from_mapping expects a dataclass"):
        from_mapping(int, {}, "here.toml")
    with pytest.raises(TypeError, match="to_mapping expects a dataclass instance"):
        to_mapping(Outer)


@given(
    sizes=st.lists(st.integers(1, 9), max_size=4),
    slope=st.floats(allow_nan=False, allow_infinity=False),
    budget=st.dictionaries(st.text(max_size=5), st.integers()),
    threshold=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_json_round_trip(sizes, slope, budget, threshold):
    config = build(sizes=sizes, inner={"slope": slope}, budget=budget, threshold=threshold)
    assert from_mapping(Outer, json.loads(json.dumps(to_mapping(config))), "json") == config


@dataclass(frozen=True)
class Grown(Config):
    kept: int = 1
    late: float = field(default=0.5, metadata=config.ADDED)


def test_fields_that_older_files_lack_are_written_only_if_they_differ():
    assert to_mapping(Grown()) == {"kept": 1}
    assert to_mapping(Grown(late=0.25)) == {"kept": 1, "late": 0.25}
    assert to_mapping(Grown(), whole=True) == {"kept": 1, "late": 0.5}
    assert from_mapping(Grown, {"kept": 1}, "here") == Grown()
