"""Weights of several seeds in one safetensors file, and the choice of those in the wheel.

A tensor of a batch is named SEED/NAME. A seed's tensors adjoin, in the order of its own file, which
is thus found again byte for byte. This file imports the standard library alone, because
``hatch_build.py`` runs it before anything else is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LARGEST_WEIGHTS_BYTES = 100_000
"""Largest weights of a seed that the package contains."""
MOST_BYTES = 2_500_000
"""Limit on all weights in the package together."""

_LENGTH_BYTES = 8


def join_seeds(files: Mapping[int, bytes]) -> bytes:
    """Return one safetensors file with the tensors of each seed's file; metadata is left out."""
    parts = [
        (f"{seed}/{name}", entry, tensor)
        for seed, data in files.items()
        for name, entry, tensor in _tensors(data)
    ]
    return _dump(parts)


def file_of_seed(batch: bytes, seed: int) -> bytes | None:
    """Return a seed's file from a batch, None if the seed is not there; ValueError if damaged."""
    start = f"{seed}/"
    try:
        parts = [
            (name.removeprefix(start), entry, tensor)
            for name, entry, tensor in _tensors(batch)
            if name.startswith(start)
        ]
        return _dump(parts) if parts else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is no batch of weights; restore it from its history") from error


def _tensors(data: bytes) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Yield name, header entry and bytes of each tensor, in the order of the bytes."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    first = _LENGTH_BYTES + length
    header: dict[str, Any] = json.loads(data[_LENGTH_BYTES:first])
    header.pop("__metadata__", None)
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        yield name, entry, data[first + begin : first + end]


def _dump(parts: list[tuple[str, dict[str, Any], bytes]]) -> bytes:
    header, end = {}, 0
    for name, entry, tensor in parts:
        header[name] = entry | {"data_offsets": [end, end := end + len(tensor)]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *(x[2] for x in parts)])


# ---- package -------------------------------------------------------------------------------------
def median_seed(means: Mapping[int, float]) -> int:
    """Return the seed of the median return; of an even number of seeds, the lower middle one."""
    by_return = sorted(means, key=lambda seed: (means[seed], seed))
    return by_return[(len(by_return) - 1) // 2]


def shipped_weights(
    leaderboard: Path, most_bytes: int = MOST_BYTES
) -> Iterator[tuple[Path, bytes]]:
    """Yield path and content of a batch of the median seed of each agent and environment.

    The smallest come first, up to ``most_bytes`` together; large weights are left out.
    """
    left = most_bytes
    for path, data in sorted(_small_medians(leaderboard), key=lambda x: (len(x[1]), x[0])):
        left -= len(data)
        if left < 0:
            return
        yield path, data


def _small_medians(leaderboard: Path) -> Iterator[tuple[Path, bytes]]:
    means: dict[Path, dict[int, float]] = {}
    for file in sorted((leaderboard / "results").glob("*.jsonl")):
        for row in map(json.loads, file.read_bytes().splitlines()):
            folder = Path("weights", row["agent"], file.stem)
            means.setdefault(folder, {})[row["seed"]] = row["score"]["mean"]
    for folder, by_seed in means.items():
        seed = median_seed(by_seed)
        for batch in sorted((leaderboard / folder).glob("*.safetensors")):
            weights = file_of_seed(batch.read_bytes(), seed)
            if weights is not None and len(weights) <= LARGEST_WEIGHTS_BYTES:
                yield folder / f"{seed}.safetensors", join_seeds({seed: weights})
                break
