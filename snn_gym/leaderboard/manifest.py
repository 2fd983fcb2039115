"""Records of submissions and rows, and their strict parser."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from snn_gym._base.config import (
    Config,
    Length,
    Matching,
    Range,
    UnknownKeyError,
    from_mapping,
    to_mapping,
)
from snn_gym._base.names import AGENT_NAME, MAX_AGENT_NAME, printable
from snn_gym._base.numerics import Numerics
from snn_gym._base.storage import unique_keys
from snn_gym.program.costs import Costs
from snn_gym.zoo.recipe import Packages, Parent, Processor, Recipe, Seeding, TrainingSeed


# ---- errors --------------------------------------------------------------------------------------
class SubmissionError(ValueError):
    """Refusal of a submission, a row or a leaderboard, with the code of the failed check.

    Attributes:
        code: Stable short name of the check, such as ``weights-shape``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code


# ---- findings ------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class TrainedAgain(Config):
    """Record in a row that training it again by its recipe reproduced it."""

    same: Literal["weights", "returns"]
    """Weights equal bit for bit, or, with other versions or processors, similar mean returns."""
    versions: Packages
    processor: Processor
    date: Date
    curve: LearningCurve | None = None
    """Learning curve, if the weights are the same and the training kept a log."""


@dataclass(frozen=True, kw_only=True)
class FaultMeans(Config):
    """Mean returns with each fault of the table; None if the agent lacks the faulty part."""

    observation_noise: Score | None
    spike_loss: Score | None
    dead_neurons: Score | None
    weights_8_bits: Score | None
    weights_4_bits: Score | None


@dataclass(frozen=True, kw_only=True)
class Robustness(Config):
    """Returns of a row's weights with faults, in the episodes of its score."""

    means: FaultMeans
    date: Date


# ---- manifest ------------------------------------------------------------------------------------
MANIFEST_NAME = "manifest.json"
WEIGHTS_NAME = "weights.safetensors"

MAX_MANIFEST_BYTES = 64 * 1024
MAX_WEIGHTS_BYTES = 64 << 20
MAX_EPISODES = 1000
MAX_CURVE_POINTS = 50
_MAX_STEPS = 10**12
MOST_LEVELS = 20
"""Deepest nesting of accepted JSON; records have fewer than ten levels."""
_NO_BRACKETS = bytes(set(range(256)).difference(b"[]{}"))
_ENVIRONMENT_PATTERN = r"(snn/)?[A-Za-z0-9]+(-[A-Za-z0-9]+)*-v[0-9]+"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_Record = TypeVar("_Record", bound=Config)


class _PathError(ValueError):
    """A path where a plain name was expected."""


def _no_path(value: str, where: str) -> None:
    parts = value.split("/")
    if ".." in parts or "." in parts or value.startswith(("/", "~")) or "\\" in value:
        raise _PathError(f"{where}: is a path; expected a plain name")
    if "\0" in value:
        raise _PathError(f"{where}: holds a NUL character; expected a plain name")


def _is_date(value: str, where: str) -> None:
    try:
        # Formatted again, because the parser accepts other forms, and digits of any script.
        if f"{datetime.fromisoformat(value[:-1]).isoformat()}Z" != value:
            raise ValueError(value)
    except ValueError as error:
        raise ValueError(f"{where}: is no UTC time like 2026-01-31T12:00:00Z") from error


# Rules apply from left to right, so that the error names a path before the pattern refuses it.
AgentName = Annotated[str, _no_path, Length(1, MAX_AGENT_NAME), Matching(AGENT_NAME)]
EnvironmentId = Annotated[str, _no_path, Length(1, 64), Matching(_ENVIRONMENT_PATTERN)]
Version = Annotated[int, Range(at_least=1, at_most=1_000_000)]
Format = Annotated[int, Range(at_least=1, at_most=1)]
Steps = Annotated[int, Range(at_least=0, at_most=_MAX_STEPS)]
Score = Annotated[float, Range(at_least=-1e12, at_most=1e12)]
_Points = Length(1, MAX_CURVE_POINTS)
_Count = Annotated[int, Range(at_least=1, at_most=_MAX_STEPS)]
_Seconds = Annotated[float, Range(at_least=0, at_most=1e10)]
Sha256 = Annotated[str, Matching(r"[0-9a-f]{64}")]
Date = Annotated[str, Length(1, 20), _is_date]


@dataclass(frozen=True, kw_only=True)
class Scores(Config):
    """Returns of an evaluation and their aggregates, in the task's reward units."""

    iqm: Score
    """Interquartile mean."""
    mean: Score
    returns: Annotated[tuple[Score, ...], Length(1, MAX_EPISODES)]
    """Undiscounted return of each episode, in the order of the public seeds."""


@dataclass(frozen=True, kw_only=True)
class LearningCurve(Config):
    """Mean returns of training episodes at evenly spaced steps, without points of no episode."""

    steps: Annotated[tuple[_Count, ...], _Points]
    """Environment steps until each point, rising."""
    returns: Annotated[tuple[Score, ...], _Points]
    """Mean return of the episodes that ended since the point before, to 6 significant digits."""
    episodes: Annotated[tuple[_Count, ...], _Points]
    """Number of these episodes."""
    seconds: Annotated[tuple[_Seconds, ...], Length(0, MAX_CURVE_POINTS)] = ()
    """Wall time until each point, from the training's log; empty without one."""

    def _check(self) -> None:
        lengths = {len(self.steps), len(self.returns), len(self.episodes)}
        if len(lengths) > 1 or len(self.seconds) not in (0, *lengths):
            raise ValueError("steps, returns, episodes and seconds must have as many entries")
        if any(before >= after for before, after in pairwise(self.steps)):
            raise ValueError("steps must rise from point to point")
        if any(before > after for before, after in pairwise(self.seconds)):
            raise ValueError("seconds must not fall from point to point")
        ended = accumulate(self.episodes)
        if any(number > steps for number, steps in zip(ended, self.steps, strict=True)):
            raise ValueError("episodes must be no more than steps, for each takes a step")


