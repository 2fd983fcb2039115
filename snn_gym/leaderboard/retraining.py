"""Training again by a recipe, also of agents that came from a parent, and comparison."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import dump_tensors
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.manifest import (
    LearningCurve,
    Manifest,
    SubmissionError,
    TrainedAgain,
    utc_now,
)
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.results import Row, hash_tensors, list_rows, rows_by_weights
from snn_gym.leaderboard.submission import check_same_curve, curve_of_run, zoo_settings
from snn_gym.leaderboard.worker import Request, rerun
from snn_gym.policies.protocols import ActingPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.spiking import NetworkConfig
from snn_gym.training import train
from snn_gym.zoo import load_agent, load_agent_spec
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.files import dump_weights, package_versions
from snn_gym.zoo.lean import make_student
from snn_gym.zoo.recipe import Recipe, ResolvedSettings, processor


# ---- parents -------------------------------------------------------------------------------------
def find_parent(
    leaderboard: Path, claim: Manifest, known: Sequence[Row] | None = None
) -> Row | None:
    """Return the row, of ``known`` or else all rows, that a claim was made from, or None.

    Refuse an unknown parent, one with a parent, and one of another environment or number of steps,
    or, of a lean claim, of another seed.
    """
    parent = claim.parent
    if parent is None:
        return None
    known = list_rows(leaderboard) if known is None else known
    row = rows_by_weights(known).get(parent.weights_sha256)
    if row is None:
        raise SubmissionError(
            "parent",
            f"it was made from weights with the SHA-256 {parent.weights_sha256[:16]}…, which no "
            "row has; expected a row to train it again from; submit and verify that one first",
        )
    expected = (claim.environment, claim.environment_version, parent.steps, None)
    if (row.environment, row.environment_version, row.steps, row.parent) != expected:
        raise SubmissionError(
            "parent",
            f"its parent is the row of {row.agent} on {row.environment}, version "
            f"{row.environment_version}, with seed {row.seed} and {row.steps} steps; expected one "
            f"on {claim.environment}, version {claim.environment_version}, with {parent.steps} "
            "steps that was trained from the start; make it from such a one",
        )
    # One that goes on never ranks, and so counts as no seed.
    if row.seed != claim.seed and not (claim.recipe and claim.recipe.steps_before):
        raise SubmissionError(
            "parent",
            f"its seed is {claim.seed} and that of its parent, {row.agent} on {row.environment}, "
            f"{row.seed}; expected the parent's, so that a training counts as one seed; make it "
            "lean with that seed",
        )
    return row


def make_lean_of(
    leaderboard: Path,
    parent: Row,
    student: str,
    *,
    steps: int,
    seed: int,
    resolved: ResolvedSettings | None = None,
) -> BaseAlgorithm:
    """Return ``student`` made lean with a row as its teacher; refuse one without lean settings."""
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


def open_row(leaderboard: Path, row: Row, start_sha256: str | None) -> BaseAlgorithm:
    """Return a row's agent with all of the weights that a training went on from.

    They are those of ``load_pretrained``, or else of the row's training, which is made again.
    """
    model = load_row(leaderboard, row)
    if row.recipe is not None and _digest(model) != start_sha256:
        model, _ = _train(leaderboard, row, row.recipe, None)
    if _digest(model) != start_sha256:
        raise SubmissionError(
            "parent",
            f"it goes on from other critics than the row of {row.agent} on {row.environment} with "
            f"seed {row.seed} has, and training that row again gives; expected the row's; go on "
            "from its run on this kind of machine, or from the pretrained agent",
        )
    return model


def _digest(model: BaseAlgorithm) -> str:
    return hashlib.sha256(dump_weights(model)).hexdigest()


# ---- retraining ----------------------------------------------------------------------------------
RETURNS_TOLERANCE = 0.05
"""Largest accepted difference of mean returns on another processor or with other versions.

