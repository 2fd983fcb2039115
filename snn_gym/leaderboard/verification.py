"""Check a submission, re-run it, and only then write its row.

Checks go from cheap to costly, and each refuses with a code of its own. Both files are read once,
from descriptors that were checked after opening; everything later works on those bytes.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snn_gym._base.storage import StorageError, dump_tensors, parse_tensors, read_regular_file
from snn_gym.envs.registry import EnvironmentSpec, load_environment_spec
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.hidden import play_hidden, submission_digest
from snn_gym.leaderboard.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_NAME,
    Manifest,
    Scores,
    SubmissionError,
    parse_manifest,
    utc_now,
)
from snn_gym.leaderboard.rerun import VerificationSettings, check_architecture, rerun_in_worker
from snn_gym.leaderboard.results import Row, check_is_new, hash_tensors, row_path, write_row
from snn_gym.leaderboard.retraining import find_parent, train_again
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.submission import check_curve, check_settings, zoo_settings
from snn_gym.leaderboard.weights import check_is_no_copy, check_tensors, trained_tensors
from snn_gym.leaderboard.worker import Request
from snn_gym.learners.settings import LearnerSettings
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import AgentSpec, agent_ids, load_agent_spec
from snn_gym.zoo.recipe import unknown_part

SCORE_TOLERANCE = 1e-6
"""Largest accepted difference between a claimed and a re-run return, relative to the return where
that is above 1. It covers how sums are rounded, not another trajectory."""

_STORAGE_CODES = {
    "missing": "missing-file",
    "truncated": "weights-truncated",
    "dtype": "weights-dtype",
    "shape": "weights-shape",
}


def verify(
    folder: str | os.PathLike[str],
    leaderboard: str | os.PathLike[str],
    settings: VerificationSettings | None = None,
    *,
    retrain: bool = False,
    salt: bytes | None = None,
) -> Path:
    """Verify a submission and add its row to a leaderboard.

    Args:
        folder: Submission folder, with manifest.json and weights.safetensors and nothing else.
        leaderboard: Folder of the leaderboard; made if absent.
        settings: Seeds and limits of the re-run; those of the official table if None.
        retrain: Whether to train the agent again by its recipe, too, in this process and for as
            long as that takes.
        salt: A maintainer's secret of 32 bytes or more, with which the seeds of as many further
            episodes are drawn; None for none.

    Returns:
        Path of the new row.

    Raises:
        SubmissionError: A check failed; its ``code`` names the check. The leaderboard is as
            it was.
    """
    settings = settings or VerificationSettings()
    leaderboard = Path(leaderboard)
    with _opened(Path(folder)) as descriptor:
        text = _read(MANIFEST_NAME, MAX_MANIFEST_BYTES, descriptor)
        manifest = parse_manifest(text)
        agent, environment = _check_names(manifest)
        _check_terms(manifest, agent, environment)
        manifest = _with_settings(manifest)
        check_claim(manifest.score, len(settings.seeds))
        place = row_path(leaderboard, manifest.agent, manifest.environment, manifest.seed)
        check_is_new(leaderboard, place, content_sha256=None)
        parent = _find_parent(leaderboard, manifest, retrain)
        data = _read(WEIGHTS_NAME, MAX_WEIGHTS_BYTES, descriptor)
    check_architecture(manifest.agent, manifest.environment)
    tensors = check_weights(data, manifest)
    trained = trained_tensors(tensors, manifest.agent, manifest.environment)
    # Of the trained numbers only: changed observation statistics make no other training run.
    content_sha256 = hash_tensors(trained)
    check_is_new(leaderboard, place, content_sha256)
    check = functools.partial(
        check_is_no_copy, leaderboard, manifest.agent, manifest.environment, tensors, parent
    )
    if not retrain:
        check()
    # Written afresh, so that nothing of the submitted file but its tensors is stored.
    weights = dump_tensors(tensors)
    request = Request(agent=manifest.agent, environment=manifest.environment, seeds=settings.seeds)
    result = rerun_in_worker(request, weights, settings)
    _check_score(manifest.score, result.score)
    hidden = None
    if salt is not None:
        # Of what was submitted, byte by byte, and not of what it is written afresh as.
        digest = submission_digest(text, data)
        play = functools.partial(rerun_in_worker, weights=weights, settings=settings)
        hidden = play_hidden(manifest, digest, salt, play)
    again = train_again(manifest, tensors, settings.seeds, leaderboard) if retrain else None
    found = {
        **vars(result),  # its score and packages in place of the claimed ones
        "budget_class": agent.budget_class,
        "parameters": sum(tensor.numel() for tensor in trained.values()),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "content_sha256": content_sha256,
        "verified": utc_now(),
        "trained_again": again,
        "hidden": hidden,
    }
    row = Row(**{**vars(manifest), **found})
    # Networks of which nearly all was shed may be alike by themselves. Who has trained one can have
    # it trained again, to the bit; who has copied it and claims another seed can't.
    if again is not None and again.same == "weights":
        return write_row(leaderboard, row, weights, lock_seconds=settings.lock_seconds)
    return write_row(leaderboard, row, weights, check, lock_seconds=settings.lock_seconds)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a submission folder that holds exactly the two files."""
    expected = (
        f"expected a folder with {MANIFEST_NAME} and {WEIGHTS_NAME} and nothing else, which "
        "`snn-gym submit` writes"
    )
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, flags)
    except OSError as error:
        code = "link" if folder.is_symlink() else "not-a-folder"
        raise SubmissionError(
            code, f"{folder} cannot be opened as a folder ({error.strerror}); {expected}"
        ) from error
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name not in (MANIFEST_NAME, WEIGHTS_NAME):
                    raise SubmissionError(
                        "extra-file", f"{folder} holds also {entry.name[:80]!r}; {expected}"
                    )
        yield descriptor
    finally:
        os.close(descriptor)


