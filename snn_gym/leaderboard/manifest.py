"""The strict schema of a submission's manifest and of what is found of a row later."""

from __future__ import annotations

import json
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
from snn_gym._base.names import AGENT_NAME, MAX_AGENT_NAME, without_controls
from snn_gym.envs.registry import ReferenceScores
from snn_gym.zoo.environments import Seeding, TrainingSeed
from snn_gym.zoo.recipe import Packages, Processor, Recipe


# ---- errors --------------------------------------------------------------------------------------
class SubmissionError(ValueError):
    """Refuse a submission and name the check that it failed.

    Attributes:
        code: Stable short name of the check, such as ``weights-shape``.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message.

        Args:
            code: Stable short name of the check.
            message: One line: what came, what was expected, the fix.
        """
        super().__init__(f"{message} [{code}]")
        self.code = code


# ---- found ---------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class TrainedAgain(Config):
    """Outcome of training a row again by its recipe."""

    same: Literal["weights", "returns"]
    """Equality with the row: all weights, bit for bit, or, under other versions or on another
    processor, the mean return within the tolerance."""
    versions: Packages
    """Versions of the packages that trained it again."""
    processor: Processor
    """Kind of processor that did."""
    date: Date
    """When, UTC."""
    curve: LearningCurve | None = None
    """Its learning curve, if it gave the same weights and kept a log."""


@dataclass(frozen=True, kw_only=True)
class HiddenScore(Config):
    """Returns of a row in episodes whose seeds are drawn with a maintainer's secret."""

    score: Scores
    """Returns and their aggregates, in the task's reward units."""
    digest: Sha256
    """Digest for which the seeds were drawn: with the salt, it gives them again."""
    date: Date
    """When the episodes were played, UTC."""


@dataclass(frozen=True, kw_only=True)
class FaultMeans(Config):
    """Mean returns with one fault at a time, in the task's reward units.

    None for a fault of a part that the agent lacks. `snn_gym.leaderboard.reevaluation.FAULTS` has
    what is done to it.
    """

    observation_noise: Score | None
    """Noise of a tenth of a standard deviation on each value that it observes."""
    spike_loss: Score | None
    """One hidden spike in ten lost."""
    dead_neurons: Score | None
    """One hidden neuron or unit in ten dead."""
    weights_8_bits: Score | None
    """Weights of 8 bits."""
    weights_4_bits: Score | None
    """Weights of 4 bits."""


@dataclass(frozen=True, kw_only=True)
class Robustness(Config):
    """Returns of a row's weights with faults, in the episodes of its score."""

    means: FaultMeans
    """Mean returns."""
    date: Date
    """When the episodes were played, UTC."""


LEAST_WAY = 0.1
"""Share of the way from random play to `solved` from which on it is said what an agent keeps: what
has learned next to nothing has nothing that a fault could take."""


def kept(reference: ReferenceScores, score: float, whole: float) -> float | None:
    """Return a score on the scale from random play (0) to another score (1).

    Args:
        reference: Scores of the task.
        score: What is left.
        whole: What it was before.

    Returns:
        The share; None where less than `LEAST_WAY` was there.
    """
    if whole < reference.random + reference.loss(LEAST_WAY):
        return None
    return (score - reference.random) / (whole - reference.random)


# ---- manifest ------------------------------------------------------------------------------------
MANIFEST_NAME = "manifest.json"
WEIGHTS_NAME = "weights.safetensors"

MAX_MANIFEST_BYTES = 64 * 1024
MAX_ROW_BYTES = 256 * 1024
MAX_WEIGHTS_BYTES = 64 << 20
MAX_EPISODES = 1000
MAX_CURVE_POINTS = 50
_MAX_STEPS = 10**12
_MAX_SHOWN = 120
MOST_LEVELS = 20
"""Levels of JSON that are accepted; records have fewer than ten."""
_ENVIRONMENT_PATTERN = r"(snn/)?[A-Za-z0-9]+(-[A-Za-z0-9]+)*-v[0-9]+"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_Record = TypeVar("_Record", bound=Config)


class _PathError(ValueError):
    """A name that leads to another place."""


def _no_path(value: str, where: str) -> None:
    parts = value.split("/")
    if ".." in parts or "." in parts or value.startswith(("/", "~")) or "\\" in value:
        raise _PathError(f"{where}: is a path; expected a plain name")
    if "\0" in value:
        raise _PathError(f"{where}: holds a NUL character; expected a plain name")


def _is_date(value: str, where: str) -> None:
    try:
        # strptime takes fewer digits, too, and those of any script.
        if datetime.strptime(value, _DATE_FORMAT).strftime(_DATE_FORMAT) != value:
            raise ValueError(value)
    except ValueError as error:
        raise ValueError(f"{where}: is no UTC time like 2026-01-31T12:00:00Z") from error


# Rules are applied from left to right: a path is named as such before the pattern.
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
    """Interquartile mean of `returns`."""
    mean: Score
    """Mean of `returns`."""
    returns: Annotated[tuple[Score, ...], Length(1, MAX_EPISODES)]
    """Undiscounted return of each episode, in the order of the public seeds."""


