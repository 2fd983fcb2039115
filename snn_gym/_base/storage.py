"""Files of data, never code: atomic writes, safetensors from untrusted sources, digests.

A file is read in one pass from a descriptor that was checked after opening, so that the checked
bytes are the ones that are used. Nothing here unpickles: a pickle or a zip is recognised only to
name it in an error. The format is described at https://huggingface.co/docs/safetensors (8-byte
little-endian header length, JSON header, raw tensor data).

A sealed file holds ``"sha256": "DIGEST"``, the digest of the file with 64 zeros in that place. A
seal shows damage and mistakes, not forgery: anyone who can write a file can seal it.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import safetensors
from numpy.typing import NDArray

from snn_gym._base.config import ConfigT, from_mapping
from snn_gym._base.folders import PARTIAL_SUFFIX

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

    DataclassT = TypeVar("DataclassT", bound=DataclassInstance)


# ---- arrays --------------------------------------------------------------------------------------
ValueT = TypeVar("ValueT")


def to_arrays(values: DataclassInstance) -> dict[str, NDArray[Any]]:
    """Return copies of a dataclass's fields by name; numbers become arrays of shape ()."""
    names = [field.name for field in dataclasses.fields(values)]
    return {name: np.array(getattr(values, name)) for name in names}


def from_arrays(like: DataclassT, arrays: Mapping[str, NDArray[Any]], owner: str) -> DataclassT:
    """Return a copy of ``like`` with ``arrays`` as its fields; other names raise ValueError."""
    expected = [field.name for field in dataclasses.fields(like)]
    if arrays.keys() != set(expected):
        raise ValueError(f"{owner} carries {sorted(expected)}, got {sorted(arrays)}")
    values = {}
    for name, array in arrays.items():
        known = getattr(like, name)
        is_array = isinstance(known, np.ndarray)
        values[name] = np.array(array) if is_array else type(known)(array.item())
    return type(like)(**values)


def prefixed(prefix: str, values: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return a copy of a mapping with ``prefix.`` before each name."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def with_prefix(prefix: str, values: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return the values whose names begin with ``prefix.``, without this prefix."""
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in values.items() if name.startswith(start)}


# ---- storage -------------------------------------------------------------------------------------
Reason = Literal[
    "missing",
    "link",
    "not-a-file",
    "unreadable",
    "file-too-large",
    "pickle",
    "zip",
    "not-safetensors",
    "truncated",
    "dtype",
    "shape",
]

MAX_NESTING = 100
MAX_HEADER_BYTES = 1 << 20  # Thousands of tensors fit, and a parser is not kept busy.

MAX_DIMENSIONS = 16
MAX_EMPTY_ELEMENTS = 1 << 40

_LENGTH_BYTES = 8
_CHUNK_BYTES = 1 << 20

# PyTorch's names of the accepted element types, by their names in the file.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


class StorageError(ValueError):
    """A file that can't be used, with the ``reason`` as a word."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@contextmanager
def opened_folder(
    root: str | os.PathLike[str], names: Iterable[str], *, make: bool = False
) -> Iterator[int]:
    """Yield a descriptor of ``root/NAME/...``; StorageError for links or, unless made, gaps."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    try:
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=descriptor)
            inner = _open_inner(name, flags | os.O_NOFOLLOW, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _open_inner(name: str, flags: int, descriptor: int) -> int:
    try:
        return os.open(name, flags, dir_fd=descriptor)
    except FileNotFoundError as error:
        raise StorageError("missing", f"the folder {name} is missing; restore it") from error
    except OSError as error:
        is_link = stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode)
        reason: Reason = "link" if is_link else "unreadable"
        problem = "is a symbolic link" if is_link else f"cannot be opened ({error.strerror})"
        raise StorageError(
            reason, f"{name} {problem}; expected a folder; put the folder itself there"
        ) from error


