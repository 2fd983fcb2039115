"""Submissions of trained agents: manifest, weights that acting needs, learning curve."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from snn_gym._base.folders import locked, partial_files, remove_partial_files
from snn_gym._base.numerics import numerics
from snn_gym._base.storage import dump_tensors, staged
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluate,
)
from snn_gym.leaderboard.manifest import (
    MANIFEST_NAME,
    MAX_CURVE_POINTS,
    WEIGHTS_NAME,
    LearningCurve,
    Manifest,
    Scores,
    SubmissionError,
    dump_json,
    utc_now,
)
from snn_gym.policies.raw_observations import ActingPolicy, raw_policy
from snn_gym.spiking import NetworkConfig
from snn_gym.training.logs import read_episodes, seconds_at
from snn_gym.training.run import EPISODES_FILE
from snn_gym.zoo import AgentManifest, build_policy, load_agent, load_agent_spec, read_manifest
from snn_gym.zoo.build import resolve_settings
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import TRAINING_SEED_LIMIT, Recipe, ResolvedSettings
from snn_gym.zoo.teaching import as_it_plays


# ---- learning curves -----------------------------------------------------------------------------
def keeps_log(recipe: Recipe | None) -> bool:
    """Return whether training by a recipe logs its episodes; False without one and of lean ones."""
    return recipe is not None and recipe.checkpoint_interval is not None and recipe.parent is None


def curve_of_run(run: Path, steps: int) -> LearningCurve | None:
    """Return a finished run's learning curve; None without log or episode, ValueError if edited."""
    if not (run / EPISODES_FILE).exists():  # saved by `save_agent`
        return None
    curve = curve_of(*read_episodes(run / EPISODES_FILE), steps)
    seconds = None if curve is None else seconds_at(run, np.array(curve.steps, np.float64))
    if curve is None or seconds is None:
        return curve
    return replace(curve, seconds=tuple(round(x, 2) for x in seconds.tolist()))


