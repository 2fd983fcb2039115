"""Verification of a submission: check it, play it again in a limited process, write its row.

Checks go from cheap to costly, and each refuses with a code of its own. Both files are read once,
from descriptors that are checked after opening; later checks use those bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym._base.names import did_you_mean
from snn_gym._base.storage import StorageError, dump_tensors, read_regular_file
from snn_gym.envs.registry import EnvironmentSpec, load_environment_spec
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.limited_process import (
    Request,
    VerificationSettings,
    check_architecture,
    rerun_limited,
)
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
from snn_gym.leaderboard.results import Row, check_is_new, write_row
from snn_gym.leaderboard.retraining import find_parent, train_again
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.submission import (
    check_begins_fresh,
    check_curve,
    check_portable,
    check_settings,
    zoo_settings,
)
from snn_gym.leaderboard.weights import check_weights, hash_tensors, refusal, trained_tensors
from snn_gym.learners.settings import LearnerSettings
from snn_gym.zoo import AgentSpec, agent_ids, load_agent_spec

SCORE_TOLERANCE = 1e-6
"""Largest accepted difference of a return from its claim, relative to returns beyond -1 and 1.

It covers rounding of sums, not another trajectory.
"""


def verify(
    folder: str | os.PathLike[str],
    leaderboard: str | os.PathLike[str],
    settings: VerificationSettings | None = None,
    *,
    retrain: bool = False,
) -> Row:
    """Verify a submission and add its row to a leaderboard.

    Args:
        folder: Submission folder, with manifest.json and weights.safetensors and nothing else.
        leaderboard: Folder of the leaderboard; made if absent.
        settings: Seeds and limits of the re-run; those of the official table if None.
        retrain: Whether to train the agent again by its recipe in this process, without a limit;
            required of an agent that was made lean from a row.

    Returns:
        The new row.

    Raises:
        SubmissionError: A check failed; its ``code`` names the check. The leaderboard does not
            change.
    """
    settings = settings or VerificationSettings()
    leaderboard = Path(leaderboard)
    if leaderboard.exists() and not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is a file; expected a folder; name another")
    data, manifest = _read_submission(Path(folder), leaderboard, len(settings.seeds), retrain)
    agent, environment = manifest.agent, manifest.environment
    check_architecture(agent, environment)
    tensors = check_weights(data, manifest)
    # Of trained tensors only: other observation statistics do not make another training run.
    trained = trained_tensors(tensors, agent, environment)
    content_sha256 = hash_tensors(trained)
    check_is_new(leaderboard, manifest, content_sha256)
    # Written again, so that the row stores nothing of the submitted file but its tensors.
    weights = dump_tensors(tensors)
    request = Request(
        agent=agent,
        environment=environment,
        seeds=settings.seeds,
        numerics=manifest.numerics,
    )
    result = rerun_limited(request, weights, settings)
    _check_score(manifest.score, result.score)
    checked = {
        **vars(result),  # its score and packages replace the claimed ones
        "budget_class": load_agent_spec(agent).budget_class,
        "parameters": sum(tensor.numel() for tensor in trained.values()),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "content_sha256": content_sha256,
        "verified": utc_now(),
        "trained_again": train_again(manifest, hash_tensors(tensors), leaderboard)
        if retrain
        else None,
    }
    row = Row(**{**vars(manifest), **checked})
    return write_row(leaderboard, row, weights, lock_seconds=settings.lock_seconds)


def _read_submission(
    folder: Path, leaderboard: Path, episodes: int, retrain: bool
) -> tuple[bytes, Manifest]:
    """Return the weights of a submission, and its manifest after checks.

    The zoo's settings are put into the manifest's recipe. The score has to have ``episodes``
    returns. An agent that was made lean from a row of the leaderboard is refused unless
    ``retrain``. A refusal is a SubmissionError.
    """
    with _opened(folder) as descriptor:
        manifest = parse_manifest(_read(MANIFEST_NAME, MAX_MANIFEST_BYTES, descriptor))
        _check_terms(manifest, *_check_names(manifest))
        manifest = _with_settings(manifest)
        check_claim(manifest.score, episodes)
        check_is_new(leaderboard, manifest)
        if find_parent(leaderboard, manifest) is not None and not retrain:
            raise SubmissionError(
                "parent",
                f"{MANIFEST_NAME}: it was made lean from a row, which any copy could say; expected "
                "that it is trained again; verify it with --retrain",
            )
        data = _read(WEIGHTS_NAME, MAX_WEIGHTS_BYTES, descriptor)
    return data, manifest


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a submission folder; refuse a link and anything but two files."""
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
        missing = [MANIFEST_NAME, WEIGHTS_NAME]
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name not in missing:
                    raise SubmissionError(
                        "extra-file", f"{folder} holds also {entry.name[:80]!r}; {expected}"
                    )
                missing.remove(entry.name)
        if missing:
            raise SubmissionError("missing-file", f"{folder} holds no {missing[0]}; {expected}")
        yield descriptor
    finally:
        os.close(descriptor)


