"""Verification of submissions: check one, re-run it, and only then write its row.

Checks go from cheap to costly, and each refuses with a code of its own. Both files are read once,
from descriptors that are checked after opening; later checks use those bytes.

Checking and training again by a recipe are for rows that are written already.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.names import did_you_mean
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import StorageError, dump_tensors, parse_tensors, read_regular_file
from snn_gym.envs.registry import EnvironmentSpec, load_environment_spec
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_NAME,
    LearningCurve,
    Manifest,
    Scores,
    SubmissionError,
    TrainedAgain,
    parse_manifest,
    shorten,
    utc_now,
)
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.rendering import TABLE_NAME, read_table, render_table
from snn_gym.leaderboard.results import (
    RESULTS_FOLDER,
    WEIGHTS_FOLDER,
    Row,
    batch_of,
    check_is_new,
    hash_tensors,
    list_rows,
    rows_by_weights,
    sound_rows,
    verified_weights,
    write_row,
)
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.submission import (
    check_curve,
    check_same_curve,
    check_settings,
    curve_of_run,
    zoo_settings,
)
from snn_gym.leaderboard.table import INSTRUCTIONS_NAME, read_instructions
from snn_gym.leaderboard.weights import check_tensors, trained_tensors
from snn_gym.leaderboard.worker import (
    Request,
    VerificationSettings,
    check_architecture,
    rerun,
    rerun_in_worker,
)
from snn_gym.learners.settings import LearnerSettings
from snn_gym.policies.protocols import ActingPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.assembly import todays_names
from snn_gym.training import train
from snn_gym.zoo import AgentSpec, agent_ids, load_agent, load_agent_spec
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.files import dump_weights, package_versions
from snn_gym.zoo.recipe import Recipe, ResolvedSettings, processor, unknown_part
from snn_gym.zoo.teaching import make_student

# ---- verification --------------------------------------------------------------------------------
SCORE_TOLERANCE = 1e-6
"""Largest accepted difference of a return from its claim, relative to returns beyond -1 and 1.

It covers rounding of sums, not another trajectory.
"""

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
) -> Row:
    """Verify a submission and add its row to a leaderboard.

    Args:
        folder: Submission folder, with manifest.json and weights.safetensors and nothing else.
        leaderboard: Folder of the leaderboard; made if absent.
        settings: Seeds and limits of the re-run; those of the official table if None.
        retrain: Whether to train the agent again by its recipe in this process, without a limit;
            required of an agent that was made lean from a row or goes on from one.

    Returns:
        The new row.

    Raises:
        SubmissionError: A check failed; its ``code`` names the check. The leaderboard does not
            change.
    """
    settings = settings or VerificationSettings()
    leaderboard = Path(leaderboard)
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
    request = Request(agent=agent, environment=environment, seeds=settings.seeds)
    result = rerun_in_worker(request, weights, settings)
    _check_score(manifest.score, result.score)
    checked = {
        **vars(result),  # its score and packages replace the claimed ones
        "budget_class": load_agent_spec(agent).budget_class,
        "parameters": sum(tensor.numel() for tensor in trained.values()),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "content_sha256": content_sha256,
        "verified": utc_now(),
        "trained_again": train_again(manifest, tensors, settings.seeds, leaderboard)
        if retrain
        else None,
    }
    row = Row(**{**vars(manifest), **checked})
    return write_row(leaderboard, row, weights, lock_seconds=settings.lock_seconds)


def _read_submission(
    folder: Path, leaderboard: Path, episodes: int, retrain: bool
) -> tuple[bytes, Manifest]:
    """Return the weights of a submission, and its checked manifest with the zoo's settings.

    One with a parent is refused unless ``retrain``.
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
                f"{MANIFEST_NAME}: it was made from a row, which any copy could say; expected that "
                "it is trained again; verify it with --retrain",
            )
        data = _read(WEIGHTS_NAME, MAX_WEIGHTS_BYTES, descriptor)
    return data, manifest


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a submission folder; refuse a link and other entries than two files."""
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
        raise _refusal(error) from error


def _refusal(error: StorageError) -> SubmissionError:
    return SubmissionError(_STORAGE_CODES.get(error.reason, error.reason), str(error))


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

    Bad are a curve that cannot be reproduced, steps beyond the budget, and a recipe of other steps
    or an unknown processor. An imported agent has no budget; any recipe of it is refused.
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
    """Return a manifest with the zoo's settings in its recipe, if any; refuse other settings."""
    recipe = manifest.recipe
    if recipe is None:
        return manifest
    expected = zoo_settings(manifest.agent, manifest.environment, recipe)
    if recipe.settings is not None:
        check_settings(recipe.settings, expected, MANIFEST_NAME, manifest.agent)
    return replace(manifest, recipe=replace(recipe, settings=expected))