def curve_of(timesteps: ArrayLike, returns: ArrayLike, steps: int) -> LearningCurve | None:
    """Return the learning curve of a training of so many steps; None if no episode ended.

    ``timesteps`` (episodes,) are the environment steps at each episode's end, rising; ``returns``
    (episodes,).
    """
    ends = [steps * (k + 1) // MAX_CURVE_POINTS for k in range(MAX_CURVE_POINTS)]
    ended = np.searchsorted(timesteps, ends, side="right")
    counts = np.diff(ended, prepend=0)
    there, earned = np.flatnonzero(counts), np.asarray(returns)
    if not there.size:
        return None
    stretches = [earned[end - count : end] for end, count in zip(ended, counts, strict=True)]
    return LearningCurve(
        steps=tuple(np.array(ends)[there].tolist()),
        returns=tuple(_mean(stretches[k].tolist()) for k in there),
        episodes=tuple(counts[there].tolist()),
    )


def _mean(returns: list[float]) -> float:
    # The exact sum does not depend on the order of additions, so machines agree.
    return float(f"{math.fsum(returns) / len(returns):.6g}")


def check_curve(claim: Manifest) -> None:
    """Refuse a curve beside a recipe without a log, or one that ends after the training."""
    if claim.curve is None:
        return
    if not keeps_log(claim.recipe):
        raise SubmissionError(
            "curve",
            "a learning curve beside no recipe of `snn-gym train`, so that nobody could train it "
            "again; expected none; submit the run again",
        )
    if claim.curve.steps[-1] > claim.steps:
        raise SubmissionError(
            "curve",
            f"the learning curve ends at step {claim.curve.steps[-1]}; expected at most the "
            f"{claim.steps} steps of the training; submit the run again",
        )


def check_same_curve(claim: Manifest, curve: LearningCurve | None) -> None:
    """Refuse a claimed learning curve that differs from ``curve``, except in wall time."""
    if claim.curve is None:
        return
    for name in ("steps", "episodes", "returns"):
        if getattr(claim.curve, name) != getattr(curve, name, None):
            raise SubmissionError(
                "retrain-mismatch",
                f"trained again it gives the same weights, but {name} of its learning curve are "
                "others; expected those that `snn-gym submit` writes; submit the run again",
            )


def check_portable(recipe: Recipe, where: str) -> None:
    """Refuse a recipe of native numerics, by which another processor may give other weights."""
    if recipe.numerics != "portable":
        raise SubmissionError(
            "numerics",
            f"{where}: trained with native numerics, by which a second training gives other "
            "weights on other processors; expected portable ones, as rows have since version 2.0; "
            "train it with `snn-gym train` without --numerics native, on an x86 processor with "
            "AVX2",
        )


# ---- submission ----------------------------------------------------------------------------------
SUBMISSION_FOLDER = "submission"
_FILES = (MANIFEST_NAME, WEIGHTS_NAME)


def submit(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Evaluate a trained agent of the zoo and write its submission folder.

    Args:
        run: Folder of a finished training run, or one that `save_agent` wrote.
        out: Folder to create, or with an earlier submission to replace; RUN/submission if None.
        seeds: Seed of each episode; the public seeds if None, which the official table requires.

    Returns:
        The submission folder.

    Raises:
        ValueError: `run` holds no finished agent of the zoo, it differs from the zoo's in
            algorithm, policy, network or hyper-parameters, it cannot be trained again, its logs
            were changed, or `out` holds something else.
    """
    run = Path(run)
    out = run / SUBMISSION_FOLDER if out is None else Path(out)
    check_out(out)
    saved = read_manifest(run)
    agent, seed, recipe = _check_saved(saved, run)
    check_portable(recipe, str(run))
    if recipe.numerics != numerics():
        raise SubmissionError(
            "numerics",
            f"{run} was trained with portable numerics, and this process has native ones, by which "
            "it may act otherwise; expected the same; use `snn-gym submit`, or call "
            "snn_gym.portable() before torch is imported",
        )
    trained: ActingPolicy = raw_policy(load_agent(run))
    return _write(
        out, agent, saved.environment, trained.acting_state_dict(), seeds,
        seed=seed, steps=saved.num_timesteps, seeding=saved.seeding, packages=saved.versions,
        recipe=recipe, curve=curve_of_run(run, saved.num_timesteps) if keeps_log(recipe) else None,
    )  # fmt: skip


def submit_imported(
    policy: ActingPolicy,
    agent: str,
    env_id: str,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    steps: int = 0,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Evaluate a policy that was trained elsewhere and write its submission folder.

    Args:
        policy: Policy of the agent's architecture, as ``build_policy`` makes it.
        agent: Agent of budget class ``imported`` that is registered for the environment.
        env_id: Gymnasium id.
        out: Folder to write.
        seed: Seed of its training, which tells an agent's rows apart.
        steps: Environment steps of its training; 0 if unknown.
        seeds: As for ``submit``.

    Returns:
        The submission folder.

    Raises:
        ValueError: The agent is trained here, or ``out`` holds something else.
    """
    check_out(Path(out))
    if not load_agent_spec(agent).is_imported:
        raise ValueError(f"agent {agent!r} is trained here; name one of budget class 'imported'")
    training = {"seed": seed, "steps": steps, "packages": package_versions()}
    return _write(Path(out), agent, env_id, policy.acting_state_dict(), seeds, **training)


def _write(
    out: Path, agent: str, environment: str, acting: Mapping[str, Tensor],
    seeds: Sequence[int] | None, **training: Any,
) -> Path:  # fmt: skip
    """Evaluate the tensors ``acting`` and write their submission folder.

    ``training`` are the fields of `Manifest` that describe the training.
    """
    # The verifier evaluates them in the registered architecture, too.
    policy = build_policy(agent, environment, acting)
    policy.load_acting_state_dict(acting)
    evaluation = evaluate(policy, environment, OFFICIAL_EPISODES, seeds)
    weights = dump_tensors(acting)
    manifest = Manifest(
        format=1,
        agent=agent,
        environment=environment,
        environment_version=load_environment_spec(environment).version,
        score=Scores(iqm=evaluation.iqm, mean=evaluation.mean, returns=evaluation.returns),
        evaluator_version=EVALUATOR_VERSION,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        created=utc_now(),
        **training,
    )
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):  # so that two writers cannot mix their files
        remove_partial_files(out, _FILES)
        # A full disk shows before the earlier submission is touched.
        with (
            staged(out / WEIGHTS_NAME, weights) as put_weights,
            staged(out / MANIFEST_NAME, dump_json(manifest).encode()) as put_manifest,
        ):
            put_weights()
            put_manifest()
    return out


def check_out(out: Path) -> None:
    """Refuse an existing path, except an empty folder or one with a submission alone."""
    if not os.path.lexists(out):
        return
    own = [out / name for name in _FILES]
    if not out.is_dir() or {*out.iterdir()} - {*own, *partial_files(out, _FILES)}:
        raise SubmissionError(
            "out-in-use",
            f"{out} exists and is no submission folder; expected a new folder or one with only "
            f"{MANIFEST_NAME} and {WEIGHTS_NAME}; choose another with --out",
        )


def _check_saved(saved: AgentManifest, run: Path) -> tuple[str, int, Recipe]:
    """Return agent, training seed and recipe of a saved agent; refuse one not to be submitted."""
    if saved.agent is None:
        raise SubmissionError(
            "unknown-agent",
            f"{run} holds a model made by hand; expected an agent of the zoo, because only its "
            "architecture can be built again; train one with `snn-gym train`",
        )
    if saved.environment not in known_ids():
        raise SubmissionError(
            "unknown-environment",
            f"{run} was trained on {saved.environment}, which has no file under envs/; expected an "
            "environment that has one, with budget and reference scores: CONTRIBUTING.md says how "
            "to add it",
        )
    if saved.environment_kwargs:
        raise SubmissionError(
            "unknown-environment",
            f"{run} was trained on {saved.environment} with the arguments "
            f"{saved.environment_kwargs}; expected the registered environment without arguments",
        )
    expected = zoo_settings(saved.agent, saved.environment, saved.recipe)
    settings = trained_settings(saved)
    check_settings(settings, expected, str(run), saved.agent)
    if saved.seed is None or not 0 <= saved.seed < TRAINING_SEED_LIMIT:
        raise SubmissionError(
            "training-seed",
            f"{run} was trained with seed {saved.seed}; expected one in [0, "
            f"{TRAINING_SEED_LIMIT}), apart from the public evaluation seeds",
        )
    if saved.recipe is None:
        raise SubmissionError(
            "recipe",
            f"nobody can train the weights of {run} again: they were loaded and trained on, or "
            "trained in environments given as objects, by several calls of learn, on a GPU, or "
            "resumed on another machine or with other versions; expected one training from the "
            "start, or from a row by `snn-gym lean`; train it with `snn-gym train`",
        )
    check_begins_fresh(saved.recipe, str(run))
    return saved.agent, saved.seed, replace(saved.recipe, settings=settings)


def check_begins_fresh(recipe: Recipe, source: str) -> None:
    """Refuse a training that went on from another one; the error names ``source``."""
    if recipe.start_sha256 is not None:
        raise SubmissionError(
            "parent",
            f"{source} goes on from another agent's weights; expected one training from the start, "
            "or an agent made lean from a row; train it with `snn-gym train`",
        )


def trained_settings(saved: AgentManifest) -> ResolvedSettings:
    """Return the settings that a saved agent was trained with, also one that has become smaller."""
    if saved.recipe is not None and saved.recipe.settings is not None:
        return saved.recipe.settings
    arguments = dict(saved.policy_kwargs)
    network = NetworkConfig.from_dict(arguments.pop("network", {}))
    return ResolvedSettings(
        algorithm=saved.algorithm,
        hyperparameters=saved.hyperparameters,
        policy_kwargs=arguments,
        network=network.to_dict(),
        vec_normalize=saved.vec_normalize,
    )


def zoo_settings(agent: str, environment: str, recipe: Recipe | None) -> ResolvedSettings:
    """Return the settings of an agent's file.

    An agent made lean or taught has no exploration at the start, and no rewards to normalise.
    """
    resolved = resolve_settings(load_agent_spec(agent), environment)
    if recipe is None or recipe.parent is None:
        return resolved
    around = resolved.vec_normalize
    return replace(
        resolved,
        hyperparameters=as_it_plays(resolved.hyperparameters),
        vec_normalize=None if around is not None and not around.norm_obs else around,
    )


def check_settings(
    trained: ResolvedSettings, expected: ResolvedSettings, source: str, agent: str
) -> None:
    """Refuse settings that differ from ``expected``; errors name ``source`` and ``agent``."""
    if trained.vec_normalize != expected.vec_normalize:
        raise SubmissionError(
            "hyper-parameters",
            f"{source} was trained with another VecNormalize around its environments than the "
            f"zoo's {agent}, which has {expected.vec_normalize or 'none'}; expected the zoo's; "
            "normalise "
            "by the policy's own normalise_observations, or add a folder under agents/ for a "
            "variant",
        )
    for code, owner, ours, zoo in (
        ("policy", "", {"algorithm": trained.algorithm}, {"algorithm": expected.algorithm}),
        ("hyper-parameters", "", trained.hyperparameters, expected.hyperparameters),
        ("network", "the network's ", trained.network, expected.network),
        ("policy", "", trained.policy_kwargs, expected.policy_kwargs),
    ):
        # A name that only one of them has is another setting, also if its value is None.
        changed = [
            key
            for key in {**zoo, **ours}
            if (key in ours) != (key in zoo) or ours.get(key) != zoo.get(key)
        ]
        if changed:
            raise SubmissionError(
                code,
                f"{source} was trained with other values of {owner}{', '.join(changed)} than the "
                f"zoo's {agent}; expected the zoo's; add a folder under agents/ for a variant",
            )