@contextmanager
def staged(
    path: str | os.PathLike[str], data: bytes, *, dir_fd: int | None = None
) -> Iterator[Callable[[], None]]:
    """Write a file under a hidden name, and yield the function that renames it to ``path``.

    A full disk shows before the renaming. Without that call the hidden file is removed at the end.
    A process killed in between leaves `path` unchanged and a `.partial` file.
    """
    path = Path(path)
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(hidden, flags, 0o666, dir_fd=dir_fd)
    published = False

    def publish() -> None:
        nonlocal published
        os.replace(hidden, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        published = True
        _sync_folder(path.parent, dir_fd)

    try:
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except OSError as error:  # which names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield publish
    finally:
        if not published:
            os.unlink(hidden, dir_fd=dir_fd)


def _sync_folder(folder: Path, dir_fd: int | None) -> None:
    # The rename itself survives a power cut only once the folder is on disk.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that every reader sees the old content or all of the new."""
    with staged(path, data) as publish:
        publish()


def write_text_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file by `write_bytes_atomic`, with line ends unchanged."""
    write_bytes_atomic(path, text.encode("utf-8"))


def read_regular_file(
    path: str | os.PathLike[str], *, max_bytes: int, dir_fd: int | None = None
) -> bytes:
    """Read a whole regular file; StorageError for others, links (hard, too), and too many bytes."""
    path = Path(path)
    descriptor = _open_without_following(path, dir_fd)
    try:
        status = os.fstat(descriptor)
        _check_status(path.name, status, max_bytes)
        data = bytearray()
        # One byte more than allowed shows a file that has grown since the check.
        while chunk := os.read(descriptor, min(_CHUNK_BYTES, max_bytes + 1 - len(data))):
            data += chunk
    finally:
        os.close(descriptor)
    _check_size(path.name, len(data), max_bytes)
    return bytes(data)


def _check_size(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise StorageError(
            "file-too-large",
            f"{name} has {size} bytes; expected at most {max_bytes}; leave out unneeded parts",
        )


def _check_status(name: str, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise StorageError(
            "not-a-file", f"{name} is {kind}; expected a regular file; put the file itself there"
        )
    # A hard link is a second name for a file elsewhere, which may change after the check.
    if status.st_nlink > 1:
        raise StorageError(
            "link",
            f"{name} is one of {status.st_nlink} hard links to the same file; expected a file "
            "of its own; copy it",
        )
    _check_size(name, status.st_size, max_bytes)


def _open_without_following(path: Path, dir_fd: int | None) -> int:
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(path, flags, dir_fd=dir_fd)
    except OSError as error:
        reasons: dict[int | None, tuple[Reason, str]] = {
            errno.ENOENT: ("missing", "is missing"),
            errno.ELOOP: ("link", "is a symbolic link"),
            errno.ENXIO: ("not-a-file", "is a socket or a device"),
        }
        reason, problem = reasons.get(error.errno, ("unreadable", "cannot be opened"))
        raise StorageError(
            reason,
            f"{path.name} {problem} ({error.strerror}); expected a readable regular file; "
            "put the file itself there",
        ) from error


def dump_tensors(
    tensors: Mapping[str, torch.Tensor | np.ndarray], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Serialise copies of named tensors as safetensors.

    Equal tensors give equal bytes with at most one entry of metadata; several vary in order.
    """
    header = dict(metadata) if metadata else None
    if all(isinstance(value, np.ndarray) for value in tensors.values()):
        from safetensors.numpy import save as save_arrays

        arrays = {name: np.array(value, order="C") for name, value in tensors.items()}
        return save_arrays(arrays, metadata=header)
    import torch
    from safetensors.torch import save

    # .clone() because safetensors refuses tensors that share memory.
    copies = {
        name: torch.as_tensor(value).detach().to("cpu").contiguous().clone()
        for name, value in tensors.items()
    }
    return save(copies, metadata=header)


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, torch.Tensor | np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named tensors to a safetensors file, atomically."""
    write_bytes_atomic(path, dump_tensors(tensors, metadata))


def load_tensors(
    path: str | os.PathLike[str], *, max_bytes: int
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read an untrusted safetensors file: tensors on the CPU and the header's text, by name."""
    return parse_tensors(read_regular_file(path, max_bytes=max_bytes), where=Path(path).name)


def parse_tensors(data: bytes, *, where: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Parse an untrusted safetensors file: tensors and the header's text; else StorageError."""
    import torch

    views, metadata = _read_views(data, where)
    tensors: dict[str, torch.Tensor] = {}
    for name, view in views.items():
        dtype: torch.dtype = getattr(torch, _DTYPES[view["dtype"]])
        if len(view["data"]) == 0:  # frombuffer refuses an empty buffer
            tensors[name] = torch.empty(view["shape"], dtype=dtype)
        else:
            tensors[name] = torch.frombuffer(view["data"], dtype=dtype).reshape(view["shape"])
    return tensors, metadata


def _read_views(data: bytes, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return checked views of the bytes of each tensor, and the header's text."""
    header = _read_header(data, where)
    try:
        views = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise _explain(error, len(data), where) from error
    for name, view in views.items():
        _check_view(name, view["dtype"], view["shape"], where)
    return views, dict(header.get("__metadata__") or {})


def _read_header(data: bytes, where: str) -> dict[str, dict[str, str]]:
    """Return the JSON header; check size and unique keys before safetensors reads it."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if data[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise _name_other_format(data, where)
    if length > MAX_HEADER_BYTES:
        raise StorageError(
            "not-safetensors",
            f"{where} announces a header of {length} bytes; at most {MAX_HEADER_BYTES} are "
            "accepted; write the file with safetensors",
        )
    if length > len(data) - _LENGTH_BYTES:
        raise StorageError(
            "truncated",
            f"{where} ends inside its header ({len(data)} bytes, header {length}); expected the "
            "whole file; copy it again",
        )
    try:
        header = json.loads(
            data[_LENGTH_BYTES : _LENGTH_BYTES + length], object_pairs_hook=unique_keys
        )
    except (ValueError, RecursionError) as error:
        raise StorageError(
            "not-safetensors",
            f"{where} has a header that is not JSON with unique keys; write it with safetensors",
        ) from error
    return dict(header)  # an object: the text begins with a brace


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dict; ValueError for a key that is there twice."""
    # Of two equal keys parsers may take either, and not the one that was checked.
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} appears twice")
    return content


def _name_other_format(data: bytes, where: str) -> StorageError:
    fix = "expected the safetensors format; write the file with snn_gym.save_agent or safetensors"
    if data[:2] == b"PK":
        return StorageError("zip", f"{where} is a zip archive (as torch.save writes); {fix}")
    # Pickle protocols 2 to 5 begin with the opcode PROTO (0x80) and the protocol's number.
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return StorageError("pickle", f"{where} is a pickle, which is never loaded; {fix}")
    if len(data) <= _LENGTH_BYTES:
        return StorageError("truncated", f"{where} has only {len(data)} bytes; {fix}")
    return StorageError("not-safetensors", f"{where} does not begin like a safetensors file; {fix}")


def _explain(error: safetensors.SafetensorError, size: int, where: str) -> StorageError:
    # The library's message quotes the header with its line ends.
    detail = " ".join(str(error).removeprefix("Error while deserializing: ").split())[:200]
    if "IncompleteBuffer" in detail or "incomplete" in detail.lower():
        return StorageError(
            "truncated",
            f"{where} has {size} bytes, other than its header announces; expected the "
            "whole file and nothing after it; copy it again",
        )
    return StorageError(
        "not-safetensors",
        f"{where} is not a valid safetensors file ({detail}); write it with safetensors",
    )


def _check_view(name: str, dtype: str, shape: list[int], where: str) -> None:
    """Refuse unknown element types, and too many dimensions or elements, before PyTorch."""
    if dtype not in _DTYPES:
        raise StorageError(
            "dtype",
            f"{where}: tensor {name[:80]!r} has element type {dtype}; "
            f"expected one of {', '.join(_DTYPES)}",
        )
    elements = math.prod(max(1, size) for size in shape)
    if len(shape) > MAX_DIMENSIONS or elements > MAX_EMPTY_ELEMENTS:
        raise StorageError(
            "shape",
            f"{where}: tensor {name[:80]!r} has {len(shape)} dimensions and {elements} elements; "
            f"expected at most {MAX_DIMENSIONS} dimensions",
        )


# ---- digests -------------------------------------------------------------------------------------

SEAL = "sha256"
"""Key of the digest in a sealed file."""
UNSEALED = "0" * 64
"""Placeholder of the digest before a file is sealed."""

_SEAL = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')


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
    return from_mapping(kind, read_sealed_content(file, content, advice, max_bytes), str(file))


def read_sealed_content(file: Path, content: str, advice: str, max_bytes: int) -> Any:
    """Read a JSON file, sealed or not; ``content`` and ``advice`` explain a missing file."""
    if not file.exists():
        raise ValueError(
            f"{file.parent} holds no {content}: there is no {file.name} in it; name the folder of "
            f"{advice}"
        )
    return parse_sealed(read_regular_file(file, max_bytes=max_bytes), str(file))


def parse_json(data: bytes | str, where: str) -> Any:
    """Parse JSON; if it is invalid or too deep, raise ValueError, which begins with ``where``."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from error
    depth, level = 0, [content]
    while level := [x for item in level for x in _inside(item)]:
        depth += 1
        if depth > MAX_NESTING:  # deeper ones would end Python's stack where they are written
            raise ValueError(f"{where}: nested deeper than {MAX_NESTING} levels; write it anew")
    return content


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