def check_processor(claim: Manifest, *, whole: bool = True) -> None:
    """Refuse a recipe's processor that no library knows; unless ``whole``, an empty one passes."""
    recipe = claim.recipe
    unknown = None if recipe is None else unknown_part(recipe.processor, whole=whole)
    if unknown is not None:
        raise SubmissionError(
            "processor",
            f"the processor of its recipe has {unknown}; expected names that PyTorch, numpy, LLVM, "
            "OpenBLAS and MKL have; submit the run again, or add a new processor's name to "
            "snn_gym/zoo/recipe.py",
        )


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


def check_weights(data: bytes, claim: Manifest) -> dict[str, torch.Tensor]:
    """Return a weights file's tensors by current names; refuse a wrong digest or architecture."""
    try:
        tensors, _ = parse_tensors(data, where=WEIGHTS_NAME)
    except StorageError as error:
        raise _refusal(error) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != claim.weights_sha256:
        raise SubmissionError(
            "weights-sha256",
            f"{WEIGHTS_NAME} has the SHA-256 {digest[:16]}…; expected "
            f"{claim.weights_sha256[:16]}…, "
            "as written beside it; copy both files again",
        )
    tensors = todays_names(tensors)
    check_tensors(tensors, claim.agent, claim.environment)
    return tensors


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


# ---- stored rows ---------------------------------------------------------------------------------
def check_board(leaderboard: str | os.PathLike[str]) -> tuple[str, ...]:
    """List the differences between a stored leaderboard and its verified state.

    Checks the digests and the order of lines, files without a row, digests and architecture of
    weights, budget classes, aggregates of returns, learning curves, parents of lean rows, and, if
    all these agree, the table README.md and the counts of instructions.csv. No episode is played
    and nothing is counted. Somebody may edit a line and its digest; only the history of the file,
    as in git, shows that.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        A line for each problem, which names the row or file; empty if there is none.

    Raises:
        ValueError: The folder is missing.
    """
    leaderboard = Path(leaderboard)
    for folder in (leaderboard, leaderboard / RESULTS_FOLDER):
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; expected a leaderboard; verify a row first")
    rows, found = sound_rows(leaderboard)
    problems = [*found, *_batch_problems(leaderboard, rows)]
    for row in rows:
        try:
            _check_row(leaderboard, row)
            find_parent(leaderboard, row, rows)
        except (SubmissionError, StorageError) as error:
            text = " ".join(str(error).split())
            problems.append(text if row.name in text else f"{row.name}: {text}")
    return tuple(problems or _page_problems(leaderboard, rows_by_weights(rows)))


def _check_row(leaderboard: Path, row: Row) -> None:
    check_claim(row.score, len(row.lengths))
    check_curve(row)
    check_processor(row, whole=False)
    weights = verified_weights(leaderboard, row)
    trained = trained_tensors(check_weights(weights, row), row.agent, row.environment)
    for name, stored, actual in (
        ("content_sha256", row.content_sha256, hash_tensors(trained)),
        ("parameters", row.parameters, sum(x.numel() for x in trained.values())),
        ("budget_class", row.budget_class, load_agent_spec(row.agent).budget_class),
    ):
        if stored != actual:
            raise SubmissionError(
                "row-weights",
                f"{name} is {stored}, but that of its agent and weights is {actual}; submit "
                "the run again",
            )


def _batch_problems(leaderboard: Path, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a message for each file below weights/ that has the weights of no row."""
    used = {batch_of(leaderboard, row) for row in rows}
    for path in sorted((leaderboard / WEIGHTS_FOLDER).rglob("*")):
        if path not in used and (path.is_symlink() or not path.is_dir()):
            place = shorten(path.relative_to(leaderboard).as_posix())
            yield f"{place} has the weights of no row; remove it, or verify its submission"


def _page_problems(leaderboard: Path, known: Mapping[str, Row]) -> Iterator[str]:
    try:
        text = render_table(leaderboard)
        written = read_table(leaderboard / TABLE_NAME)
        counts = read_instructions(leaderboard)
    except ValueError as error:  # StorageError included
        yield str(error)
        return
    if written is not None and written != text.encode():
        yield f"{TABLE_NAME} is not the table of the rows; write it with `snn-gym table`"
    for (digest, target), counted in counts.items():
        row = known.get(digest)
        # No instruction does more than 8 products of 16 bits.
        if row is None or 8 * counted < (row.costs.operations_per_decision or 0.0):
            yield (
                f"{INSTRUCTIONS_NAME} counts {counted:g} instructions on {target} for weights "
                f"{digest[:16]}… of {'no row' if row is None else row.name}; expected a row's, an "
                "eighth of its operations or more; restore it from the history"
            )


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
            settings=recipe.settings,
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
