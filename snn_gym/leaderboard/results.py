"""Rows of the results table, a file for each agent, environment and seed, and their hash chain."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from snn_gym._base.config import Config, Length, Range
from snn_gym._base.folders import LOCK_SECONDS, locked, remove_partial_files
from snn_gym._base.names import printable
from snn_gym._base.storage import (
    StorageError,
    opened_folder,
    read_regular_file,
    staged,
    write_text_atomic,
)
from snn_gym.leaderboard.manifest import (
    MAX_EPISODES,
    MAX_ROW_BYTES,
    MAX_WEIGHTS_BYTES,
    RESULTS_FOLDER,
    Date,
    HiddenScore,
    LearningCurve,
    Manifest,
    Robustness,
    Sha256,
    SubmissionError,
    TrainedAgain,
    dump_json,
    parse_strict,
    shorten,
)
from snn_gym.program.costs import Costs
from snn_gym.zoo.spec import BudgetClass, agent_ids, load_agent_spec

if TYPE_CHECKING:
    import torch

    from snn_gym.zoo.recipe import Parent


# ---- chain ---------------------------------------------------------------------------------------
# Hash chain of verified rows (Haber and Stornetta 1991, doi:10.1007/BF00196791).
#
# ``digests.txt`` has a line for each time that a row was written; the last line of a row counts. A
# line holds the SHA-256 of the row's file and of its weights' file, the row's place, and before
# these the SHA-256 of all three and of the line before. So no line can be changed, removed or
# inserted without changing all that follow.
DIGESTS_NAME = "digests.txt"
_MAX_DIGESTS_BYTES = 64 * 1024 * 1024
_START = "0" * 64  # stands for the line before the first
# Names have the lengths that manifests allow; an id's slash becomes two underscores.
_LINE = re.compile(
    r"([0-9a-f]{64}) ([0-9a-f]{64}) ([0-9a-f]{64}) "
    r"(results/[a-z0-9-]{1,64}/[A-Za-z0-9_-]{1,65}/(?:0|[1-9][0-9]{0,8})\.json)"
)


@dataclass(frozen=True)
class Link:
    """A line of the chain: three SHA-256 digests and the place of the row's file."""

    chain: str
    """Digest of the line before and of the other three fields."""
    row: str
    weights: str
    place: str
    """Path below the leaderboard, with slashes."""


def read_chain(leaderboard: Path) -> tuple[Link, ...]:
    """Return the chain without a last line whose row was not written; refuse a broken chain."""
    links = _read_lines(leaderboard)
    return links[:-1] if _is_interrupted(leaderboard, links) else links


def drop_interrupted(leaderboard: Path) -> Link | None:
    """Remove and return a last line whose writer was stopped before its row; else return None."""
    # A deleted or restored last row looks the same; only the file's history can tell.
    links = _read_lines(leaderboard)
    if not _is_interrupted(leaderboard, links):
        return None
    _write_lines(leaderboard, links[:-1])
    return links[-1]


