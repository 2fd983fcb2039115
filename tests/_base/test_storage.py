"""Tests of atomic writes, regular files and safetensors from untrusted sources."""

from __future__ import annotations

import json
import os
import pickle
import socket
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from snn_gym._base import storage
from snn_gym._base.storage import StorageError, parse_json

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip
CAP = 1 << 20


def raw_safetensors(header: object, data: bytes = b"") -> bytes:
    """Build a safetensors file from a header, without the checks of the library."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 4), max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_tensors_of_every_dtype_and_shape_round_trip(
    dtype: torch.dtype, shape: list[int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.randint(0, 100, shape, generator=generator).to(dtype)
    data = storage.dump_tensors({"x": tensor}, {"key": "value"})
    tensors, metadata = storage.parse_tensors(data, where="x")
    assert metadata == {"key": "value"}
    assert tensors["x"].dtype == dtype
    assert torch.equal(tensors["x"], tensor)


def test_views_and_shared_memory_are_stored_apart(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "t.safetensors"
    storage.save_tensors(path, {"a": base.T, "b": base[1:], "c": np.ones(2, np.float32)})
    tensors, metadata = storage.load_tensors(path, max_bytes=CAP)
    assert metadata == {}
    assert torch.equal(tensors["a"], base.T)
    assert torch.equal(tensors["b"], base[1:])
    assert torch.equal(tensors["c"], torch.ones(2))


def test_equal_content_gives_equal_bytes() -> None:
    tensors = {"b": torch.ones(2), "a": torch.zeros(3)}
    assert storage.dump_tensors(tensors) == storage.dump_tensors(dict(reversed(tensors.items())))


def test_failed_writes_keep_the_old_file_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    storage.write_text_atomic(path, "old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        storage.write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_writes_replace_links_and_keep_their_targets(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("untouched")
    link.symlink_to(target)
    storage.write_bytes_atomic(link, b"new")
    assert target.read_text() == "untouched"
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"


def test_written_files_are_readable_as_the_umask_allows(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        storage.write_text_atomic(tmp_path / "f", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(b"data")
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    reasons = dict.fromkeys(("link", "dangling"), "link") | {"absent": "missing"}
    for name in ("link", "dangling", "absent", "folder", "pipe", "socket", "/dev/zero"):
        with pytest.raises(StorageError, match=Path(name).name) as caught:
            storage.read_regular_file(tmp_path / name, max_bytes=CAP)
        assert caught.value.reason == reasons.get(name, "not-a-file"), name
    server.close()
    assert storage.read_regular_file(real, max_bytes=CAP) == b"data"
    os.link(real, tmp_path / "hard")
    with pytest.raises(StorageError, match="hard links"):
        storage.read_regular_file(real, max_bytes=CAP)


def test_the_size_cap_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    assert len(storage.read_regular_file(path, max_bytes=100)) == 100
    with pytest.raises(StorageError, match="100 bytes; expected at most 99") as caught:
        storage.read_regular_file(path, max_bytes=99)
    assert caught.value.reason == "file-too-large"


def test_a_relative_path_starts_from_the_open_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"here")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert storage.read_regular_file("f", max_bytes=10, dir_fd=descriptor) == b"here"
    finally:
        os.close(descriptor)


def _entry(dtype: str, shape: list[int], end: int) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


_GOOD = storage.dump_tensors({"a": torch.ones(4)})


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "truncated"),
    (_GOOD[:7], "truncated"),
    (_GOOD[:30], "truncated"),
    (_GOOD[:-1], "truncated"),
    (_GOOD + b"\0", "truncated"),
    (pickle.dumps([1]), "pickle"),
    (pickle.dumps([1], protocol=2), "pickle"),
    (pickle.dumps([1], protocol=0), "not-safetensors"),
    (b"PK\x03\x04" + bytes(60), "zip"),
    (b"\x89HDF\r\n\x1a\n" + bytes(60), "not-safetensors"),
    ((1 << 40).to_bytes(8, "little") + b"{}", "not-safetensors"),
    (raw_safetensors(b'{"a":' + b"[" * 100_000), "not-safetensors"),
    (raw_safetensors(b'{"a":1,"a":2}'), "not-safetensors"),
    (raw_safetensors({"a": 1}), "not-safetensors"),
    (raw_safetensors({"__metadata__": 1}), "not-safetensors"),
    (raw_safetensors(_entry("F32", [1], 8), bytes(8)), "not-safetensors"),
    (raw_safetensors(_entry("F32", [-1], 4), bytes(4)), "not-safetensors"),
    (raw_safetensors(_entry("OBJECT", [1], 4), bytes(4)), "not-safetensors"),
    (raw_safetensors(_entry("F4", [2], 1), bytes(1)), "dtype"),
    (raw_safetensors(_entry("F32", [1] * 40, 4), bytes(4)), "shape"),
    (raw_safetensors(_entry("F32", [0, 1 << 62], 0)), "shape"),
])  # fmt: skip
def test_malformed_bytes_are_refused_by_cause(data: bytes, reason: str) -> None:
    with pytest.raises(StorageError, match="weights") as caught:
        storage.parse_tensors(data, where="weights")
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_a_pickle_posing_as_weights_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(marker),))

    torch.save(Payload(), tmp_path / "w.safetensors")
    assert zipfile.is_zipfile(tmp_path / "w.safetensors")
    with pytest.raises(StorageError, match="zip"):
        storage.load_tensors(tmp_path / "w.safetensors", max_bytes=CAP)
    assert not marker.exists()


@given(st.binary(max_size=300))
@example(b"}")
@example(b" }")
def test_arbitrary_bytes_are_refused_as_storage_errors(data: bytes) -> None:
    empty = data.translate(None, b" \t\n\r") == b"}"  # with its brace, a file of no tensors
    for content, valid in ((data, False), (raw_safetensors(b"{" + data), empty)):
        if valid:
            assert storage.parse_tensors(content, where="weights") == ({}, {})
            continue
        with pytest.raises(StorageError):
            storage.parse_tensors(content, where="weights")


def test_quoted_headers_are_one_line() -> None:
    header = {"x": {"dtype": "a\nb", "shape": [0], "data_offsets": [0, 0]}}
    with pytest.raises(StorageError, match="a b") as caught:
        storage.parse_tensors(raw_safetensors(header), where="w")
    assert "\n" not in str(caught.value)


@dataclass
class Carried:
    count: int
    mean: float
    seen: bool
    baseline: np.float32
    weights: np.ndarray


def test_arrays_restore_a_dataclass_with_its_types() -> None:
    first = Carried(3, 0.5, True, np.float32(0.1), np.arange(4, dtype=np.int8))
    arrays = storage.to_arrays(first)
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        "count": ((), np.int64),
        "mean": ((), np.float64),
        "seen": ((), np.bool_),
        "baseline": ((), np.float32),
        "weights": ((4,), np.int8),
    }
    back = storage.from_arrays(Carried(0, 0.0, False, np.float32(0), np.zeros(4)), arrays, "it")
    for name, value in vars(back).items():
        assert type(value) is type(getattr(first, name))
        assert np.array_equal(value, getattr(first, name))
    assert back.weights.dtype == np.int8
    arrays["weights"][:] = 7
    assert 7 not in (*first.weights, *back.weights)  # copies


def test_arrays_of_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^it carries \['baseline', .*'weights'\], got \['x'\]$"):
        storage.from_arrays(
            Carried(0, 0.0, False, np.float32(0), np.zeros(1)), {"x": np.zeros(1)}, "it"
        )


def test_prefixes_separate_values() -> None:
    named = {
        **storage.prefixed("a", {"x": 1, "b.y": 2}),
        **storage.prefixed("ab", {"x": 3}),
        "a": 4,
    }
    assert named == {"a.x": 1, "a.b.y": 2, "ab.x": 3, "a": 4}
    assert storage.with_prefix("a", named) == {"x": 1, "b.y": 2}
    assert storage.with_prefix("a.b", named) == {"y": 2}


def test_json_that_python_could_not_write_again_is_refused() -> None:
    assert parse_json("[" * 100 + "]" * 100, "x.json") is not None
    with pytest.raises(ValueError, match=r"^x\.json: nested deeper than 100 levels"):
        parse_json("[" * 600 + '{"a": []}' + "]" * 600, "x.json")
