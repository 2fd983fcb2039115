"""Training an agent again by the recipe of its submission or row."""

from __future__ import annotations

import functools
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.numerics import Numerics, numerics, one_thread, variables_of
from snn_gym.leaderboard.manifest import (
    LearningCurve,
    Manifest,
    SubmissionError,
    TrainedAgain,
    utc_now,
)
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.results import Row, list_rows, rows_by_weights
from snn_gym.leaderboard.submission import check_same_curve, curve_of_run, zoo_settings
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.policies.raw_observations import ActingPolicy, raw_policy
from snn_gym.spiking import NetworkConfig
from snn_gym.training import train
from snn_gym.zoo import load_agent, load_agent_spec
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import Recipe, ResolvedSettings, processor
from snn_gym.zoo.teaching import make_student

ClaimT = TypeVar("ClaimT", bound=Manifest)
ResultT = TypeVar("ResultT")


def train_again(claim: Manifest, weights_digest: str, leaderboard: Path) -> TrainedAgain:
    """Train an agent again by its recipe and return the outcome; refuse other weights or curve.

    It happens in a process with the recipe's numerics: this one, or a new one. ``weights_digest``
    is that of `hash_tensors`.
    """
    run = functools.partial(_train_again, weights_digest=weights_digest, leaderboard=leaderboard)
    if claim.numerics == numerics():
        return run(claim)
    (found,) = in_processes(run, [claim], claim.numerics)
    return found


def in_processes(
    run: Callable[[ClaimT], ResultT], claims: Sequence[ClaimT], kind: Numerics, processes: int = 1
) -> Iterator[ResultT]:
    """Yield what ``run`` makes of each claim, as it ends, in processes with the given numerics."""
    # Spawned processes, because PyTorch's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        with variables_of(kind):  # the first job starts all processes
            jobs = [pool.submit(run, claim) for claim in claims]
        for job in as_completed(jobs):
            yield job.result()
    finally:  # also if the caller stops early: no further claim begins
        pool.shutdown(cancel_futures=True)


def _train_again(claim: Manifest, weights_digest: str, leaderboard: Path) -> TrainedAgain:
    """Do so in this process."""
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
    if model.num_timesteps != claim.steps:
        raise SubmissionError(
            "retrain-mismatch",
            f"trained again it takes {model.num_timesteps} steps, not {claim.steps}, as its recipe "
            "gives; submit the run again",
        )
    if hash_tensors(policy.acting_state_dict()) != weights_digest:
        others = _difference(recipe) or "versions and kind of processor are those of the recipe"
        raise SubmissionError(
            "retrain-mismatch",
            f"other weights came of training it again by its recipe, with {recipe.numerics} "
            f"numerics ({others}); expected the same ones, bit for bit; submit a run of "
            "`snn-gym train` with portable numerics, under the pinned versions of packages",
        )
    check_same_curve(claim, curve)
    return TrainedAgain(
        same="weights",
        versions=package_versions(),
        processor=processor(),
        date=utc_now(),
        curve=curve,
    )


def _train(
    leaderboard: Path, claim: Manifest, recipe: Recipe, parent: Row | None
) -> tuple[BaseAlgorithm, LearningCurve | None]:
    """Return an agent trained by a recipe, and its learning curve if the training keeps a log."""
    agent, environment, seed = claim.agent, claim.environment, claim.seed
    settings = recipe.settings
    if parent is not None:
        lean = make_lean_of(
            leaderboard, parent, agent, steps=recipe.steps, seed=seed, resolved=settings
        )
        return lean, None
    if recipe.checkpoint_interval is None:
        settings = settings or zoo_settings(agent, environment, recipe)
        model = build_agent(agent, environment, seed, settings, seeding=claim.seeding)
        return model.learn(recipe.steps), None
    with tempfile.TemporaryDirectory(prefix="snn-gym-retrain-") as folder:
        run = Path(folder) / "run"
        train(
            agent,
            environment,
            out=run,
            seed=seed,
            steps=recipe.steps,
            checkpoint_interval=recipe.checkpoint_interval,
            seeding=claim.seeding,
            settings=settings,
        )
        model = load_agent(run)
        return model, curve_of_run(run, model.num_timesteps)


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


# ---- parents -------------------------------------------------------------------------------------
def find_parent(
    leaderboard: Path, claim: Manifest, known: Sequence[Row] | None = None
) -> Row | None:
    """Return the row, of ``known`` or else all rows, that a claim was made lean from, or None.

    Refuse an unknown parent, one with a parent, and one of another environment, seed or number of
    steps.
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
    if row.seed != claim.seed:
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
