"""Rows of the results table: a file for each agent, environment and seed, and their parents."""

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
    RESULTS_FOLDER,
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


# ---- results -------------------------------------------------------------------------------------
_Count = Annotated[float, Range(at_least=0, at_most=1e15)]
_LayerCounts = Annotated[dict[Annotated[str, Length(1, 64)], _Count], Length(0, 64)]
Lengths = Annotated[
    tuple[Annotated[int, Range(at_least=1, at_most=10**9)], ...], Length(1, MAX_EPISODES)
]


@dataclass(frozen=True, kw_only=True)
class CostFields(Config):
    """The costs of `snn_gym.program.costs.Costs`, as files have them: means over decisions.

    Rows of evaluator version 1 lack updates, bytes and synapses; those of versions 1 to 4 lack
    ``uncounted``.
    """

    spikes_per_decision: _LayerCounts
    """Spikes, by layer."""
    synops_per_decision: _LayerCounts
    """Synaptic operations, by layer."""
    macs_per_decision: _LayerCounts
    """Multiply-accumulates, by layer."""
    neuron_updates_per_decision: _LayerCounts = field(default_factory=dict)
    """Updates of neurons, by layer."""
    parameter_bytes_per_decision: _LayerCounts = field(default_factory=dict)
    """Parameters read (bytes), by layer."""
    synapses: _LayerCounts = field(default_factory=dict)
    """Synapses that spikes can pass, by layer."""
    uncounted: Annotated[tuple[Annotated[str, Length(1, 200)], ...], Length(0, 16)] = ()
    """Modules of the acting path whose arithmetic is not counted."""

    @property
    def costs(self) -> Costs:
        """The costs alone."""
        return Costs(**{name: getattr(self, name) for name in COST_NAMES})


COST_NAMES = tuple(cost.name for cost in fields(CostFields))
"""Names of the costs, as files have them."""


@dataclass(frozen=True, kw_only=True)
class Row(CostFields, Manifest):
    """A verified result, as its file stores it.

    Of the manifest's fields, score, packages and weights' hash are not the submission's but those
    of the re-run.
    """

    budget_class: BudgetClass
    """Class whose budget binds the agent, or ``imported`` for one that was trained elsewhere."""
    lengths: Lengths
    """Environment steps of each episode of the re-run."""
    parameters: Annotated[int, Range(at_least=1, at_most=10**12)]
    """Trained numbers that acting needs, observation statistics left out."""
    content_sha256: Sha256
    """Hash of names, shapes and values of the tensors; see `hash_tensors`."""
    verified: Date
    """When the re-run was made, UTC."""
    trained_again: TrainedAgain | None = None
    """The last training by its recipe that gave the same; None for none."""
    hidden: HiddenScore | None = None
    """Score on seeds that nobody could train on; None if they were not played."""
    robustness: Robustness | None = None
    """Returns of its weights with faults; None if they were not played with any."""

    @property
    def learning_curve(self) -> LearningCurve | None:
        """The curve of training it again, else the one claimed; None without either."""
        return (self.trained_again and self.trained_again.curve) or self.curve


def row_path(leaderboard: Path, agent: str, environment: str, seed: int) -> Path:
    """Return where a row is stored; its weights lie beside it as SEED.safetensors.

    Args:
        leaderboard: Folder of the leaderboard.
        agent: Checked name of the agent.
        environment: Checked gymnasium id; its slash becomes two underscores.
        seed: Training seed.
    """
    folder = leaderboard / RESULTS_FOLDER / agent / environment.replace("/", "__")
    return folder / f"{seed}.json"


def list_rows(leaderboard: Path) -> tuple[Row, ...]:
    """Read every row of a leaderboard that has a line in its chain and is there, sorted by path.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Raises:
        SubmissionError: A row does not fit the schema, or lies at another row's place; or as in
            ``read_chain``.
        StorageError: A row is no regular file of a sensible size.
    """
    rows: list[Row] = []
    for place in sorted({link.place for link in read_chain(leaderboard)}):
        try:
            data = read_below(leaderboard, place, MAX_ROW_BYTES)
        except StorageError as error:
            if error.reason == "missing":
                continue  # said by `sound_rows` and the audit
            raise
        rows.append(read_row(leaderboard, leaderboard / place, data))
    return tuple(rows)


