"""Files that show when they were changed: each says its own SHA-256, or another file does.

A sealed file holds ``"sha256": "DIGEST"``, where DIGEST is that of the whole file with 64 zeros in
its place. A seal tells damage and mistakes, not forgery: who can write a file can seal it.
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
"""Key under which a sealed file has its digest."""
UNSEALED = "0" * 64
"""Placeholder of the digest before a file is sealed."""

_SEAL = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")
_MAX_LIST_BYTES = 1 << 16
_MAX_LISTED_BYTES = 1 << 32


def seal(data: bytes) -> bytes:
    """Put a file's digest in the place that it has for it.

    Args:
        data: Content of a JSON or safetensors file whose first ``"sha256"`` is ``UNSEALED``.
    """
    place = _SEAL.search(data)
    assert place is not None
    digest = _digest_without(data, place).encode()
    return b"".join([data[: place.start(1)], digest, data[place.end(1) :]])


def check_seal(data: bytes, where: str) -> None:
    """Refuse a file that is not as it was sealed.

    Args:
        data: Its content.
        where: Its name, for the message.

    Raises:
        ValueError: It has no seal, or another one.
    """
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
    content = memoryview(data)  # a checkpoint may have gigabytes
    digest = hashlib.sha256(content[: place.start(1)])
    digest.update(UNSEALED.encode())
    digest.update(content[place.end(1) :])
    return digest.hexdigest()


def dump_sealed(mapping: Mapping[str, Any]) -> bytes:
    """Return a mapping as a sealed JSON file.

    Args:
        mapping: Plain JSON values by key, all numbers finite.
    """
    text = json.dumps({SEAL: UNSEALED, **mapping}, indent=2, allow_nan=False)
    return seal(text.encode() + b"\n")


def parse_sealed(data: bytes, where: str) -> Any:
    """Read what ``dump_sealed`` wrote; older files without a seal are taken as they are.

    Args:
        data: Content of the file.
        where: Its name, for messages.

    Returns:
        The mapping, without the seal.

    Raises:
        ValueError: It is no JSON, or was changed after it was written.
    """
    content = parse_json(data, where)
    if isinstance(content, dict) and SEAL in content:
        check_seal(data, where)
        del content[SEAL]
    return content


def read_sealed(kind: type[ConfigT], file: Path, what: str, advice: str, max_bytes: int) -> ConfigT:
    """Read a sealed file in a folder that a command wrote.

    Args:
        kind: Schema of what it holds.
        file: The file.
        what: What the folder holds where the file is there, to say that it is not.
        advice: Which folder to name instead.
        max_bytes: Largest size that is read.

    Raises:
        ValueError: It is not there, was changed since, or does not fit the schema.
    """
    if not file.exists():
        raise ValueError(
            f"{file.parent} holds no {what}: there is no {file.name} in it; name the folder of "
            f"{advice}"
        )
    data = read_regular_file(file, max_bytes=max_bytes)
    return from_mapping(kind, parse_sealed(data, str(file)), str(file))


def parse_json(data: bytes | str, where: str) -> Any:
    """Read JSON from a file that may be damaged.

    Args:
        data: Content of the file.
        where: Its name, for the message.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from error


def write_digests(file: Path, names: Iterable[str]) -> None:
    """List the digests of files, as ``sha256sum`` does, atomically.

    Args:
        file: List to create or replace.
        names: Files beside it.
    """
    write_text_atomic(file, "".join(f"{_digest(file.parent / name)}  {name}\n" for name in names))


def check_digests(file: Path) -> None:
    """Refuse a file that is not as it was when it was listed.

    Args:
        file: List that ``write_digests`` wrote.

    Raises:
        ValueError: A listed file is missing or was changed, or the list is none.
    """
    text = read_regular_file(file, max_bytes=_MAX_LIST_BYTES).decode(errors="replace")
    for line in text.splitlines():
        listed = _LINE.fullmatch(line)
        if listed is None:
            raise ValueError(f"{file} is damaged: expected lines of a SHA-256 and a file's name")
        try:
            found = _digest(file.parent / listed[2])
        except StorageError as error:
            raise ValueError(f"{file} lists a file that can't be read: {error}") from error
        if found != listed[1]:
            raise ValueError(
                f"{file.parent / listed[2]} was changed after it was written: its SHA-256 is not "
                f"the one in {file.name}; copy both again"
            )


def _digest(file: Path) -> str:
    return hashlib.sha256(read_regular_file(file, max_bytes=_MAX_LISTED_BYTES)).hexdigest()