@dataclass(frozen=True, kw_only=True)
class LearningCurve(Config):
    """Returns of the training episodes, averaged over stretches of the training.

    Its points lie at evenly spaced steps; one is left out where no episode had ended since the one
    before.
    """

    steps: Annotated[tuple[_Count, ...], _Points]
    """Environment steps of the training until each point, rising."""
    returns: Annotated[tuple[Score, ...], _Points]
    """Mean return of the episodes that ended since the point before, to 6 digits."""
    episodes: Annotated[tuple[_Count, ...], _Points]
    """How many these are."""
    seconds: Annotated[tuple[_Seconds, ...], Length(0, MAX_CURVE_POINTS)] = ()
    """Wall-clock time of the training until each point, as its log has it; empty without one."""

    def _check(self) -> None:
        lengths = {len(self.steps), len(self.returns), len(self.episodes)}
        if len(lengths) > 1 or len(self.seconds) not in (0, *lengths):
            raise ValueError("steps, returns, episodes and seconds must have as many entries")
        if any(one >= other for one, other in pairwise(self.steps)):
            raise ValueError("steps must rise from point to point")
        if any(one > other for one, other in pairwise(self.seconds)):
            raise ValueError("seconds must not fall from point to point")
        ended = accumulate(self.episodes)
        if any(one > other for one, other in zip(ended, self.steps, strict=True)):
            raise ValueError("episodes must be no more than steps, for each takes a step")


@dataclass(frozen=True, kw_only=True)
class Manifest(Config):
    """Claims of a submission; nothing in it is believed unchecked."""

    format: Format
    """Version of this schema."""
    agent: AgentName
    """Name of an agent of the zoo; its registered architecture takes the weights."""
    environment: EnvironmentId
    """Gymnasium id, base or spiking."""
    environment_version: Version
    """Version in the environment's file when the agent was trained."""
    seed: TrainingSeed
    """Training seed."""
    steps: Steps
    """Environment steps of training; 0 for an imported agent of which nobody says."""
    seeding: Seeding = "consecutive"
    """How environment k of the run was seeded: ``consecutive``, seed + k, or ``disjoint``, a
    stream of its own from (seed, k)."""
    score: Scores
    """Claimed score, which the re-run has to give."""
    evaluator_version: Version
    """Version of the evaluation that gave the score."""
    packages: Packages
    """Versions of the packages used."""
    weights_sha256: Sha256
    """SHA-256 of the whole weights file."""
    created: Date
    """When the submission was written, UTC."""
    recipe: Recipe | None = None
    """Recipe that trains the weights again; None of imported agents and in rows before recipes."""
    curve: LearningCurve | None = None
    """Learning curve by the run's own log; None where there was none, and in older rows."""


def utc_now() -> str:
    """Return the present time as manifests and rows write it, such as 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime(_DATE_FORMAT)


def parse_manifest(data: bytes) -> Manifest:
    """Parse and check the bytes of a manifest.

    Args:
        data: Content of manifest.json.

    Raises:
        SubmissionError: ``manifest-json`` when the bytes are no plain JSON object,
            ``unknown-key``, ``path`` or ``manifest-schema`` when its content does not fit.
    """
    return parse_strict(Manifest, data, where=MANIFEST_NAME, code="manifest")


def parse_strict(
    record: type[_Record], data: bytes, *, where: str, code: str, by: str = "`snn-gym submit`"
) -> _Record:
    """Parse JSON from an untrusted source into a record.

    Args:
        record: Type of the record to build.
        data: UTF-8 text with one JSON object; keys may not repeat.
        where: Name of the file, for messages.
        code: Beginning of the error codes for JSON and schema.
        by: What writes such files, for messages.

    Raises:
        SubmissionError: The data do not fit; the message names the place.
    """
    try:
        text = data.decode("utf-8")
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        detail = str(error) if not isinstance(error, UnicodeDecodeError) else "it is not UTF-8"
        raise SubmissionError(
            f"{code}-json",
            f"{where} is not plain JSON: {shorten(detail)}; write it with {by}",
        ) from error
    if _is_deep(content):
        raise SubmissionError(
            f"{code}-json",
            f"{where} is nested more than {MOST_LEVELS} levels deep; write it with {by}",
        )
    if not isinstance(content, dict):
        raise SubmissionError(
            f"{code}-json",
            f"{where} holds JSON of type {type(content).__name__}; expected one object",
        )
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


def _is_deep(content: object) -> bool:
    """Tell whether JSON is nested deeper than any record, which is written by recursion."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(MOST_LEVELS):
        inner = (x.values() if isinstance(x, dict) else x for x in level)
        level = [x for group in inner for x in group if isinstance(x, dict | list)]
    return bool(level)


def dump_json(record: Config) -> str:
    """Write a record as JSON text with a line end; floats keep their exact value."""
    return json.dumps(to_mapping(record), indent=2, allow_nan=False) + "\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key {key!r} appears twice")
        content[key] = value
    return content


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a JSON number")


def shorten(text: str) -> str:
    """Return untrusted text as one short printable line, for a message."""
    line = printable(text)
    return line if len(line) <= _MAX_SHOWN else line[:_MAX_SHOWN] + "…"


def printable(text: str) -> str:
    """Return untrusted text, such as a file's name, as one printable line."""
    return without_controls(" ".join(text.split()))
