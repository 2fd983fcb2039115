"""Rows of the results table: a file of each environment, a row a line, and their weights.

``results/ENVIRONMENT.jsonl`` has the rows of an environment, sorted by agent and seed. A line ends
with the SHA-256 of the text before it. Weights lie in batches ``weights/AGENT/ENVIRONMENT/SEEDS``,
files that are never written again. In ENVIRONMENT ``__`` stands for a slash.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from snn_gym._base.config import Range, to_mapping
from snn_gym._base.folders import LOCK_SECONDS, locked, remove_partial_files
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import StorageError, opened_folder, read_regular_file, staged
from snn_gym.leaderboard.batches import file_of_seed, join_seeds
from snn_gym.leaderboard.manifest import (
    MAX_EPISODES,
    MAX_WEIGHTS_BYTES,
    CheckedCosts,
    Date,
    LearningCurve,
    Lengths,
    Manifest,
    Robustness,
    Sha256,
    SubmissionError,
    TrainedAgain,
    fit,
    parse_object,
    parse_strict,
    shorten,
)
from snn_gym.zoo.recipe import ResolvedSettings
from snn_gym.zoo.spec import BudgetClass, agent_ids, load_agent_spec

RESULTS_FOLDER = "results"
WEIGHTS_FOLDER = "weights"
_ROWS = ".jsonl"
_WEIGHTS = ".safetensors"
_MAX_ROWS_BYTES = 1 << 28
_MAX_BATCH_BYTES = 16 * MAX_WEIGHTS_BYTES


# ---- row -----------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Row(Manifest):
    """A verified result; score, costs, packages and weights' digest are those of the re-run."""

    costs: CheckedCosts
    """Mean costs of a decision."""
    budget_class: BudgetClass
    """Class of the budget, or ``imported``."""
    lengths: Lengths
    """Environment steps of each episode."""
    parameters: Annotated[int, Range(at_least=1, at_most=10**12)]
    """Trained numbers that acting needs, without observation statistics."""
    content_sha256: Sha256
    """Digest of the trained tensors by `weights.hash_tensors`."""
    verified: Date
    trained_again: TrainedAgain | None = None
    """Last repeated training that reproduced the row; None without one."""
    robustness: Robustness | None = None

    @property
    def learning_curve(self) -> LearningCurve | None:
        """Learning curve of training again, else the claimed curve; None without both."""
        return (self.trained_again and self.trained_again.curve) or self.curve


# ---- lines ---------------------------------------------------------------------------------------
_DIGEST = ',"sha256":"'
_END_LETTERS = len(_DIGEST) + 64 + len('"}')
_WRITER = "`snn-gym verify`"


def dump_line(row: Row) -> bytes:
    """Return a row as the line of a file: JSON that ends with the SHA-256 of its other text.

    The line break is not included.
    """
    content = to_mapping(row)
    content["score"]["returns"] = _packed(row.score.returns)
    content["lengths"] = _packed(row.lengths)
    content["costs"] = {name: counts for name, counts in content["costs"].items() if counts}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return text[:-1] + f'{_DIGEST}{hashlib.sha256(text).hexdigest()}"}}'.encode()


@functools.lru_cache(maxsize=2048)  # most commands read a leaderboard several times
def parse_line(line: bytes, where: str) -> Row:
    """Return the row of a line; SubmissionError that names ``where`` for a damaged one."""
    text = line[:-_END_LETTERS] + b"}"
    end = f'{_DIGEST}{hashlib.sha256(text).hexdigest()}"}}'.encode()
    if line[-_END_LETTERS:] != end:
        raise SubmissionError(
            "digest",
            f"{where} is not as it was verified: its end is not the SHA-256 of its text; restore "
            "it from its history",
        )
    # Rows of one agent have the same settings, which are a quarter of the text.
    before, _, inside = text.partition(b',"settings":{')
    inside, _, after = inside.partition(b'},"start_sha256":')
    settings = _settings(b"{%b}" % inside) if after else None
    if settings is not None:
        text = b"".join((before, b',"settings":null,"start_sha256":', after))
    content = parse_object(text, where=where, code="row", by=_WRITER)
    score, recipe = content.get("score"), content.get("recipe")
    if settings is not None and isinstance(recipe, dict):
        recipe["settings"] = settings
    try:
        if isinstance(score, dict):
            score["returns"] = _unpacked(_text(score.get("returns")), float)
        content["lengths"] = _unpacked(_text(content.get("lengths")), int)
    except ValueError as error:
        raise SubmissionError("row-schema", f"{where}: {error}") from error
    return fit(Row, content, where=where, code="row", by=_WRITER)


