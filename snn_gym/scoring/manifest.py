"""The strict schema of a submission's manifest, and how files in JSON are read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.evaluation import TRAINING_SEED_LIMIT
from snn_gym.zoo.seeding import Seeding

MANIFEST_NAME = "manifest.json"
WEIGHTS_NAME = "weights.safetensors"

MAX_MANIFEST_BYTES = 64 * 1024
MAX_EPISODES = 1000
_MAX_STEPS = 10**12
_MAX_SHOWN = 120
_AGENT_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_ENVIRONMENT_PATTERN = r"^(snn/)?[A-Za-z0-9]+(-[A-Za-z0-9]+)*-v[0-9]+$"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_Model = TypeVar("_Model", bound=BaseModel)


class StrictModel(BaseModel):
    """A frozen record that refuses unknown keys, coerced types, NaN and infinity."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def _no_path(value: str) -> str:
    parts = value.split("/")
    if ".." in parts or "." in parts or value.startswith(("/", "~")) or "\\" in value:
        raise PydanticCustomError("path", "is a path; expected a plain name")
    if "\0" in value:
        raise PydanticCustomError("path", "holds a NUL character; expected a plain name")
    return value


def _matching(pattern: str) -> Any:
    return Field(max_length=64, pattern=pattern)


def _is_date(value: str) -> str:
    try:
        datetime.strptime(value, _DATE_FORMAT)
    except ValueError as error:
        raise PydanticCustomError("date", "is no UTC time like 2026-01-31T12:00:00Z") from error
    return value


# pydantic applies validators from left to right: a path is named as such before the pattern.
AgentName = Annotated[str, AfterValidator(_no_path), _matching(_AGENT_PATTERN)]
EnvironmentId = Annotated[str, AfterValidator(_no_path), _matching(_ENVIRONMENT_PATTERN)]
Version = Annotated[int, Field(ge=1, le=1_000_000)]
# No Literal[1]: it would take true, which equals 1.
Format = Annotated[int, Field(ge=1, le=1)]
Seed = Annotated[int, Field(ge=0, lt=TRAINING_SEED_LIMIT)]
Steps = Annotated[int, Field(ge=1, le=_MAX_STEPS)]
Score = Annotated[float, Field(ge=-1e12, le=1e12)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Date = Annotated[str, Field(max_length=20), AfterValidator(_is_date)]
PackageName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
PackageVersion = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9.+!_-]+$")]
Packages = Annotated[dict[PackageName, PackageVersion], Field(max_length=32)]


class Scores(StrictModel):
    """Returns of an evaluation and their aggregates, in the task's reward units."""

    iqm: Score
    """Interquartile mean of `returns`."""
    mean: Score
    """Mean of `returns`."""
    returns: Annotated[tuple[Score, ...], Field(min_length=1, max_length=MAX_EPISODES)]
    """Undiscounted return of each episode, in the order of the public seeds."""


class Manifest(StrictModel):
    """What a submission says of itself; nothing in it is believed unchecked."""

    format: Format
    """Version of this schema."""
    agent: AgentName
    """Name of an agent of the zoo; its registered architecture takes the weights."""
    environment: EnvironmentId
    """Gymnasium id, base or spiking."""
    environment_version: Version
    """Version in the environment's file when the agent was trained."""
    seed: Seed
    """Training seed."""
    steps: Steps
    """Environment steps of training."""
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


def parse_strict(model: type[_Model], data: bytes, *, where: str, code: str) -> _Model:
    """Parse JSON from an untrusted source into a strict model.

    Args:
        model: Model to build.
        data: UTF-8 text with one JSON object; keys may not repeat.
        where: Name of the file, for messages.
        code: Beginning of the error codes for JSON and schema.

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
            f"{where} is not plain JSON: {shorten(detail)}; write it with `snn-gym submit`",
        ) from error
    if not isinstance(content, dict):
        raise SubmissionError(
            f"{code}-json",
            f"{where} holds JSON of type {type(content).__name__}; expected one object",
        )
    try:
        # From text, because strict models take a JSON list for a tuple but refuse Python's list.
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _refuse(error, where, code) from error


def dump_json(model: BaseModel) -> str:
    """Write a model as JSON text with a line end; floats keep their exact value."""
    return json.dumps(model.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key {key!r} appears twice")
        content[key] = value
    return content


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a JSON number")


def _refuse(error: ValidationError, where: str, code: str) -> SubmissionError:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    # A path anywhere outweighs other faults; the rest in the order of the schema.
    first = next((problem for problem in problems if problem["type"] == "path"), problems[0])
    place = shorten(".".join(str(part) for part in first["loc"])) or "content"
    codes = {"path": "path", "extra_forbidden": "unknown-key"}
    kind = codes.get(first["type"], f"{code}-schema")
    if kind == "unknown-key":
        detail = f"key {place!r} is unknown; expected only the keys that `snn-gym submit` writes"
    else:
        detail = f"{place}: {first['msg']}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return SubmissionError(kind, f"{where}: {detail}{more}")


def shorten(text: str) -> str:
    """Return untrusted text as one short printable line, for a message."""
    line = " ".join(text.split())
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)
    return printable if len(printable) <= _MAX_SHOWN else printable[:_MAX_SHOWN] + "…"