def _read(name: str, max_bytes: int, descriptor: int) -> bytes:
    try:
        return read_regular_file(name, max_bytes=max_bytes, dir_fd=descriptor)
    except StorageError as error:
        raise SubmissionError(_STORAGE_CODES.get(error.reason, error.reason), str(error)) from error


def _check_names(manifest: Manifest) -> tuple[AgentSpec, EnvironmentSpec]:
    try:
        environment = load_environment_spec(manifest.environment)
    except ValueError as error:
        raise SubmissionError("unknown-environment", f"{MANIFEST_NAME}: {error}") from error
    if manifest.agent not in agent_ids():
        raise SubmissionError(
            "unknown-agent",
            f"{MANIFEST_NAME}: agent {manifest.agent!r} is unknown; expected one of "
            f"{', '.join(agent_ids())}; add its folder under agents/ first",
        )
    agent = load_agent_spec(manifest.agent)
    if manifest.environment not in agent.environments:
        raise SubmissionError(
            "unknown-environment",
            f"{MANIFEST_NAME}: {manifest.agent} is not registered for {manifest.environment}; "
            f"expected one of {', '.join(agent.environments)}",
        )
    return agent, environment


def _check_terms(manifest: Manifest, agent: AgentSpec, environment: EnvironmentSpec) -> None:
    """Check versions, budget, recipe and learning curve: whether it would fit into the table."""
    if manifest.environment_version != environment.version:
        raise SubmissionError(
            "environment-version",
            f"{MANIFEST_NAME}: version {manifest.environment_version} of {manifest.environment}; "
            f"expected version {environment.version}; train and submit on that",
        )
    if manifest.evaluator_version != EVALUATOR_VERSION:
        raise SubmissionError(
            "evaluator-version",
            f"{MANIFEST_NAME}: evaluator version {manifest.evaluator_version}; expected "
            f"{EVALUATOR_VERSION}; submit the run again",
        )
    check_curve(manifest)
    if agent.is_imported:
        _check_imported(manifest)
        return
    budget = agent.budget(environment)
    more = _steps_between_updates(agent, manifest.environment, environment) - 1
    limit = budget + more
    if manifest.steps > limit:
        raise SubmissionError(
            "budget",
            f"{MANIFEST_NAME}: {manifest.steps} training steps; expected at most {limit} (the "
            f"budget of {budget} of class {agent.budget_class}, filled up to an update); train "
            "with fewer --steps",
        )
    check_processor(manifest)
    recipe = manifest.recipe
    if recipe is None or not recipe.steps <= manifest.steps <= recipe.steps + more:
        asked = "no recipe" if recipe is None else f"a recipe of {recipe.steps} steps"
        raise SubmissionError(
            "recipe",
            f"{MANIFEST_NAME}: {asked} beside {manifest.steps} training steps; expected one of as "
            "many, filled up to an update; submit the run again",
        )


def _with_settings(manifest: Manifest) -> Manifest:
    """Return a manifest whose recipe says the settings, which have to be the zoo's."""
    recipe = manifest.recipe
    if recipe is None:
        return manifest
    expected = zoo_settings(manifest.agent, manifest.environment, recipe)
    if recipe.settings is not None:
        check_settings(recipe.settings, expected, MANIFEST_NAME, manifest.agent)
    return replace(manifest, recipe=replace(recipe, settings=expected))


def check_processor(of: Manifest | Row, *, whole: bool = True) -> None:
    """Refuse a recipe whose processor no library knows: it would excuse any weights.

    Args:
        of: Manifest of the submission, or a row.
        whole: As in ``unknown_part``.

    Raises:
        SubmissionError: ``processor``.
    """
    unknown = None if of.recipe is None else unknown_part(of.recipe.processor, whole=whole)
    if unknown is not None:
        raise SubmissionError(
            "processor",
            f"the processor of its recipe has {unknown}; expected names that PyTorch, numpy, LLVM, "
            "OpenBLAS and MKL have; submit the run again, or add a new processor's name to "
            "snn_gym/zoo/recipe.py",
        )


