"""Rows of the results table: one file for each agent, environment and seed."""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from snn_gym._base.config import Config, Length, Range
from snn_gym._base.folders import LOCK_SECONDS, locked, remove_partial_files
from snn_gym._base.storage import StorageError, staged
from snn_gym.leaderboard.chain import (
    DIGESTS_NAME,
    Link,
    add_link,
    drop_interrupted,
    opened_place,
    read_below,
    read_chain,
    read_linked,
    weights_place,
)
from snn_gym.leaderboard.manifest import (
    MAX_EPISODES,
    MAX_ROW_BYTES,
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
    printable,
    shorten,
)
from snn_gym.program.costs import Costs
from snn_gym.zoo import agent_ids, load_agent_spec
from snn_gym.zoo.spec import BudgetClass

if TYPE_CHECKING:
    import torch

    from snn_gym.zoo.recipe import Parent


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


def gives_the_same_weights(row: Row, parent: Row | None) -> bool:
    """Return whether training again gave a row's weights and those of its parent, if it has one.

    False for a lean row whose parent is unknown or itself lean.
    """
    if is_derived(row) and (parent is None or is_derived(parent)):
        return False
    return all(
        x.trained_again is not None and x.trained_again.same == "weights"
        for x in (row, parent)
        if x is not None
    )


def origins_of(rows: Sequence[Row], known: Mapping[str, Row]) -> tuple[Row, ...]:
    """Return the rows' parents, in order; empty unless all are in ``known`` and of one agent."""
    origins = [x for x in (parent_of(row, known) for row in rows) if x is not None]
    is_one_agent = len(origins) == len(rows) and len({row.agent for row in origins}) == 1
    return tuple(origins) if is_one_agent else ()


def parent_agent(row: Row) -> str | None:
    """Return the agent on whose file the row's agent builds; None without one or of a lean row."""
    known = row.agent in agent_ids() and not is_derived(row)
    return load_agent_spec(row.agent).parent if known else None
