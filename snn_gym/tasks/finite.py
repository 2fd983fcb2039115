"""One check that what environments give are finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_finite(
    what: str,
    values: NDArray[Any] | dict[str, NDArray[Any]],
    environment: str,
    step: int,
    running: NDArray[np.bool_] | None = None,
    seeds: Sequence[int] | NDArray[np.int64] | None = None,
) -> None:
    """Refuse observations or rewards that are infinite or no numbers.

    Args:
        what: ``observation`` or ``reward``.
        values: (B, ...), of B environments; of a Dict space one array for each key.
        environment: Name of the environments.
        step: Environment step of the episode, 0 for what a reset gave.
        running: (B,), bool: environments whose values count; None for all.
        seeds: (B,), seeds of the episodes, if they are known.

    Raises:
        ValueError: A value is not finite.
    """
    for key, part in values.items() if isinstance(values, dict) else (("", values),):
        if part.dtype.kind != "f" or np.isfinite(part).all():
            continue
        wrong = ~np.isfinite(part).reshape(len(part), -1)
        bad = np.flatnonzero(wrong.any(axis=1) & (True if running is None else running))
        if bad.size:
            first = int(bad[0])
            value = part.reshape(len(part), -1)[first][wrong[first]][0]
            episode = "an episode" if seeds is None else f"the episode with seed {seeds[first]}"
            name = f"{what} {key!r}" if key else what
            raise ValueError(
                f"{environment} gave the {name} {value} at step {step} of {episode}; "
                f"{what}s must be finite"
            )