def sound_rows(leaderboard: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Read the rows that are as they were verified, and name the others.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Returns:
        Rows whose files have the digests of the chain, and a line for each that is set aside.

    Raises:
        SubmissionError: ``digests``: the chain itself is broken.
        StorageError: The chain is no regular file of a sensible size.
    """
    links = {link.place: link for link in read_chain(leaderboard)}
    rows: list[Row] = []
    problems = list(strangers(leaderboard, links))
    for place, link in sorted(links.items()):
        try:
            data, _ = read_linked(leaderboard, link)
            rows.append(read_row(leaderboard, leaderboard / place, data))
        except (SubmissionError, StorageError) as error:
            problems.append(named(link, error))
    return tuple(rows), tuple(problems)


def shown_rows(leaderboard: str | Path) -> tuple[Row, ...]:
    """Read the rows that a table shows, and warn of those that are set aside.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Raises:
        SubmissionError: ``digests``: the chain itself is broken.
        StorageError: The chain is no regular file of a sensible size.
    """
    sound, problems = sound_rows(Path(leaderboard))
    for problem in problems:
        warnings.warn(f"set aside: {problem}", stacklevel=2)
    return sound


def strangers(leaderboard: Path, links: Mapping[str, Link]) -> Iterator[str]:
    """Name the files beside the rows that no line of the chain accounts for.

    Args:
        leaderboard: Folder of the leaderboard.
        links: Last line of each row, by its place.
    """
    expected = {Path(place).with_suffix(x) for place in links for x in (".json", ".safetensors")}
    for path in sorted((leaderboard / RESULTS_FOLDER).rglob("*")):
        relative = path.relative_to(leaderboard)
        if relative not in expected and (path.is_symlink() or not path.is_dir()):
            yield _stranger(shorten(relative.as_posix()))


def verified_weights(leaderboard: Path, row: Row) -> bytes:
    """Return the weights of a row if both its files are as they were verified.

    What is found of a row later is written with a line of the chain, which must not make a row that
    was edited look like a verified one.

    Args:
        leaderboard: Folder of the leaderboard.
        row: One of its rows.

    Raises:
        SubmissionError: ``digests``: the row or its weights have another digest, or no line.
        StorageError: One of them is no regular file of a sensible size.
    """
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    links = {link.place: link for link in read_chain(leaderboard)}
    place = path.relative_to(leaderboard).as_posix()
    if place not in links:
        raise SubmissionError("digests", _stranger(place))
    return read_linked(leaderboard, links[place])[1]


def _stranger(place: str) -> str:
    return (
        f"{place} is not in {DIGESTS_NAME}; expected only what `snn-gym verify` wrote; remove it "
        "and verify its submission"
    )


def named(link: Link, error: ValueError) -> str:
    """Return what is wrong with a row in one line that names its file."""
    text = " ".join(str(error).split())
    return text if link.place.removesuffix(".json") in text else f"{link.place}: {text}"


def read_row(leaderboard: Path, path: Path, data: bytes) -> Row:
    """Read a row, which has to lie at its own place.

    Args:
        leaderboard: Folder of the leaderboard.
        path: The row's file.
        data: Its content.

    Raises:
        SubmissionError: It does not fit the schema, or lies at another row's place.
    """
    where = printable(path.relative_to(leaderboard).as_posix())
    row = _parsed(data, where)
    if row_path(leaderboard, row.agent, row.environment, row.seed) != path:
        raise SubmissionError(
            "row-schema",
            f"{where} holds the row of {row.agent} on {row.environment} with seed {row.seed}; "
            "expected it at that row's own place; move it there",
        )
    return row


@functools.lru_cache(maxsize=2048)
def _parsed(data: bytes, where: str) -> Row:
    """Return the row that bytes hold; a board is read several times by most commands."""
    return parse_strict(Row, data, where=where, code="row")


def check_is_new(leaderboard: Path, row_file: Path, content_sha256: str | None) -> None:
    """Refuse what the leaderboard already has.

    Args:
        leaderboard: Folder of the leaderboard.
        row_file: Where the new row would be stored.
        content_sha256: Hash of the new row's tensors; None to look only at the place.

    Raises:
        SubmissionError: ``row-exists`` or ``duplicate-weights``.
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
    check: Callable[[], object] = lambda: None,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> Path:
    """Add a verified row: all of it or nothing, also beside other writers.

    Row and weights are written to hidden files first, then the chain, and last they get their
    names. So what fails, for want of room too, leaves the leaderboard as it was, and a process
    killed before the end leaves a last line whose row is not there; the next writer removes both.

    Args:
        leaderboard: Folder of the leaderboard; made if absent.
        row: Verified row.
        weights: The weights file that the row's hash belongs to.
        check: What else has to hold beside the rows that there are then, or raises.
        lock_seconds: How long to wait at most for another process that holds the leaderboard.

    Returns:
        Path of the row.

    Raises:
        SubmissionError: Somebody has added the same row or weights meanwhile, or ``check`` says so.
        StorageError: A folder of the row is a link.
        ValueError: Another process holds the leaderboard.
    """
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    leaderboard.mkdir(parents=True, exist_ok=True)
    with locked(leaderboard, seconds=lock_seconds):
        _recover(leaderboard)
        check_is_new(leaderboard, path, row.content_sha256)
        check()
        _write(leaderboard, path, row, weights, is_new=True)
    return path


def replace_row(leaderboard: Path, row: Row, **changes: Any) -> Path:
    """Write what was found later into a row; its weights stay, and so does all else.

    Args:
        leaderboard: Folder of the leaderboard.
        row: The row, evaluated or trained again.
        **changes: Fields and what they are now, beside what other writers found meanwhile.

    Returns:
        Path of the row.

    Raises:
        SubmissionError: As in ``verified_weights`` and ``read_row``.
        StorageError: As in ``verified_weights``.
        ValueError: Another process holds the leaderboard.
    """
    path = row_path(leaderboard, row.agent, row.environment, row.seed)
    with locked(leaderboard):
        _recover(leaderboard)
        weights = verified_weights(leaderboard, row)
        data = read_below(leaderboard, path.relative_to(leaderboard).as_posix(), MAX_ROW_BYTES)
        new = replace(read_row(leaderboard, path, data), **changes)
        _write(leaderboard, path, new, weights, is_new=False)
    return path


def _recover(leaderboard: Path) -> None:
    """Remove what a writer left that was stopped; the caller holds the lock."""
    remove_partial_files(leaderboard, [DIGESTS_NAME])
    link = drop_interrupted(leaderboard)
    if link is None:
        return
    with opened_place(leaderboard, link.place) as (folder, name):
        remove_partial_files(folder, [name, weights_place(name)])
        if not _exists(name, folder):
            os.unlink(weights_place(name), dir_fd=folder)


def _exists(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _write(leaderboard: Path, path: Path, row: Row, weights: bytes, *, is_new: bool) -> None:
    text = dump_json(row).encode()
    place = path.relative_to(leaderboard).as_posix()
    with ExitStack() as files:
        folder, name = files.enter_context(opened_place(leaderboard, place, make=is_new))
        remove_partial_files(folder, [name, weights_place(name)])
        publish_row = files.enter_context(staged(name, text, dir_fd=folder))
        if is_new:
            publish = files.enter_context(staged(weights_place(name), weights, dir_fd=folder))
        add_link(leaderboard, place, text, weights)
        if is_new:
            publish()
        publish_row()


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash what tensors say and not how their file was written.

    The order of the tensors, text in the header, padding and the sign of zeros do not count, so
    that none of them makes the same weights look new.

    Args:
        tensors: Tensors of any shape and element type, by name.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor + 0.0  # makes every -0.0 a 0.0
        # shape: as given -> (bytes,); a view as bytes works for types that numpy lacks
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        head = f"{len(name)}:{name}:{tensor.dtype}:{tuple(tensor.shape)}:"
        digest.update(head.encode())
        digest.update(data)
    return digest.hexdigest()


# ---- origins -------------------------------------------------------------------------------------
def parent_steps(row: Row) -> int:
    """Return the environment steps of the training that a row was made lean from, 0 without one.

    Args:
        row: The row.
    """
    parent = None if row.recipe is None else row.recipe.parent
    return 0 if parent is None else parent.steps


def is_derived(row: Row) -> bool:
    """Say whether a row was made lean from another one.

    Args:
        row: The row.
    """
    return parent_steps(row) > 0


def parents(rows: Iterable[Row]) -> dict[str, Row]:
    """Return rows by what those that were made lean from them name.

    Args:
        rows: All rows that may be a parent.
    """
    return {row.weights_sha256: row for row in rows}


def parent_of(row: Row, known: Mapping[str, Row]) -> Row | None:
    """Return the row that a row was made lean from, None without one.

    Args:
        row: The row.
        known: As `parents` gives them.
    """
    parent = None if row.recipe is None else row.recipe.parent
    return None if parent is None else known.get(parent.weights_sha256)


def gives_the_same_weights(row: Row, parent: Row | None) -> bool:
    """Say whether training a row again gave its weights, and, if it was made lean, its parent's.

    Args:
        row: The row.
        parent: The row that it was made lean from; None without one.
    """
    if is_derived(row) and (parent is None or is_derived(parent)):
        return False
    return all(
        x.trained_again is not None and x.trained_again.same == "weights"
        for x in (row, parent)
        if x is not None
    )


def origins_of(rows: Sequence[Row], known: Mapping[str, Row]) -> tuple[Row, ...]:
    """Return what the rows of an agent were made lean from; nothing unless that is one agent's.

    Args:
        rows: Rows of an agent on an environment.
        known: All rows that they may be made lean from, by the SHA-256 of their weights.
    """
    parents = [row.recipe.parent for row in rows if row.recipe is not None and row.recipe.parent]
    found = [known[x.weights_sha256] for x in parents if x.weights_sha256 in known]
    same = len(found) == len(rows) and len({row.agent for row in found}) == 1
    return tuple(found) if same else ()


def parent_agent(row: Row) -> str | None:
    """Return the zoo's parent of an agent that was trained from the start, None without one.

    Args:
        row: The row.
    """
    known = row.agent in agent_ids() and not is_derived(row)
    return load_agent_spec(row.agent).parent if known else None
