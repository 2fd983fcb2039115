"""Tests of the manifest schema: bounds and error messages."""

import math
from dataclasses import dataclass, make_dataclass

import pytest

from snn_gym._base.config import Config, from_mapping
from snn_gym.leaderboard import manifest
from snn_gym.leaderboard.manifest import SubmissionError, parse_strict
from snn_gym.program.costs import Costs
from snn_gym.zoo import recipe
from snn_gym.zoo.recipe import TRAINING_SEED_LIMIT, TrainingSeed


@dataclass(frozen=True)
class Point(Config):
    x: float
    name: manifest.AgentName = "a"


def entries(count, value=1.0, letter="k"):
    return {f"{letter}{i}": value for i in range(count)}


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        (manifest.AgentName, ["a", "a" * 64], ["", "a" * 65, "./a"]),
        (manifest.EnvironmentId, ["A-v0", "snn/A-v9"], ["A", "a" * 62 + "-v0", "~/A-v0", "A-v0\0"]),
        (manifest.Version, [1, 1_000_000], [0, 1_000_001]),
        (manifest.Format, [1], [0, 2]),
        (TrainingSeed, [0, TRAINING_SEED_LIMIT - 1], [-1, TRAINING_SEED_LIMIT]),
        (manifest.Steps, [0, 10**12], [-1, 10**12 + 1]),
        (
            manifest.Score,
            [-1e12, 1e12],
            [math.nextafter(-1e12, -math.inf), math.nextafter(1e12, math.inf), math.nan],
        ),
        (manifest.Sha256, ["0" * 64, "f" * 64], ["0" * 63, "0" * 65, "F" * 64]),
        (
            manifest.Date,
            ["2026-01-31T12:00:00Z"],
            [
                "2026-01-31T12:00:00",
                "2026-02-30T12:00:00Z",
                "\u0662026-01-31T12:00:00Z",
                "2026-1-31T12:00:00Z",
            ],
        ),
        (recipe.StepCount, [1, 10**12], [0, 10**12 + 1, 10**30]),
        (recipe.PackageName, ["a", "a" * 64], ["", "a" * 65]),
        (recipe.PackageVersion, ["1", "1" * 64], ["", "1" * 65]),
        (recipe.Packages, [{}, entries(32, "1")], [entries(33, "1")]),
        (manifest.Lengths, [(1,), (10**9,), (5,) * 1000], [(), (0,), (10**9 + 1,), (5,) * 1001]),
    ],
)
def test_values_at_the_bounds_are_accepted_and_beyond_refused(kind, accepted, refused):
    one = make_dataclass("One", [("value", kind)], bases=(Config,), frozen=True)
    for value in accepted:
        assert from_mapping(one, {"value": value}, "f").value == value
    for value in refused:
        with pytest.raises(ValueError, match=r"^f: value"):
            from_mapping(one, {"value": value}, "f")


@pytest.mark.parametrize(
    ("counts", "fits"),
    [
        ({}, True),
        ({"k": 0.0, "l": 1e15}, True),
        ({"k": -1e-9}, False),
        ({"k": math.nextafter(1e15, math.inf)}, False),
        ({"k": math.nan}, False),
        ({"k": "1"}, False),
        ({"k" * 200: 1.0}, True),
        ({"k" * 201: 1.0}, False),
        (entries(64), True),
        (entries(65), False),
        ({"</title><script>": 1.0}, False),
        ({"a\n## Stolen": 1.0}, False),
    ],
)
def test_costs_have_bounds(counts, fits):
    one = make_dataclass("One", [("value", manifest.CheckedCosts)], bases=(Config,), frozen=True)
    mapping = {"value": {"synapses": counts}}
    if fits:
        assert from_mapping(one, mapping, "f").value == Costs(synapses=counts)
    else:
        with pytest.raises(ValueError, match=r"^f: value"):
            from_mapping(one, mapping, "f")


def test_text_longer_than_a_date_is_refused_before_parsing():
    one = make_dataclass("One", [("value", manifest.Date)], bases=(Config,), frozen=True)
    for letters, message in ((20, "is no UTC time like"), (21, "must have 1 to 20 entries")):
        with pytest.raises(ValueError, match=message):
            from_mapping(one, {"value": "2" * letters}, "f")


@pytest.mark.parametrize("x", [math.nan, math.inf, "1", True])
def test_numbers_must_be_finite_and_are_not_converted(x):
    with pytest.raises(ValueError, match=r"^x"):
        Point(x=x)


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"\xff", "row-json", "f is not plain JSON: it is not UTF-8; write it with"),
        (b'{"x": 1, "x": 2}', "row-json", "f is not plain JSON: key 'x' appears twice; write it"),
        (b'{"x": NaN}', "row-json", "f is not plain JSON: NaN is not a JSON number; write it"),
        (b"[1]", "row-json", "f holds JSON of type list; expected one object"),
        (b'{"x": 1, "y": 2}', "unknown-key", "f: key 'y' is unknown; expected only the keys"),
        (b"{}", "row-schema", "f: missing key x; allowed keys: x, name"),
        (b'{"x": "1"}', "row-schema", "f: x: expected float, got '1' (str)"),
        (b'{"x": "1", "y": 2}', "unknown-key", "f: key 'y' is unknown; expected only the keys"),
        (b'{"x": 1, "name": "/a"}', "path", "f: name: is a path; expected a plain name"),
        (b'{"x": 1, "name": "A\\ud800"}', "row-schema", "f: name must match"),
    ],
)
def test_errors_name_the_place_of_a_bad_value(data, code, message):
    with pytest.raises(SubmissionError) as error:
        parse_strict(Point, data, where="f", code="row")
    assert error.value.code == code
    assert message in str(error.value)