@functools.lru_cache(maxsize=512)
def _settings(text: bytes) -> ResolvedSettings | None:
    """Return the settings of a recipe, None for a text that has others or is damaged."""
    try:
        return parse_strict(ResolvedSettings, text, where="settings", code="row", by=_WRITER)
    except SubmissionError:  # the whole line names the place
        return None


def _packed(numbers: Sequence[float]) -> str:
    """Return numbers as text in which "500*3" stands for three equal ones in a row."""
    runs = ((text, len(list(run))) for text, run in itertools.groupby(map(repr, numbers)))
    return " ".join(
        text.removesuffix(".0") + (f"*{count}" if count > 1 else "") for text, count in runs
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected numbers as a text such as '500*3 20', got {value!r:.60}")
    return value


@functools.lru_cache(maxsize=4096)  # many rows of a task have the same lengths
def _unpacked(text: str, number: Callable[[str], float]) -> tuple[float, ...]:
    runs = text.split(" ")
    if len(runs) > MAX_EPISODES:
        raise ValueError(f"expected at most {MAX_EPISODES} numbers, got {len(runs)}")
    if "*" not in text:
        return tuple(map(number, runs))
    return tuple(itertools.chain.from_iterable(_repeated(run, number) for run in runs))


@functools.lru_cache(maxsize=4096)  # most rows of a task have the same few returns
def _repeated(run: str, number: Callable[[str], float]) -> tuple[float, ...]:
    value, _, count = run.partition("*")
    times = int(count or 1)
    if not 0 < times <= MAX_EPISODES:
        raise ValueError(f"expected 1 to {MAX_EPISODES} numbers, got {run:.60}")
    return (number(value),) * times


# ---- rows ----------------------------------------------------------------------------------------
def file_name(environment: str) -> str:
    """Return the name of an environment's file or folder, without an ending."""
    return environment.replace("/", "__")


def row_key(row: Manifest) -> tuple[str, int]:
    """Return agent and seed, by which the lines of a file are sorted."""
    return (row.agent, row.seed)


def sound_rows(leaderboard: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the rows of sound lines, sorted by file and line, and a message for all else."""
    rows: list[Row] = []
    problems: list[str] = []
    folder = leaderboard / RESULTS_FOLDER
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if name.startswith(".") and name.endswith(".partial"):
            continue
        where = f"{RESULTS_FOLDER}/{shorten(name)}"
        if not name.endswith(_ROWS):
            problems.append(f"{where} is no file of rows; expected files that {_WRITER} wrote")
            continue
        last: tuple[str, int] | None = None
        try:
            lines = _read_lines(leaderboard, name.removesuffix(_ROWS))
        except StorageError as error:
            problems.append(f"{where}: {shorten(str(error))}")
            continue
        for number, line in enumerate(lines, 1):
            try:
                row = _row_at(name, line, f"{where}, line {number}", last)
            except SubmissionError as error:
                problems.append(str(error))
                continue
            rows.append(row)
            last = row_key(row)
    return tuple(rows), tuple(problems)


def _row_at(name: str, line: bytes, where: str, last: tuple[str, int] | None) -> Row:
    row = parse_line(line, where)
    if file_name(row.environment) + _ROWS != name:
        raise SubmissionError(
            "row-schema", f"{where} is the row of {row.name}; expected it in its own file"
        )
    if last is not None and row_key(row) <= last:
        raise SubmissionError(
            "row-schema",
            f"{where}, of {row.name}, is repeated or in the wrong place; expected lines sorted by "
            "agent and seed",
        )
    return row


def _read_lines(leaderboard: Path, name: str) -> list[bytes]:
    with opened_folder(leaderboard, [RESULTS_FOLDER]) as folder:
        data = read_regular_file(name + _ROWS, max_bytes=_MAX_ROWS_BYTES, dir_fd=folder)
    return data.removesuffix(b"\n").split(b"\n")


def list_rows(leaderboard: Path) -> tuple[Row, ...]:
    """Return all rows, sorted by environment, agent and seed; SubmissionError if one is damaged."""
    rows, problems = sound_rows(leaderboard)
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise SubmissionError("damaged", f"{leaderboard}: {problems[0]}{more}")
    return rows


def shown_rows(leaderboard: str | Path) -> tuple[Row, ...]:
    """Return the rows of sound lines, and warn of all else."""
    sound, problems = sound_rows(Path(leaderboard))
    for problem in problems:
        warnings.warn(f"set aside: {problem}", stacklevel=2)
    return sound


def find_row(rows: Iterable[Row], agent: str, environment: str, seed: int) -> Row | None:
    """Return the row of an agent, an environment and a seed; None without one."""
    key = (agent, environment, seed)
    return next((x for x in rows if (x.agent, x.environment, x.seed) == key), None)


def check_is_new(leaderboard: Path, claim: Manifest, content_sha256: str | None = None) -> None:
    """Refuse a claim that has a row and, with a content digest, the weights of another seed.

    An agent that found nothing to shed has those of its parent, or of the agent whose file it
    builds on.
    """
    rows = list_rows(leaderboard)
    if find_row(rows, claim.agent, claim.environment, claim.seed) is not None:
        raise SubmissionError(
            "row-exists",
            f"the row of {claim.name} exists already; expected a new agent, environment or seed; "
            "train another seed",
        )
    training = claim.environment, claim.seed
    for row in rows:
        if row.content_sha256 == content_sha256 and (row.environment, row.seed) != training:
            raise SubmissionError(
                "duplicate-weights",
                f"the same weights are already the row of {row.name}; expected weights of another "
                "training run",
            )


def write_row(
    leaderboard: Path,
    row: Row,
    weights: bytes,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> Row:
    """Add a new row as a line, and its weights as a batch of one seed, atomically; return it."""
    leaderboard.mkdir(parents=True, exist_ok=True)
    with locked(leaderboard, seconds=lock_seconds):
        check_is_new(leaderboard, row, row.content_sha256)
        folders = [WEIGHTS_FOLDER, row.agent, file_name(row.environment)]
        name = f"{row.seed}{_WEIGHTS}"
        with opened_folder(leaderboard, folders, make=True) as folder:
            remove_partial_files(folder, [name])
            # A killed writer leaves weights without a line, which the next one replaces.
            with staged(name, join_seeds({row.seed: weights}), dir_fd=folder) as publish:
                _write_line(leaderboard, row, first=publish)
    return row


def replace_row(leaderboard: Path, row: Row, **changes: Any) -> None:
    """Change fields of the stored row and keep its others, also newer ones."""
    with locked(leaderboard):
        stored = find_row(list_rows(leaderboard), row.agent, row.environment, row.seed)
        if stored is None:
            raise SubmissionError("row-missing", f"the row of {row.name} is gone; verify it again")
        _write_line(leaderboard, replace(stored, **changes))


def _write_line(leaderboard: Path, row: Row, first: Callable[[], None] = lambda: None) -> None:
    """Write the file of a row's environment with its line, after calling ``first``."""
    name = file_name(row.environment)
    with ExitStack() as files:
        folder = files.enter_context(opened_folder(leaderboard, [RESULTS_FOLDER], make=True))
        remove_partial_files(folder, [name + _ROWS])
        lines = {row_key(row): dump_line(row)}
        if (leaderboard / RESULTS_FOLDER / (name + _ROWS)).exists():
            for line in _read_lines(leaderboard, name):
                lines.setdefault(row_key(parse_line(line, name)), line)
        text = b"".join(lines[key] + b"\n" for key in sorted(lines))
        publish = files.enter_context(staged(name + _ROWS, text, dir_fd=folder))
        first()
        publish()


# ---- weights -------------------------------------------------------------------------------------
def seeds_of_batch(name: str) -> range | None:
    """Return the seeds of a batch's file name such as 0-9.safetensors; None for other names."""
    try:
        return parse_seeds(name.removesuffix(_WEIGHTS)) if name.endswith(_WEIGHTS) else None
    except ValueError:
        return None


def batch_of(leaderboard: Path, row: Row) -> Path | None:
    """Return the path of the smallest batch with a row's seed; None without one."""
    folder = leaderboard / WEIGHTS_FOLDER / row.agent / file_name(row.environment)
    names = os.listdir(folder) if folder.is_dir() else []
    batches = {name: seeds for name in sorted(names) if (seeds := seeds_of_batch(name))}
    fitting = [name for name, seeds in batches.items() if row.seed in seeds]
    return folder / min(fitting, key=lambda name: len(batches[name])) if fitting else None


def verified_weights(leaderboard: Path, row: Row) -> bytes:
    """Return a row's weights file out of its batch; refuse one without the digest of the row."""
    batch = batch_of(leaderboard, row)
    place = f"{WEIGHTS_FOLDER}/{row.agent}/{file_name(row.environment)}"
    if batch is None:
        raise SubmissionError(
            "weights-missing",
            f"the weights of {row.name} are not in {leaderboard}, under {place}; a checkout of "
            "snn_gym has those of all rows",
        )
    with opened_folder(leaderboard, place.split("/")) as folder:
        data = read_regular_file(batch.name, max_bytes=_MAX_BATCH_BYTES, dir_fd=folder)
    try:
        weights = file_of_seed(data, row.seed) or b""
    except ValueError as error:
        raise SubmissionError("digest", f"{place}/{batch.name}: {error}") from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != row.weights_sha256:
        raise SubmissionError(
            "digest",
            f"{place}/{batch.name} has weights of seed {row.seed} with the SHA-256 "
            f"{digest[:16]}…; expected {row.weights_sha256[:16]}…, as in the row; restore it from "
            "its history",
        )
    return weights


# ---- origins -------------------------------------------------------------------------------------
def parent_steps(row: Row) -> int:
    """Return the environment steps that a row's parent was trained, 0 without a parent."""
    return 0 if row.parent is None else row.parent.steps


def is_derived(row: Row) -> bool:
    """Return whether a row was made lean from another row."""
    return row.parent is not None


def rows_by_weights(rows: Iterable[Row]) -> dict[str, Row]:
    """Return rows by the digest of their weights file, by which rows name their parents."""
    # A row that shed nothing has the weights of its parent, or of the agent whose name it extends
    # (ppo-lif for ppo-lif-dynamics), and that one is meant.
    ordered = sorted(rows, key=lambda row: (parent_steps(row), row.agent), reverse=True)
    return {row.weights_sha256: row for row in ordered}


def parent_of(row: Row, known: Mapping[str, Row]) -> Row | None:
    """Return the row in ``known`` that a row was made from; None if unknown or without one."""
    return None if row.parent is None else known.get(row.parent.weights_sha256)


def is_reproduced(row: Row) -> bool:
    """Return whether training a row again by its recipe gave its weights, bit for bit."""
    return row.trained_again is not None and row.trained_again.same == "weights"


def gives_the_same_weights(row: Row, parent: Row | None) -> bool:
    """Return whether training again gave a row's weights and those of its parent, if it has one.

    False for a lean row whose parent is unknown or itself lean.
    """
    if is_derived(row) and (parent is None or is_derived(parent)):
        return False
    return all(is_reproduced(x) for x in (row, parent) if x is not None)


def origins_of(rows: Sequence[Row], known: Mapping[str, Row]) -> tuple[Row, ...]:
    """Return the rows' parents, in order; empty unless all are in ``known`` and of one agent."""
    origins = [x for x in (parent_of(row, known) for row in rows) if x is not None]
    is_one_agent = len(origins) == len(rows) and len({row.agent for row in origins}) == 1
    return tuple(origins) if is_one_agent else ()


def parent_agent(row: Row) -> str | None:
    """Return the agent on whose file the row's agent builds; None without one or of a lean row."""
    known = row.agent in agent_ids() and not is_derived(row)
    return load_agent_spec(row.agent).parent if known else None