def _read(name: str, max_bytes: int, descriptor: int) -> bytes:
    try:
        return read_regular_file(name, max_bytes=max_bytes, dir_fd=descriptor)
    except StorageError as error:
        raise refusal(error) from error


def _check_names(manifest: Manifest) -> tuple[AgentSpec, EnvironmentSpec]:
    try:
        environment = load_environment_spec(manifest.environment)
    except ValueError as error:
        raise SubmissionError("unknown-environment", f"{MANIFEST_NAME}: {error}") from error
    if manifest.agent not in agent_ids():
        raise SubmissionError(
            "unknown-agent",
            f"{MANIFEST_NAME}: agent {manifest.agent!r} is unknown"
            f"{did_you_mean(manifest.agent, agent_ids())} add its folder under agents/ first",
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
    """Refuse a manifest of another environment or evaluator version, or with a bad claim.

    Bad are a curve that cannot be reproduced, steps beyond the budget, and a recipe of other steps.
    An imported agent has no budget; any recipe of it is refused.
    """
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
        if manifest.recipe is not None:
            raise SubmissionError(
                "recipe",
                f"{MANIFEST_NAME}: a recipe of {manifest.agent}, which was trained elsewhere; "
                "expected none; write it with `snn-gym submit-nir`",
            )
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
    recipe = manifest.recipe
    if recipe is None or not recipe.steps <= manifest.steps <= recipe.steps + more:
        asked = "no recipe" if recipe is None else f"a recipe of {recipe.steps} steps"
        raise SubmissionError(
            "recipe",
            f"{MANIFEST_NAME}: {asked} beside {manifest.steps} training steps; expected one of as "
            "many, filled up to an update; submit the run again",
        )
    check_begins_fresh(recipe, MANIFEST_NAME)
    check_portable(recipe, MANIFEST_NAME)


def _with_settings(manifest: Manifest) -> Manifest:
    """Return a manifest with the zoo's settings in its recipe, if any; refuse other settings."""
    recipe = manifest.recipe
    if recipe is None:
        return manifest
    expected = zoo_settings(manifest.agent, manifest.environment, recipe)
    if recipe.settings is not None:
        check_settings(recipe.settings, expected, MANIFEST_NAME, manifest.agent)
    return replace(manifest, recipe=replace(recipe, settings=expected))


def _steps_between_updates(agent: AgentSpec, env_id: str, environment: EnvironmentSpec) -> int:
    # Training stops after whole rollouts only. In DQN n_steps is not the length of a rollout.
    settings: Any = agent.settings(env_id)
    if isinstance(settings, LearnerSettings):
        return settings.episodes_per_iteration * environment.max_episode_steps
    # Algorithms with neither setting learn at every step.
    rollout = getattr(settings, "train_freq", 0) or getattr(settings, "n_steps", 1)
    steps: int = rollout * settings.n_envs
    return steps


def check_claim(claim: Scores, episodes: int) -> None:
    """Refuse a score without ``episodes`` returns, or whose IQM or mean is not that of these."""
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


def _check_score(claim: Scores, result: Scores) -> None:
    different = different_returns(claim, result)
    if different:
        episode, claimed, actual = different[0]
        raise SubmissionError(
            "score-mismatch",
            f"{MANIFEST_NAME}: the re-run gives other returns in {len(different)} of "
            f"{len(claim.returns)} episodes, first in episode {episode}: {claimed} claimed, "
            f"{actual} found; claimed IQM {claim.iqm:.6g}, found {result.iqm:.6g}; submit again "
            "on the kind of machine that verifies",
        )


def different_returns(claim: Scores, result: Scores) -> list[tuple[int, float, float]]:
    """Return (episode, claimed return, actual return) of differences above `SCORE_TOLERANCE`."""
    pairs = zip(claim.returns, result.returns, strict=True)
    return [
        (episode, claimed, actual)
        for episode, (claimed, actual) in enumerate(pairs)
        if not _agree(claimed, actual)
    ]


def _agree(claimed: float, actual: float) -> bool:
    return abs(claimed - actual) <= SCORE_TOLERANCE * max(1.0, abs(actual))