@dataclass(frozen=True, kw_only=True)
class Manifest(Config):
    """Claims of a submission, all of which are checked."""

    format: Format
    """Version of this schema."""
    agent: AgentName
    """Agent of the zoo, whose registered architecture takes the weights."""
    environment: EnvironmentId
    environment_version: Version
    """Version in the environment's file at training."""
    seed: TrainingSeed
    steps: Steps
    """Environment steps of training; 0 for an imported agent with an unknown number."""
    seeding: Seeding = "consecutive"
    """Seeds of the run's environments: ``consecutive`` (seed + k) or ``disjoint`` streams."""
    score: Scores
    """Claimed score, which the re-run must reproduce."""
    evaluator_version: Version
    packages: Packages
    """Versions of packages."""
    weights_sha256: Sha256
    """Digest of the whole weights file."""
    created: Date
    recipe: Recipe | None = None
    """Recipe that trains the weights again; None for imported agents and in old rows."""
    curve: LearningCurve | None = None
    """Learning curve from the run's log; None without a log and in old rows."""

    @property
    def name(self) -> str:
        """Agent, environment and seed in words."""
        return f"{self.agent} on {self.environment} with seed {self.seed}"

    @property
    def numerics(self) -> Numerics:
        """Numerics that trained it, by which it is evaluated, too."""
        return "native" if self.recipe is None else self.recipe.numerics

    @property
    def parent(self) -> Parent | None:
        """Reference to the row that the agent was made lean from; None without one."""
        return None if self.recipe is None else self.recipe.parent


# ---- evaluation ----------------------------------------------------------------------------------
_MOST_LAYERS = 64
_MOST_COUNTS = 1e15
_LAYER_NAME = re.compile(r"[\w.]{1,200}")

Lengths = Annotated[
    tuple[Annotated[int, Range(at_least=1, at_most=10**9)], ...], Length(1, MAX_EPISODES)
]


def _are_counts(costs: Costs, where: str) -> None:
    for counts in vars(costs).values():
        if len(counts) > _MOST_LAYERS or not all(map(_LAYER_NAME.fullmatch, counts)):
            raise ValueError(f"{where}: too many names of layers, or one that is no name")
        if not isinstance(counts, dict) or not counts:
            continue
        if not 0.0 <= min(counts.values()) <= max(counts.values()) <= _MOST_COUNTS:
            raise ValueError(f"{where}: a count must be at least 0 and at most {_MOST_COUNTS:g}")


CheckedCosts = Annotated[Costs, _are_counts]
"""Costs of a decision from an untrusted file."""


def utc_now() -> str:
    """Return the current time in the format 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime(_DATE_FORMAT)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest in untrusted JSON bytes; SubmissionError if malformed or out of range."""
    return parse_strict(Manifest, data, where=MANIFEST_NAME, code="manifest")


def parse_strict(
    record: type[_Record], data: bytes, *, where: str, code: str, by: str = "`snn-gym submit`"
) -> _Record:
    """Parse untrusted JSON into a record; errors name the source ``where`` and its writer ``by``.

    Raises:
        SubmissionError: ``CODE-json`` for malformed or deep JSON, ``CODE-schema`` for a value that
            does not fit, ``unknown-key``, or ``path`` for a path in place of a name.
    """
    content = parse_object(data, where=where, code=code, by=by)
    return fit(record, content, where=where, code=code, by=by)


def parse_object(data: bytes, *, where: str, code: str, by: str) -> dict[str, Any]:
    """Parse one untrusted JSON object, as `parse_strict` does."""
    try:
        text = data.decode("utf-8")
        content = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        detail = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SubmissionError(
            f"{code}-json",
            f"{where} is not plain JSON: {shorten(detail)}; write it with {by}",
        ) from error
    if _is_deep(data):
        raise SubmissionError(
            f"{code}-json",
            f"{where} is nested more than {MOST_LEVELS} levels deep, or has a bracket in a text; "
            f"write it with {by}",
        )
    if not isinstance(content, dict):
        raise SubmissionError(
            f"{code}-json",
            f"{where} holds JSON of type {type(content).__name__}; expected one object",
        )
    return content


def fit(
    record: type[_Record], content: Mapping[str, Any], *, where: str, code: str, by: str
) -> _Record:
    """Return the record of a parsed object, as `parse_strict` does."""
    try:
        return from_mapping(record, content, where)
    except UnknownKeyError as error:
        raise SubmissionError(
            "unknown-key",
            f"{where}: key {shorten(error.keys[0])!r} is unknown; expected only the keys that "
            f"{by} writes",
        ) from error
    except ValueError as error:
        kind = "path" if isinstance(error, _PathError) else f"{code}-schema"
        detail = shorten(str(error).removeprefix(f"{where}: "))
        raise SubmissionError(kind, f"{where}: {detail}") from error


def _is_deep(data: bytes) -> bool:
    """Return whether JSON has more than `MOST_LEVELS` levels, too deep for writers that recurse."""
    brackets = data.translate(None, _NO_BRACKETS)
    for _ in range(MOST_LEVELS):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if not brackets:
            return False
    return True


def dump_json(record: Config) -> str:
    """Return a record as JSON text with a line end and exact floats."""
    return json.dumps(to_mapping(record), indent=2, allow_nan=False) + "\n"


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a JSON number")


def shorten(text: str) -> str:
    """Return untrusted text as one printable line, cut after 120 characters."""
    return printable(text, 120)
