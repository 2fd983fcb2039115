"""Train an agent again by its recipe, and compare what comes of it with what was submitted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym.policies.protocols import ActingPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.registry import load_environment_spec
from snn_gym.scoring.curves import check_same_curve, curve_of_run
from snn_gym.scoring.derivation import find_parent, make_lean_again
from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.found import TrainedAgain
from snn_gym.scoring.manifest import LearningCurve, Manifest, utc_now
from snn_gym.scoring.results import hash_tensors
from snn_gym.scoring.submission import zoo_settings
from snn_gym.scoring.worker import Request, rerun
from snn_gym.storage import dump_tensors
from snn_gym.threads import one_thread
from snn_gym.training import train
from snn_gym.zoo import load_agent
from snn_gym.zoo.build import build_agent
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import Recipe, processor

RETURNS_TOLERANCE = 0.05
"""Largest accepted difference in mean return where another processor or version gives other
weights, in units of the range from random play to ``solved``."""


def train_again(
    claim: Manifest,
    tensors: Mapping[str, torch.Tensor],
    seeds: Sequence[int],
    leaderboard: Path,
) -> TrainedAgain:
    """Train an agent again and compare it with what was submitted or stored.

    Args:
        claim: Manifest of the submission, or a row.
        tensors: Its checked tensors, by today's names.
        seeds: Seed of each episode behind its score.
        leaderboard: Folder of the leaderboard, which has the parent of a derived row.

    Returns:
        Whether the weights are the same, with the learning curve of this training, or, under other
        versions or on another processor, at least the mean return.

    Raises:
        SubmissionError: ``recipe``: there is none. ``parent``: as in ``find_parent``.
            ``retrain-mismatch``: something else came of it.
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
        if parent is None:
            model, curve = _train(claim, recipe)
        else:
            model, curve = make_lean_again(leaderboard, claim, parent), None
    policy: ActingPolicy = raw_policy(model)
    acting = policy.acting_state_dict()
    if hash_tensors(acting) == hash_tensors(tensors) and model.num_timesteps == claim.steps:
        check_same_curve(claim, curve)
        return _found("weights", curve)
    _check_excuse(claim, recipe, model.num_timesteps)
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
    return _found("returns")


def _train(claim: Manifest, recipe: Recipe) -> tuple[BaseAlgorithm, LearningCurve | None]:
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
        )
        model = load_agent(run)
        return model, curve_of_run(run, model.num_timesteps)


def _check_excuse(claim: Manifest, recipe: Recipe, steps: int) -> None:
    """Refuse where nothing excuses other weights."""
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
    """Return what may make training round in another way here, in words; empty if nothing does."""
    # Apart: both have a numpy, a torch and a numba.
    pairs = (
        ("", recipe.versions, package_versions()),
        ("the processor's ", recipe.processor, processor()),
    )
    return "; ".join(
        f"{whose}{name} was {there.get(name, 'not said')} and is {here.get(name, 'not said')}"
        for whose, there, here in pairs
        for name in {**there, **here}
        if there.get(name) != here.get(name)
    )


def _found(same: Any, curve: LearningCurve | None = None) -> TrainedAgain:
    return TrainedAgain(
        same=same, versions=package_versions(), processor=processor(), date=utc_now(), curve=curve
    )
