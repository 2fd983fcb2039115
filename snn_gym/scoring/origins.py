"""What rows come from: the rows they were made lean from, or their agent's parent in the zoo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snn_gym.scoring.results import Row
from snn_gym.zoo import agent_ids, load_agent_spec


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
