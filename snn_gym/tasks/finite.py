"""One check that what environments give are finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 3


def check_finite(
    what: str,
    values: NDArray[Any] | dict[str, NDArray[Any]],
    environment: str,
    step: int | NDArray[np.int64],
    running: NDArray[np.bool_] | None = None,
    seeds: Sequence[int] | NDArray[np.int64] | None = None,
) -> None:
    """Refuse observations or rewards that are infinite or no numbers.

    Args:
        what: ``observation`` or ``reward``.
        values: (B, ...), of B environments; of a Dict or Tuple space one array for each part.
        environment: Name of the environments.
        step: Environment step of the episode, 0 for what a reset gave; one for all, or (B,).
        running: (B,), bool: environments whose values count; None for all.
        seeds: (B,), seeds of the episodes, if they are known.

    Raises:
        ValueError: A value is not finite.
    """
    for key, part in _parts(values):
        if _surely_finite(part) or np.isfinite(part).all():
            continue
        wrong = ~np.isfinite(part).reshape(len(part), -1)
        bad = np.flatnonzero(wrong.any(axis=1) & (True if running is None else running))
        if bad.size:
            first = int(bad[0])
            value = part.reshape(len(part), -1)[first][wrong[first]][0]
            episode = "an episode" if seeds is None else f"the episode with seed {seeds[first]}"
            name = f"{what} {key!r}" if key else what
            share = f"{int(wrong[first].sum())} of {wrong.shape[1]} values are not"
            at = step if isinstance(step, int) else int(step[first])
            raise ValueError(
                f"{environment} gave the {name} {value} at step {at} of {episode}; "
                f"{what}s must be finite, and {share}"
            )


def check_step(
    environment: str,
    observations: NDArray[Any] | dict[str, NDArray[Any]],
    rewards: NDArray[Any],
    dones: NDArray[np.bool_],
    steps: NDArray[np.int64],
    infos: Sequence[Mapping[str, Any]],
) -> None:
    """Refuse a step of a Stable-Baselines3 ``VecEnv`` that gave what is not finite.

    Args:
        environment: Name of the environments.
        observations: (B, ...); of a Dict or Tuple space one array for each part.
        rewards: (B,).
        dones: (B,), which episodes ended, so that the observation is the next one's first.
        steps: (B,), environment steps of each episode, this one included.
        infos: B infos; where an episode ended ``terminal_observation`` is checked too.

    Raises:
        ValueError: A value is not finite.
    """
    ended = np.flatnonzero(dones)
    finals = [infos[index]["terminal_observation"] for index in ended.tolist()]
    # Every step of training comes by here, nearly always with plain arrays of finite numbers.
    if all(map(_surely_finite, (rewards, observations, *finals))):
        return
    check_finite("reward", rewards, environment, steps)
    check_finite("observation", observations, environment, np.where(dones, 0, steps))
    if finals:
        parts = [dict(_parts(final)) for final in finals]
        together = {key: np.array([part[key] for part in parts]) for key in parts[0]}
        check_finite("observation", together, environment, steps[ended])


def few(values: NDArray[Any]) -> str:
    """Return the first values of an array as text, with an ellipsis for more."""
    shown = [f"{value:g}" for value in values.ravel()[:_SHOWN]]
    return ", ".join(shown if values.size <= _SHOWN else [*shown, "…"])


def _parts(values: Any) -> list[tuple[str, Any]]:
    """Return the arrays of an observation by name; of one that is an array, itself."""
    if isinstance(values, Mapping):
        return list(values.items())
    if isinstance(values, tuple):
        return [(str(index), part) for index, part in enumerate(values)]
    return [("", values)]


def _surely_finite(values: Any) -> bool:
    """Tell by one product whether values are finite; False where their squares overflow too."""
    if not isinstance(values, np.ndarray):
        return False
    if values.dtype.kind != "f":
        return True
    flat = values.ravel()
    return math.isfinite(flat.dot(flat))
