"""Learning curves of rows: how they follow from a run's log, and what can be known of a claim."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from snn_gym.scoring.errors import SubmissionError
from snn_gym.scoring.manifest import MAX_CURVE_POINTS, LearningCurve, Manifest
from snn_gym.training.clock import seconds_at
from snn_gym.training.episodes import read_episodes
from snn_gym.training.run import EPISODES_FILE, check_logs
from snn_gym.zoo.recipe import Recipe


def keeps_log(recipe: Recipe | None) -> bool:
    """Tell whether a training by a recipe logs its episodes, so that it gives a curve.

    Args:
        recipe: Of the submission or row.
    """
    return recipe is not None and recipe.checkpoint_interval is not None and recipe.parent is None


def curve_of_run(run: Path, steps: int) -> LearningCurve | None:
    """Return the learning curve of a finished training.

    Equal episodes give equal steps, returns and episodes on every machine.

    Args:
        run: Folder that ``train`` wrote.
        steps: Environment steps of the whole training.

    Returns:
        The curve; None where no episode had ended, or none was logged.

    Raises:
        ValueError: A log was changed since, or is none.
    """
    check_logs(run)
    if not (run / EPISODES_FILE).exists():  # saved by `save_agent`
        return None
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    ends = [steps * (k + 1) // MAX_CURVE_POINTS for k in range(MAX_CURVE_POINTS)]
    ended = np.searchsorted(timesteps, ends, side="right")
    counts = np.diff(ended, prepend=0)
    there = np.flatnonzero(counts)
    if not there.size:
        return None
    at = np.array(ends)[there]
    seconds = seconds_at(run, at.astype(np.float64))
    stretches = [returns[end - count : end] for end, count in zip(ended, counts, strict=True)]
    return LearningCurve(
        steps=tuple(at.tolist()),
        returns=tuple(_mean(stretches[k].tolist()) for k in there),
        episodes=tuple(counts[there].tolist()),
        seconds=() if seconds is None else tuple(round(x, 2) for x in seconds.tolist()),
    )


def _mean(returns: list[float]) -> float:
    # Of the exact sum, which no order of additions changes.
    return float(f"{math.fsum(returns) / len(returns):.6g}")


def check_curve(claim: Manifest) -> None:
    """Check what can be known of a claimed learning curve without training.

    Args:
        claim: Manifest of a submission, or a row.

    Raises:
        SubmissionError: ``curve``: it goes on after the training, or no training could confirm it.
    """
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


def check_same_curve(claim: Manifest, found: LearningCurve | None) -> None:
    """Refuse a claimed learning curve that is not that of training again; wall time may differ.

    Args:
        claim: Manifest of the submission, or a row.
        found: Curve of the training that gave the same weights.

    Raises:
        SubmissionError: ``retrain-mismatch``.
    """
    if claim.curve is None:
        return
    for name in ("steps", "episodes", "returns"):
        if getattr(claim.curve, name) != getattr(found, name, None):
            raise SubmissionError(
                "retrain-mismatch",
                f"trained again it gives the same weights, but {name} of its learning curve are "
                "others; expected those that `snn-gym submit` writes; submit the run again",
            )
