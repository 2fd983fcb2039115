"""Infos of batches, as gymnasium's vector environments give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def masked_infos(values: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return infos that are 0 where a mask does not hold, each with its mask under ``_key``.

    Args:
        values: Arrays (B, ...) by key.
        mask: (B,), bool.
    """
    infos: dict[str, Any] = {}
    for key, array in values.items():
        shown = array
        if not mask.all():
            shown = np.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)
        infos[key] = shown.astype(array.dtype)
        infos[f"_{key}"] = mask.copy()
    return infos