def _check_imported(manifest: Manifest) -> None:
    if manifest.recipe is not None:
        raise SubmissionError(
            "recipe",
            f"{MANIFEST_NAME}: a recipe of {manifest.agent}, which was trained elsewhere; expected "
            "none; write it with `snn-gym submit --nir`",
        )


def _find_parent(leaderboard: Path, manifest: Manifest, retrain: bool) -> Row | None:
    """Return the row that a submission was made lean from, None for none."""
    parent = find_parent(leaderboard, manifest)
    if parent is not None and not retrain:
        raise SubmissionError(
            "parent",
            f"{MANIFEST_NAME}: it was made lean from a row, which any copy could say; expected "
            "that it is trained again; verify it with --retrain",
        )
    return parent


def _steps_between_updates(agent: AgentSpec, env_id: str, environment: EnvironmentSpec) -> int:
    # Training stops after whole rollouts only. In DQN n_steps is no rollout's length.
    settings: Any = agent.settings(env_id)
    if isinstance(settings, LearnerSettings):
        return settings.episodes_per_iteration * environment.max_episode_steps
    # Who has neither learns at every step.
    rollout = getattr(settings, "train_freq", 0) or getattr(settings, "n_steps", 1)
    steps: int = rollout * settings.n_envs
    return steps


def check_claim(claim: Scores, episodes: int) -> None:
    """Check what can be known of a claimed score without a re-run.

    Args:
        claim: The score.
        episodes: How many there should be.

    Raises:
        SubmissionError: ``score-episodes`` or ``score-inconsistent``.
    """
    if len(claim.returns) != episodes:
        raise SubmissionError(
            "score-episodes",
            f"{MANIFEST_NAME}: returns of {len(claim.returns)} episodes; expected {episodes}, "
            "one for each public seed; submit the run again",
        )
    for name, value, expected in (
        ("iqm", claim.iqm, interquartile_mean(claim.returns)),
        ("mean", claim.mean, float(np.mean(claim.returns))),
    ):
        if not _agree(value, expected):
            raise SubmissionError(
                "score-inconsistent",
                f"{MANIFEST_NAME}: {name} is {value}, but that of the returns beside it is "
                f"{expected}; submit the run again",
            )


def check_weights(data: bytes, of: Manifest | Row) -> dict[str, torch.Tensor]:
    """Parse the bytes of a weights file and check that the registered architecture takes them.

    Args:
        data: Whole content of the file.
        of: What names its hash, the agent and the environment.

    Returns:
        Tensors by the names that the architecture has today.

    Raises:
        SubmissionError: They are damaged, another file's, or do not fit; the ``code`` says which.
    """
    try:
        tensors, _ = parse_tensors(data, where=WEIGHTS_NAME)
    except StorageError as error:
        raise SubmissionError(_STORAGE_CODES.get(error.reason, error.reason), str(error)) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != of.weights_sha256:
        raise SubmissionError(
            "weights-sha256",
            f"{WEIGHTS_NAME} has the SHA-256 {digest[:16]}…; expected {of.weights_sha256[:16]}…, "
            "as written beside it; copy both files again",
        )
    tensors = todays_names(tensors)
    check_tensors(tensors, of.agent, of.environment)
    return tensors


def _check_score(claim: Scores, result: Scores) -> None:
    different = different_returns(claim, result)
    if different:
        episode, claimed, found = different[0]
        raise SubmissionError(
            "score-mismatch",
            f"{MANIFEST_NAME}: the re-run gives other returns in {len(different)} of "
            f"{len(claim.returns)} episodes, first in episode {episode}: {claimed} claimed, "
            f"{found} found; claimed IQM {claim.iqm:.6g}, found {result.iqm:.6g}; submit again "
            "on the kind of machine that verifies",
        )


def different_returns(claim: Scores, result: Scores) -> list[tuple[int, float, float]]:
    """Return the episodes whose returns differ by more than `SCORE_TOLERANCE`.

    Args:
        claim: Scores to check.
        result: Scores of the re-run, of as many episodes.

    Returns:
        Number of the episode, return claimed, and return found.
    """
    pairs = zip(claim.returns, result.returns, strict=True)
    return [
        (episode, claimed, found)
        for episode, (claimed, found) in enumerate(pairs)
        if not _agree(claimed, found)
    ]


def _agree(claimed: float, found: float) -> bool:
    return abs(claimed - found) <= SCORE_TOLERANCE * max(1.0, abs(found))