Its unit is the range from random play to ``solved``.
"""


def train_again(
    claim: Manifest,
    tensors: Mapping[str, torch.Tensor],
    seeds: Sequence[int],
    leaderboard: Path,
) -> TrainedAgain:
    """Train an agent again by its recipe and return the outcome; refuse other weights or curve.

    Other versions or another processor excuse other weights whose mean return on ``seeds`` is
    within `RETURNS_TOLERANCE` of the claim.
    """
    recipe = claim.recipe
    if recipe is None:
        raise SubmissionError(
            "recipe",
            "has no recipe, so nobody can train it again; expected what `snn-gym submit` writes; "
            "submit the run again",
        )
    parent = find_parent(leaderboard, claim)
    with one_thread():
        model, curve = _train(leaderboard, claim, recipe, parent)
    policy: ActingPolicy = raw_policy(model)
    acting, steps = policy.acting_state_dict(), model.num_timesteps - recipe.steps_before
    if hash_tensors(acting) == hash_tensors(tensors) and steps == claim.steps:
        check_same_curve(claim, curve)
        return _outcome("weights", curve)
    _check_excuse(claim, recipe, steps)
    request = Request(agent=claim.agent, environment=claim.environment, seeds=tuple(seeds))
    mean = rerun(request, dump_tensors(acting)).score.mean
    reference = load_environment_spec(claim.environment).reference
    tolerance = reference.loss(RETURNS_TOLERANCE)
    if abs(mean - claim.score.mean) > tolerance:
        raise SubmissionError(
            "retrain-mismatch",
            f"trained again it earns {mean:.6g}, not {claim.score.mean:.6g} within "
            f"{tolerance:.3g}; {_difference(recipe)}; train it again under those",
        )
    return _outcome("returns")


def _train(
    leaderboard: Path, claim: Manifest, recipe: Recipe, parent: Row | None
) -> tuple[BaseAlgorithm, LearningCurve | None]:
    if parent is not None and not recipe.steps_before:
        steps, seed, settings = recipe.steps, claim.seed, recipe.settings
        model = make_lean_of(
            leaderboard, parent, claim.agent, steps=steps, seed=seed, resolved=settings
        )
        return model, None
    origin = None if parent is None else open_row(leaderboard, parent, recipe.start_sha256)
    if recipe.checkpoint_interval is None:
        settings = recipe.settings or zoo_settings(claim.agent, claim.environment, recipe)
        model = build_agent(
            claim.agent, claim.environment, claim.seed, settings, seeding=claim.seeding
        )
        return model.learn(recipe.steps), None
    with tempfile.TemporaryDirectory(prefix="snn-gym-retrain-") as folder:
        run = Path(folder) / "run"
        train(
            claim.agent,
            claim.environment,
            out=run,
            seed=claim.seed,
            steps=recipe.steps,
            checkpoint_interval=recipe.checkpoint_interval,
            seeding=claim.seeding,
            resolved=recipe.settings,
            parent=origin,
        )
        model = load_agent(run)
        return model, curve_of_run(run, model.num_timesteps)


def _check_excuse(claim: Manifest, recipe: Recipe, steps: int) -> None:
    """Refuse other weights after other steps, or under the recipe's own versions and processor."""
    if steps != claim.steps:
        raise SubmissionError(
            "retrain-mismatch",
            f"trained again it takes {steps} steps, not {claim.steps}, as its recipe gives",
        )
    if not _difference(recipe):
        raise SubmissionError(
            "retrain-mismatch",
            "other weights came of training it again by its recipe, under the same versions and on "
            "a processor of the same kind; expected the same ones, bit for bit; submit a run of "
            "`snn-gym train` and nothing else",
        )


def _difference(recipe: Recipe) -> str:
    """Describe differences of versions and processor that may change rounding; empty if none."""
    # Kept apart, because both have entries named numpy, torch and numba.
    pairs = (
        ("", recipe.versions, package_versions()),
        ("the processor's ", recipe.processor, processor()),
    )
    return "; ".join(
        f"{owner}{name} was {there.get(name, 'not said')} and is {here.get(name, 'not said')}"
        for owner, there, here in pairs
        for name in {**there, **here}
        if there.get(name) != here.get(name)
    )


def _outcome(same: Any, curve: LearningCurve | None = None) -> TrainedAgain:
    return TrainedAgain(
        same=same, versions=package_versions(), processor=processor(), date=utc_now(), curve=curve
    )
