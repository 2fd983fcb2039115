"""Checks of submitted weights: the registered architecture takes them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch

from snn_gym.leaderboard.manifest import WEIGHTS_NAME, SubmissionError, shorten
from snn_gym.zoo import build_policy

# ---- architecture --------------------------------------------------------------------------------
_MAX_NAMES_SHOWN = 3


@functools.lru_cache(maxsize=16)
def _registered_policy(agent: str, env_id: str) -> Any:
    # Any: PyTorch types the attributes of a module that it does not know as tensors.
    return build_policy(agent, env_id)


def trained_tensors(
    tensors: Mapping[str, torch.Tensor], agent: str, env_id: str
) -> dict[str, torch.Tensor]:
    """Return the trained ones of ``tensors``, ordered from observations to actions."""
    names = (name for name, _ in _registered_policy(agent, env_id).named_parameters())
    return {name: tensors[name] for name in names if name in tensors}


def check_tensors(tensors: Mapping[str, torch.Tensor], agent: str, env_id: str) -> None:
    """Refuse tensors whose number, names, types, shapes or values do not fit the architecture."""
    # Of the sizes that the agent may have left; the cached policy must not change.
    fresh: Any = build_policy(agent, env_id, tensors)
    expected: dict[str, torch.Tensor] = fresh.acting_state_dict()
    fix = f"write it with `snn-gym submit` from a run of {agent}"
    if len(tensors) != len(expected):
        raise SubmissionError(
            "weights-count",
            f"{WEIGHTS_NAME} holds {len(tensors)} tensors; expected {len(expected)}; {fix}",
        )
    if tensors.keys() != expected.keys():
        unknown = _show(sorted(tensors.keys() - expected.keys()))
        missing = _show(sorted(expected.keys() - tensors.keys()))
        raise SubmissionError(
            "weights-name",
            f"{WEIGHTS_NAME} holds the unknown tensors {unknown}; expected {missing}; {fix}",
        )
    for name, tensor in expected.items():
        if tensors[name].dtype != tensor.dtype:
            raise SubmissionError(
                "weights-dtype",
                f"{WEIGHTS_NAME}: tensor {name!r} is {tensors[name].dtype}; "
                f"expected {tensor.dtype}; {fix}",
            )
        if tensors[name].shape != tensor.shape:
            raise SubmissionError(
                "weights-shape",
                f"{WEIGHTS_NAME}: tensor {name!r} has the shape {tuple(tensors[name].shape)}; "
                f"expected {tuple(tensor.shape)}; {fix}",
            )
    _check_finite(tensors)
    try:
        fresh.load_acting_state_dict(tensors)
    except (ValueError, RuntimeError) as error:  # a part of the policy raises the latter
        detail = shorten(str(error).splitlines()[-1])
        raise SubmissionError("weights-dynamics", f"{WEIGHTS_NAME}: {detail}; {fix}") from error


def _check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        bad = int(tensor.numel() - torch.isfinite(tensor).sum())
        if bad:
            raise SubmissionError(
                "weights-nonfinite",
                f"{WEIGHTS_NAME}: tensor {name!r} holds {bad} values that are NaN or infinite; "
                "expected only finite ones; train the agent again",
            )


def _show(names: list[str]) -> str:
    shown = ", ".join(repr(shorten(name)) for name in names[:_MAX_NAMES_SHOWN])
    return shown + (", …" if len(names) > _MAX_NAMES_SHOWN else "")
