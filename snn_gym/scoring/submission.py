"""Turn a trained agent into a submission folder: a manifest and the weights that acting needs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_gym.config import to_mapping
from snn_gym.folders import locked, partial_files, remove_partial_files
from snn_gym.registry import known_ids, load_environment_spec
from snn_gym.scoring.curves import curve_of_run, keeps_log
from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    evaluate,
    evaluation_seeds,
)
from snn_gym.scoring.manifest import (
    MANIFEST_NAME,
    WEIGHTS_NAME,
    LearningCurve,
    Manifest,
    Scores,
    dump_json,
    utc_now,
)
from snn_gym.spiking import NetworkConfig
from snn_gym.storage import dump_tensors, write_bytes_atomic, write_text_atomic
from snn_gym.zoo import (
    build_policy,
    load_agent,
    load_agent_spec,
    policy_arguments,
    read_manifest,
)
from snn_gym.zoo.lean import as_it_plays
from snn_gym.zoo.seeding import TRAINING_SEED_LIMIT, Seeding

if TYPE_CHECKING:
    from torch import Tensor

    from snn_gym.zoo import AgentManifest, AgentSpec
    from snn_gym.zoo.recipe import Recipe

SUBMISSION_FOLDER = "submission"
_WRITTEN = (MANIFEST_NAME, WEIGHTS_NAME)


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
    # Any: PyTorch types the attributes of a module that it does not know as tensors.
    trained: Any = load_agent(run).policy
    claim = Claim(
        agent, saved.environment, seed, saved.num_timesteps, saved.seeding, saved.versions, recipe,
        curve_of_run(run, saved.num_timesteps) if keeps_log(recipe) else None,
    )  # fmt: skip
    write_submission(out, claim, trained.acting_state_dict(), seeds)
    return out


@dataclass(frozen=True)
class Claim:
    """What a submission says of its agent, beside score and weights."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    seed: int
    """Training seed."""
    steps: int
    """Environment steps of training."""
    seeding: Seeding
    """How the environments' random streams followed from the seed."""
    packages: dict[str, str]
    """Versions of the packages used."""
    recipe: Recipe | None
    """What trains the weights again; None of an imported agent."""
    curve: LearningCurve | None = None
    """Learning curve of the training, if it kept a log."""


def write_submission(
    out: Path, claim: Claim, acting: Mapping[str, Tensor], seeds: Sequence[int] | None = None
) -> None:
    """Evaluate weights and write their submission folder, whole or not at all.

    Args:
        out: The folder, new or with an earlier submission.
        claim: What is said of them.
        acting: What acting needs, by name.
        seeds: As for ``submit``.
    """
    # Evaluated in the registered architecture, as the verifier will.
    policy: Any = build_policy(claim.agent, claim.environment)
    policy.load_acting_state_dict(acting)
    seeds = evaluation_seeds(OFFICIAL_EPISODES) if seeds is None else seeds
    evaluation = evaluate(policy, claim.environment, seeds=seeds)
    weights = dump_tensors(acting)
    manifest = Manifest(
        format=1,
        environment_version=load_environment_spec(claim.environment).version,
        score=Scores(iqm=evaluation.iqm, mean=evaluation.mean, returns=evaluation.returns),
        evaluator_version=EVALUATOR_VERSION,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        created=utc_now(),
        **vars(claim),
    )
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):  # of two at once, the files of one
        remove_partial_files(out, _WRITTEN)
        write_bytes_atomic(out / WEIGHTS_NAME, weights)
        write_text_atomic(out / MANIFEST_NAME, dump_json(manifest))


def check_out(out: Path) -> None:
    """Refuse a place that holds something else than an earlier submission.

    Args:
        out: The place.

    Raises:
        SubmissionError: ``out-in-use``.
    """
    if not os.path.lexists(out):
        return
    own = [out / name for name in _WRITTEN]
    if not out.is_dir() or {*out.iterdir()} - {*own, *partial_files(out, _WRITTEN)}:
        raise SubmissionError(
            "out-in-use",
            f"{out} exists and is no submission folder; expected a new folder or one with only "
            f"{MANIFEST_NAME} and {WEIGHTS_NAME}; choose another with --out",
        )


def _check_saved(saved: AgentManifest, run: Path) -> tuple[str, int, Recipe]:
    """Return agent, training seed and recipe of what was saved, if it may be submitted."""
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
    _check_identity(saved, load_agent_spec(saved.agent), run)
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
            "trained on a GPU, or resumed on another machine or with other versions; expected one "
            "training from the start, or from a row by `snn-gym lean`; train it with `snn-gym "
            "train`",
        )
    return saved.agent, saved.seed, saved.recipe


def _check_identity(saved: AgentManifest, spec: AgentSpec, run: Path) -> None:
    """Refuse what differs from the zoo's agent in algorithm, policy, network or settings."""
    zoo = policy_arguments(spec, saved.environment)
    settings = to_mapping(spec.settings(saved.environment))
    if saved.recipe is not None and saved.recipe.parent is not None:
        settings = as_it_plays(settings)
    for code, what, found, expected in (
        (
            "policy",
            "",
            {"algorithm": saved.algorithm, "policy": saved.policy},
            {"algorithm": spec.algorithm, "policy": spec.policy},
        ),
        (
            "hyper-parameters",
            "",
            saved.hyperparameters,
            settings,
        ),
        (
            "network",
            "the network's ",
            NetworkConfig.from_dict(saved.policy_kwargs.get("network", {})).to_dict(),
            zoo.pop("network").to_dict(),
        ),
        ("policy", "", {**saved.policy_kwargs, "network": None}, {**zoo, "network": None}),
    ):
        changed = [key for key in {**expected, **found} if found.get(key) != expected.get(key)]
        if changed:
            raise SubmissionError(
                code,
                f"{run} was trained with other values of {what}{', '.join(changed)} than the "
                f"zoo's {spec.name}; expected the zoo's; add a folder under agents/ for a variant",
            )
