"""Weights of submissions and rows: digests, and the check that an agent's architecture fits."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from snn_gym._base.storage import StorageError, parse_tensors
from snn_gym.leaderboard.manifest import WEIGHTS_NAME, Manifest, SubmissionError, shorten
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import build_policy

_MAX_NAMES_SHOWN = 3
_STORAGE_CODES = {
    "missing": "missing-file",
    "truncated": "weights-truncated",
    "dtype": "weights-dtype",
    "shape": "weights-shape",
}


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors' names, types, shapes and values.

    Their order, the file's header and padding, and the sign of zeros do not count.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor + 0.0  # turns -0.0 into 0.0
        # shape: as given -> (bytes,); a view as bytes works for types that numpy lacks
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        head = f"{len(name)}:{name}:{tensor.dtype}:{tuple(tensor.shape)}:"
        digest.update(head.encode())
        digest.update(data)
    return digest.hexdigest()


def refusal(error: StorageError) -> SubmissionError:
    """Return the refusal of a submitted file that cannot be read."""
    return SubmissionError(_STORAGE_CODES.get(error.reason, error.reason), str(error))


def check_weights(data: bytes, claim: Manifest) -> dict[str, torch.Tensor]:
    """Return a weights file's tensors by current names; refuse a wrong digest or architecture."""
    try:
        tensors, _ = parse_tensors(data, where=WEIGHTS_NAME)
    except StorageError as error:
        raise refusal(error) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != claim.weights_sha256:
        raise SubmissionError(
            "weights-sha256",
            f"{WEIGHTS_NAME} has the SHA-256 {digest[:16]}…; expected "
            f"{claim.weights_sha256[:16]}…, as written beside it; copy both files again",
        )
    tensors = todays_names(tensors)
    _check_architecture(tensors, claim.agent, claim.environment)
    return tensors


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


def _check_architecture(tensors: Mapping[str, torch.Tensor], agent: str, env_id: str) -> None:
    """Refuse tensors whose number, names, types, shapes or values do not fit the agent."""

    def refuse(code: str, problem: str) -> SubmissionError:
        fix = f"write it with `snn-gym submit` from a run of {agent}"
        return SubmissionError(f"weights-{code}", f"{WEIGHTS_NAME}: {problem}; {fix}")

    # Of the sizes that the agent may have left; the cached policy must not change.
    fresh: Any = build_policy(agent, env_id, tensors)
    expected: dict[str, torch.Tensor] = fresh.acting_state_dict()
    if len(tensors) != len(expected):
        raise refuse("count", f"{len(tensors)} tensors; expected {len(expected)}")
    if tensors.keys() != expected.keys():
        unknown = _show(sorted(tensors.keys() - expected.keys()))
        missing = _show(sorted(expected.keys() - tensors.keys()))
        raise refuse("name", f"unknown tensors {unknown}; expected {missing}")
    for name, tensor in tensors.items():
        for code, own, other in (
            ("dtype", tensor.dtype, expected[name].dtype),
            ("shape", tuple(tensor.shape), tuple(expected[name].shape)),
            ("nonfinite", int(tensor.numel() - torch.isfinite(tensor).sum()), 0),
        ):
            if own != other:
                found = "values that are NaN or infinite" if code == "nonfinite" else code
                raise refuse(code, f"tensor {name!r}: {found} {own}; expected {other}")
    try:
        fresh.load_acting_state_dict(tensors)
    except (ValueError, RuntimeError) as error:  # a part of the policy raises the latter
        raise refuse("dynamics", shorten(str(error).splitlines()[-1])) from error


def _show(names: list[str]) -> str:
    shown = ", ".join(repr(shorten(name)) for name in names[:_MAX_NAMES_SHOWN])
    return shown + (", …" if len(names) > _MAX_NAMES_SHOWN else "")
