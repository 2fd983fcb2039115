"""Tamper-evident files: each stores its own SHA-256 digest, or a list beside it does.

A sealed file holds ``"sha256": "DIGEST"``, the digest of the file with 64 zeros in that place. A
seal shows damage and mistakes, not forgery: anyone who can write a file can seal it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snn_gym._base.config import ConfigT, from_mapping
from snn_gym._base.storage import StorageError, read_regular_file, write_text_atomic

SEAL = "sha256"
"""Key of the digest in a sealed file."""
UNSEALED = "0" * 64
"""Placeholder of the digest before a file is sealed."""

_SEAL = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")
_MAX_LIST_BYTES = 1 << 16
_MAX_LISTED_BYTES = 1 << 32


def seal(data: bytes) -> bytes:
    """Return a file's bytes with their digest in the first ``"sha256"`` entry, which must exist."""
    place = _SEAL.search(data)
    assert place is not None
    digest = _digest_without(data, place).encode()
    return b"".join([data[: place.start(1)], digest, data[place.end(1) :]])


def check_seal(data: bytes, where: str) -> None:
    """Raise ValueError if bytes hold no digest of themselves, or another; ``where`` names them."""
    place = _SEAL.search(data)
    if place is None:
        raise ValueError(
            f"{where} holds no SHA-256 of itself: it is damaged, or of an older version of "
            "snn_gym, which can go on with it"
        )
    if _digest_without(data, place) != place[1].decode():
        raise ValueError(
            f"{where} was changed after it was written: its SHA-256 is not the one that it holds; "
            "copy it again"
        )


def _digest_without(data: bytes, place: re.Match[bytes]) -> str:
    """Return the SHA-256 of bytes with ``UNSEALED`` in place of the digest at ``place``."""
    content = memoryview(data)  # a checkpoint may have gigabytes
    digest = hashlib.sha256(content[: place.start(1)])
    digest.update(UNSEALED.encode())
    digest.update(content[place.end(1) :])
    return digest.hexdigest()


def dump_sealed(mapping: Mapping[str, Any]) -> bytes:
    """Return the bytes of a sealed JSON file; NaN and infinite numbers raise ValueError."""
    text = json.dumps({SEAL: UNSEALED, **mapping}, indent=2, allow_nan=False)
    return seal(text.encode() + b"\n")


def parse_sealed(data: bytes, where: str) -> Any:
    """Return a JSON file's content without its seal, if any; ValueError if that is wrong."""
    content = parse_json(data, where)
    if isinstance(content, dict) and SEAL in content:
        check_seal(data, where)
        del content[SEAL]
    return content


def read_sealed(
    kind: type[ConfigT], file: Path, content: str, advice: str, max_bytes: int
) -> ConfigT:
    """Read a ``kind`` from JSON, sealed or not; ``content``, ``advice`` explain a missing file."""
    if not file.exists():
        raise ValueError(
            f"{file.parent} holds no {content}: there is no {file.name} in it; name the folder of "
            f"{advice}"
        )
    data = read_regular_file(file, max_bytes=max_bytes)
    return from_mapping(kind, parse_sealed(data, str(file)), str(file))


def parse_json(data: bytes | str, where: str) -> Any:
    """Parse JSON; if it is invalid, raise ValueError, which begins with ``where``."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from error


def write_digests(file: Path, names: Iterable[str]) -> None:
    """Write ``sha256sum`` lines into ``file``, for the files ``names`` of its folder."""
    write_text_atomic(file, "".join(f"{_digest(file.parent / name)}  {name}\n" for name in names))


def check_digests(file: Path) -> None:
    """Raise ValueError if a file that ``file`` lists is missing or differs from its digest."""
    text = read_regular_file(file, max_bytes=_MAX_LIST_BYTES).decode(errors="replace")
    for line in text.splitlines():
        entry = _LINE.fullmatch(line)
        if entry is None:
            raise ValueError(f"{file} is damaged: expected lines of a SHA-256 and a file's name")
        try:
            digest = _digest(file.parent / entry[2])
        except StorageError as error:
            raise ValueError(f"{file} lists a file that can't be read: {error}") from error
        if digest != entry[1]:
            raise ValueError(
                f"{file.parent / entry[2]} was changed after it was written: its SHA-256 is not "
                f"the one in {file.name}; copy both again"
            )


def _digest(file: Path) -> str:
    return hashlib.sha256(read_regular_file(file, max_bytes=_MAX_LISTED_BYTES)).hexdigest()
