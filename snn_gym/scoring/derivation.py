"""Rows that were made lean from another row: which one, and the training that leads from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.manifest import Manifest
from snn_gym.scoring.pretrained import load_row
from snn_gym.scoring.results import Row, list_rows
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec
from snn_gym.zoo.build import resolve_settings
from snn_gym.zoo.lean import make_student
from snn_gym.zoo.recipe import ResolvedSettings


def find_parent(
    leaderboard: Path, claim: Manifest, known: Sequence[Row] | None = None
) -> Row | None:
    """Find the row that a submission or a row was made lean from.

    Args:
        leaderboard: Folder of the leaderboard.
        claim: Manifest of the submission, or the row.
        known: The leaderboard's rows, where they were read before; None to read them.

    Returns:
        The parent's row; None for what was trained from the start.

    Raises:
        SubmissionError: ``parent``: there is none, it is not what the recipe says, or it has
            another seed. As a row has a place by agent, environment and seed, there is then one of
            an agent for each parent.
    """
    parent = None if claim.recipe is None else claim.recipe.parent
    if parent is None:
        return None
    known = list_rows(leaderboard) if known is None else known
    rows = [x for x in known if x.weights_sha256 == parent.weights_sha256]
    if not rows:
        raise SubmissionError(
            "parent",
            f"it was made lean from weights with the SHA-256 {parent.weights_sha256[:16]}…, which "
            "no row has; expected a row to train it again from; submit and verify that one first",
        )
    row = rows[0]
    expected = (claim.environment, claim.environment_version, parent.steps, None)
    found = (row.environment, row.environment_version, row.steps, row.recipe and row.recipe.parent)
    if found != expected:
        raise SubmissionError(
            "parent",
            f"its parent is the row of {row.agent} on {row.environment}, version "
            f"{row.environment_version}, with seed {row.seed} and {row.steps} steps; expected one "
            f"on {claim.environment}, version {claim.environment_version}, with {parent.steps} "
            "steps that was trained from the start; make it lean from such a one",
        )
    if row.seed != claim.seed:
        raise SubmissionError(
            "parent",
            f"its seed is {claim.seed} and that of its parent, {row.agent} on {row.environment}, "
            f"{row.seed}; expected the parent's, so that a training counts as one seed; make it "
            "lean with that seed",
        )
    return row


def make_lean_again(leaderboard: Path, claim: Manifest, parent: Row) -> BaseAlgorithm:
    """Make an agent lean again, from its parent's row.

    Args:
        leaderboard: Folder of the leaderboard.
        claim: Manifest of the submission, or the row, with a recipe.
        parent: As ``find_parent`` found it.

    Returns:
        The new agent.

    Raises:
        SubmissionError: As in ``make_lean_of``.
        ValueError: As in ``make_lean_of``.
    """
    assert claim.recipe is not None
    return make_lean_of(
        leaderboard,
        parent,
        claim.agent,
        steps=claim.recipe.steps,
        seed=claim.seed,
        resolved=claim.recipe.settings,
    )


def make_lean_of(
    leaderboard: Path,
    parent: Row,
    student: str,
    *,
    steps: int,
    seed: int,
    resolved: ResolvedSettings | None = None,
) -> BaseAlgorithm:
    """Make an agent of the zoo lean from a row.

    Args:
        leaderboard: Folder of the leaderboard.
        parent: The row.
        student: Agent of the zoo.
        steps: Environment steps.
        seed: Seed of the new agent.
        resolved: Settings of the new agent; those of the student's file if None.

    Returns:
        The new agent.

    Raises:
        SubmissionError: ``recipe``: the student is none that sheds spikes.
        ValueError: A file of the parent's row was changed.
    """
    resolved = resolved or resolve_settings(load_agent_spec(student), parent.environment)
    regulation = NetworkConfig.from_dict(resolved.network).regulation
    if regulation is None or regulation.lean is None:
        raise SubmissionError(
            "recipe",
            f"{student} sheds no spikes; expected an agent whose file says how, under "
            "[network.regulation.lean]; make it lean with --student",
        )
    trained = load_row(leaderboard, parent)
    return make_student(trained, steps, student, resolved, regulation.lean, seed=seed)