def _read_lines(leaderboard: Path) -> tuple[Link, ...]:
    path = leaderboard / DIGESTS_NAME
    data = b""
    if path.exists() or path.is_symlink():
        data = read_regular_file(path, max_bytes=_MAX_DIGESTS_BYTES)
    if not data:
        _check_has_no_rows(leaderboard)
        return ()
    links: list[Link] = []
    before = _START
    # No splitlines: it ends lines where no other reader does.
    lines = data.decode("ascii", "replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        link = None if match is None else Link(*match.groups())
        if link is None or link != _next(before, link.row, link.weights, link.place):
            raise SubmissionError(
                "digests",
                f"line {number} of {DIGESTS_NAME} does not follow from the one before; expected "
                "the lines that `snn-gym verify` wrote; restore the file from its history",
            )
        links.append(link)
        before = link.chain
    return tuple(links)


def _check_has_no_rows(leaderboard: Path) -> None:
    """Refuse rows without a chain, because a new chain would vouch for their content."""
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*.json")):
        if not path.name.startswith("."):  # an unfinished file
            raise SubmissionError(
                "digests",
                f"{leaderboard} has rows under {RESULTS_FOLDER}/ and no line in {DIGESTS_NAME}; "
                "expected a line for each; restore the file from its history, or verify the "
                "submissions again into a new folder",
            )


def _is_interrupted(leaderboard: Path, links: Sequence[Link]) -> bool:
    if not links:
        return False
    last = links[-1]
    earlier = [link for link in links[:-1] if link.place == last.place]
    try:
        row = read_below(leaderboard, last.place, MAX_ROW_BYTES)
    except StorageError as error:
        if error.reason != "missing" or earlier:
            return False  # the reader of the row reports it
        # Without weights, too, it is a package with a part of the table, or both were deleted.
        weights = (leaderboard / last.place).with_suffix(".safetensors")
        return weights.is_file() and not weights.is_symlink()
    return bool(earlier) and last.row != earlier[-1].row == _digest(row)


@contextmanager
def opened_place(leaderboard: Path, place: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of a row's folder, created if ``make``, and its file name; links raise."""
    *folders, name = place.split("/")
    with opened_folder(leaderboard, folders, make=make) as descriptor:
        yield descriptor, name


def read_below(leaderboard: Path, place: str, max_bytes: int) -> bytes:
    """Return the content of a file below a leaderboard; links and larger files raise."""
    with opened_place(leaderboard, place) as (descriptor, name):
        return read_regular_file(name, max_bytes=max_bytes, dir_fd=descriptor)


def weights_place(place: str) -> str:
    """Return the place of a row's weights from the place of its file."""
    return place.removesuffix(".json") + ".safetensors"


def read_linked(leaderboard: Path, link: Link) -> tuple[bytes, bytes]:
    """Return the content of row and weights; refuse other digests than those of their line."""
    row = read_below(leaderboard, link.place, MAX_ROW_BYTES)
    weights = read_below(leaderboard, weights_place(link.place), MAX_WEIGHTS_BYTES)
    _check_digest(link.place, row, link.row)
    _check_digest(weights_place(link.place), weights, link.weights)
    return row, weights


def _check_digest(place: str, data: bytes, expected: str) -> None:
    digest = _digest(data)
    if digest != expected:
        raise SubmissionError(
            "digests",
            f"{place} has the SHA-256 {digest[:16]}…; expected {expected[:16]}…, as in "
            f"{DIGESTS_NAME}; restore it from the history",
        )


def add_link(leaderboard: Path, place: str, row: bytes, weights: bytes) -> None:
    """Add the line of a row that is about to be written; the caller holds the lock."""
    links = read_chain(leaderboard)
    before = links[-1].chain if links else _START
    new = _next(before, _digest(row), _digest(weights), place)
    _write_lines(leaderboard, (*links, new))


def _write_lines(leaderboard: Path, links: Iterable[Link]) -> None:
    lines = (" ".join(vars(link).values()) + "\n" for link in links)
    write_text_atomic(leaderboard / DIGESTS_NAME, "".join(lines))


def _next(before: str, row: str, weights: str, place: str) -> Link:
    return Link(_digest(f"{before} {row} {weights} {place}".encode()), row, weights, place)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- results -------------------------------------------------------------------------------------
_Count = Annotated[float, Range(at_least=0, at_most=1e15)]
_LayerCounts = Annotated[dict[Annotated[str, Length(1, 64)], _Count], Length(0, 64)]
Lengths = Annotated[
    tuple[Annotated[int, Range(at_least=1, at_most=10**9)], ...], Length(1, MAX_EPISODES)
]


@dataclass(frozen=True, kw_only=True)
class CostFields(Config):
    """Fields of `snn_gym.program.costs.Costs` in files: means over decisions, by layer."""

    # Fields with defaults are absent in rows of earlier evaluator versions.
    spikes_per_decision: _LayerCounts
    synops_per_decision: _LayerCounts
    macs_per_decision: _LayerCounts
    neuron_updates_per_decision: _LayerCounts = field(default_factory=dict)
    messages_per_decision: _LayerCounts = field(default_factory=dict)
    parameter_bytes_per_decision: _LayerCounts = field(default_factory=dict)
    state_bytes_per_decision: _LayerCounts = field(default_factory=dict)
    synapses: _LayerCounts = field(default_factory=dict)
    uncounted: Annotated[tuple[Annotated[str, Length(1, 200)], ...], Length(0, 16)] = ()

    @property
    def costs(self) -> Costs:
        """The same fields as `Costs`."""
        return Costs(**{name: getattr(self, name) for name in COST_NAMES})


COST_NAMES = tuple(cost.name for cost in fields(CostFields))


@dataclass(frozen=True, kw_only=True)
class Row(CostFields, Manifest):
    """A verified result in a file; score, packages and weights' digest are those of the re-run."""

    budget_class: BudgetClass
    """Class of the budget, or ``imported``."""
    lengths: Lengths
    """Environment steps of each episode."""
    parameters: Annotated[int, Range(at_least=1, at_most=10**12)]
    """Trained numbers that acting needs, without observation statistics."""
    content_sha256: Sha256
    """Digest of the trained tensors by `hash_tensors`."""
    verified: Date
    trained_again: TrainedAgain | None = None
    """Last repeated training that reproduced the row; None without one."""
    hidden: HiddenScore | None = None
    robustness: Robustness | None = None

    @property
    def learning_curve(self) -> LearningCurve | None:
        """Learning curve of training again, else the claimed curve; None without both."""
        return (self.trained_again and self.trained_again.curve) or self.curve


def row_path(leaderboard: Path, agent: str, environment: str, seed: int) -> Path:
    """Return the path of a row's file; its weights lie beside it as SEED.safetensors."""
    folder = leaderboard / RESULTS_FOLDER / agent / environment.replace("/", "__")
    return folder / f"{seed}.json"


def list_rows(leaderboard: Path) -> tuple[Row, ...]:
    """Return the chain's rows, sorted by path; missing files are skipped, digests not checked."""
    rows: list[Row] = []
    for place in sorted({link.place for link in read_chain(leaderboard)}):
        try:
            data = read_below(leaderboard, place, MAX_ROW_BYTES)
        except StorageError as error:
            if error.reason == "missing":
                continue  # `sound_rows` and the audit report it
            raise
        rows.append(read_row(leaderboard, leaderboard / place, data))
    return tuple(rows)


def sound_rows(leaderboard: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the rows whose files have the chain's digests, and a message for each other file."""
    links = {link.place: link for link in read_chain(leaderboard)}
    rows: list[Row] = []
    problems = list(unlisted_files(leaderboard, links))
    for place, link in sorted(links.items()):
        try:
            data, _ = read_linked(leaderboard, link)
            rows.append(read_row(leaderboard, leaderboard / place, data))
        except (SubmissionError, StorageError) as error:
            problems.append(describe_problem(link, error))
    return tuple(rows), tuple(problems)


def shown_rows(leaderboard: str | Path) -> tuple[Row, ...]:
    """Return the rows whose files have the chain's digests, and warn of each other file."""
    sound, problems = sound_rows(Path(leaderboard))
    for problem in problems:
        warnings.warn(f"set aside: {problem}", stacklevel=2)
    return sound


def unlisted_files(leaderboard: Path, links: Mapping[str, Link]) -> Iterator[str]:
    """Yield a message for each file below results/ without a line in the chain."""
    expected = {Path(place).with_suffix(x) for place in links for x in (".json", ".safetensors")}
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*")):
        relative = path.relative_to(leaderboard)
        if relative not in expected and (path.is_symlink() or not path.is_dir()):
            yield _not_listed(shorten(relative.as_posix()))


def verified_weights(leaderboard: Path, row: Row) -> bytes:
    """Return a row's weights file; refuse files without the digests of the chain."""
    # Writers of later findings call this: a new line must not vouch for an edited row.
    links = {link.place: link for link in read_chain(leaderboard)}
    if row.place not in links:
        raise SubmissionError("digests", _not_listed(row.place))
    return read_linked(leaderboard, links[row.place])[1]


def _not_listed(place: str) -> str:
    return (
        f"{place} is not in {DIGESTS_NAME}; expected only what `snn-gym verify` wrote; remove it "
        "and verify its submission"
    )


def describe_problem(link: Link, error: ValueError) -> str:
    """Return an error as one line that names the file of the link's row."""
    text = " ".join(str(error).split())
    return text if link.place.removesuffix(".json") in text else f"{link.place}: {text}"


def read_row(leaderboard: Path, path: Path, data: bytes) -> Row:
    """Return the row in the content ``data`` of a file; refuse a row that belongs elsewhere."""
    where = printable(path.relative_to(leaderboard).as_posix())
    row = _parse_row(data, where)
    if leaderboard / row.place != path:
        raise SubmissionError(
            "row-schema",
            f"{where} holds the row of {row.agent} on {row.environment} with seed {row.seed}; "
            "expected it at that row's own place; move it there",
        )
    return row


@functools.lru_cache(maxsize=2048)  # most commands read a leaderboard several times
def _parse_row(data: bytes, where: str) -> Row:
    return parse_strict(Row, data, where=where, code="row")


def check_is_new(
    leaderboard: Path, row_file: Path, content_sha256: str | None, parent: Parent | None = None
) -> None:
    """Refuse a row that exists, and, with a content digest, weights that another row has.

    Those of the ``parent`` are allowed: a taught agent may have found nothing to shed.
    """
    if os.path.lexists(row_file):
        raise SubmissionError(
            "row-exists",
            f"the row {row_file.relative_to(leaderboard).as_posix()} exists already; expected a "
            "new agent, environment or seed; train another seed",
        )
    if content_sha256 is None:
        return
    for row in list_rows(leaderboard):
        if parent is not None and row.weights_sha256 == parent.weights_sha256:
            continue
        if row.content_sha256 == content_sha256:
            raise SubmissionError(
                "duplicate-weights",
                f"the same weights are already the row of {row.agent} on {row.environment} with "
                f"seed {row.seed}; expected weights of another training run",
            )


def write_row(
    leaderboard: Path,
    row: Row,
    weights: bytes,
    check: Callable[[], object] | None = None,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> Path:
    """Add a new row and its weights atomically; ``check`` runs under the lock and may refuse it."""
    path = leaderboard / row.place
    leaderboard.mkdir(parents=True, exist_ok=True)
    with locked(leaderboard, seconds=lock_seconds):
        _recover(leaderboard)
        check_is_new(leaderboard, path, row.content_sha256, row.parent)
        if check is not None:
            check()
        _write(leaderboard, row, weights, is_new=True)
    return path


def replace_row(leaderboard: Path, row: Row, **changes: Any) -> Path:
    """Change fields of the stored row and keep its others, also newer ones; return its path."""
    path = leaderboard / row.place
    with locked(leaderboard):
        _recover(leaderboard)
        weights = verified_weights(leaderboard, row)
        stored = read_row(leaderboard, path, read_below(leaderboard, row.place, MAX_ROW_BYTES))
        _write(leaderboard, replace(stored, **changes), weights, is_new=False)
    return path


def _recover(leaderboard: Path) -> None:
    """Remove files and line of a writer that was stopped before its row; the caller locks."""
    remove_partial_files(leaderboard, [DIGESTS_NAME])
    link = drop_interrupted(leaderboard)
    if link is None:
        return
    with opened_place(leaderboard, link.place) as (folder, name):
        remove_partial_files(folder, [name, weights_place(name)])
        try:
            os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            os.unlink(weights_place(name), dir_fd=folder)


def _write(leaderboard: Path, row: Row, weights: bytes, *, is_new: bool) -> None:
    text = dump_json(row).encode()
    # Hidden files first, then the chain, then the names: a failure changes nothing, and a killed
    # process leaves a last line without its row, which the next writer removes.
    with ExitStack() as files:
        folder, name = files.enter_context(opened_place(leaderboard, row.place, make=is_new))
        remove_partial_files(folder, [name, weights_place(name)])
        publish_row = files.enter_context(staged(name, text, dir_fd=folder))
        if is_new:
            publish = files.enter_context(staged(weights_place(name), weights, dir_fd=folder))
        add_link(leaderboard, row.place, text, weights)
        if is_new:
            publish()
        publish_row()


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors' names, types, shapes and values.

    Their order, the file's header and padding, and the sign of zeros do not count.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor + 0.0  # turns -0.0 into 0.0
        # shape: as given -> (bytes,); a view as bytes works for types that numpy lacks
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        head = f"{len(name)}:{name}:{tensor.dtype}:{tuple(tensor.shape)}:"
        digest.update(head.encode())
        digest.update(data)
    return digest.hexdigest()


# ---- origins -------------------------------------------------------------------------------------
def parent_steps(row: Row) -> int:
    """Return the environment steps that a row's parent was trained, 0 without a parent."""
    return 0 if row.parent is None else row.parent.steps


def is_derived(row: Row) -> bool:
    """Return whether a row was made lean from another row."""
    return row.parent is not None and not goes_on(row)


def goes_on(row: Row) -> bool:
    """Return whether a row's training went on from another row."""
    return row.recipe is not None and row.recipe.steps_before > 0


def rows_by_weights(rows: Iterable[Row]) -> dict[str, Row]:
    """Return rows by the digest of their weights file, by which rows name their parents."""
    # A row that shed nothing has the weights of its parent, which is meant.
    return {row.weights_sha256: row for row in sorted(rows, key=parent_steps, reverse=True)}


def parent_of(row: Row, known: Mapping[str, Row]) -> Row | None:
    """Return the row in ``known`` that a row was made from; None if unknown or without one."""
    return None if row.parent is None else known.get(row.parent.weights_sha256)


def is_reproduced(row: Row) -> bool:
    """Return whether training a row again gave its weights, under the versions of its recipe.

    The version of snn_gym may be another one: a test compares digests of trained weights.
    """
    again, recipe = row.trained_again, row.recipe
    return (
        again is not None
        and recipe is not None
        and again.same == "weights"
        and {**again.versions, "snn_gym": ""} == {**recipe.versions, "snn_gym": ""}
    )


def gives_the_same_weights(row: Row, parent: Row | None) -> bool:
    """Return whether training again gave a row's weights and those of its parent, if it has one.

    False for a lean row whose parent is unknown or itself lean.
    """
    if is_derived(row) and (parent is None or is_derived(parent)):
        return False
    return all(is_reproduced(x) for x in (row, parent) if x is not None)


def costed_rows(rows: Sequence[Row], known: Mapping[str, Row]) -> list[Row]:
    """Return the rows of proven weights, whose costs count; all rows, unproven, if there are none.

    ``known`` are parents by weights.
    """
    return [row for row in rows if gives_the_same_weights(row, parent_of(row, known))] or [*rows]


def origins_of(rows: Sequence[Row], known: Mapping[str, Row]) -> tuple[Row, ...]:
    """Return the rows' parents, in order; empty unless all are in ``known`` and of one agent."""
    origins = [x for x in (parent_of(row, known) for row in rows) if x is not None]
    is_one_agent = len(origins) == len(rows) and len({row.agent for row in origins}) == 1
    return tuple(origins) if is_one_agent else ()


def parent_agent(row: Row) -> str | None:
    """Return the agent on whose file the row's agent builds; None without one or of a lean row."""
    known = row.agent in agent_ids() and not is_derived(row)
    return load_agent_spec(row.agent).parent if known else None
