"""Hostile weights: tensors, files and pickles."""

import io
import json
import os
import pickle
import zipfile

import torch

from snn_gym._base.storage import dump_tensors
from tests.leaderboard.helpers import raw_safetensors
from tests.leaderboard.hostile_manifests import Case

MARKER_VARIABLE = "SNN_GYM_TEST_MARKER"
"""Environment variable that names the file which an executed payload would make."""

TENSORS = 9
"""Tensors of the template; a test says that it has so many."""


class Payload:
    """Object that makes the marker file when unpickled."""

    def __reduce__(self):
        return (_write_marker, ("executed", "w"))


def _write_marker(text, mode):
    with open(os.environ[MARKER_VARIABLE], mode) as file:
        file.write(text)


def _tensors(kind, name, code, change):
    # Seed 1: the place is free, and the check meant for the weights is reached.
    return Case(
        kind,
        name,
        code,
        lambda t, folder: t.with_tensors(change).with_manifest(seed=1).write(folder),
    )


def _each(kind, name, code, change):
    """Make one case for every tensor, in which only that tensor is replaced."""

    def replace(tensors, index):
        key = sorted(tensors)[index]
        tensors[key] = change(tensors[key])

    for index in range(TENSORS):
        yield _tensors(kind, f"{name}, tensor {index}", code, lambda t, k=index: replace(t, k))


def _fill(tensor, value, at):
    filled = tensor.clone()
    filled.view(-1)[at] = value
    return filled


def _forms():
    yield from _each(
        "wrong shape", "one row more", "weights-shape", lambda t: torch.cat([t, t[:1]])
    )
    yield from _each("wrong shape", "one dimension more", "weights-shape", lambda t: t[None])
    yield from _each("wrong shape", "empty", "weights-shape", lambda t: t[:0])
    yield from _each("wrong dtype", "half", "weights-dtype", lambda t: t.half())
    yield from _each("wrong dtype", "integer", "weights-dtype", lambda t: t.long())
    for value in (float("nan"), float("inf"), -float("inf")):
        yield from _each(
            "not finite", f"{value} last", "weights-nonfinite", lambda t, v=value: _fill(t, v, -1)
        )


def _counts_and_names():
    def drop(tensors, index):
        del tensors[sorted(tensors)[index]]

    def rename(tensors, index, to):
        key = sorted(tensors)[index]
        tensors[to(key)] = tensors.pop(key)

    for index in range(TENSORS):
        yield _tensors(
            "wrong count", f"without {index}", "weights-count", lambda t, k=index: drop(t, k)
        )
        yield _tensors(
            "wrong name",
            f"prefix {index}",
            "weights-name",
            lambda t, k=index: rename(t, k, lambda key: f"module.{key}"),
        )
    yield _tensors("wrong count", "none at all", "weights-count", lambda t: t.clear())
    yield _tensors("wrong count", "one more", "weights-count", lambda t: t.update(x=torch.ones(1)))
    yield _tensors(
        "wrong count",
        "optimiser too",
        "weights-count",
        lambda t: t.update({f"optimizer.{key}": value.clone() for key, value in t.items()}),
    )
    yield _tensors(
        "wrong count",
        "thousands",
        "weights-count",
        lambda t: t.update({f"x{k}": torch.zeros(1) for k in range(3000)}),
    )
    for name in ("../../weights", "", "\n", "a" * 1000, "__class__", "é"):
        yield _tensors(
            "wrong name",
            repr(name)[:20],
            "weights-name",
            lambda t, n=name: rename(t, 0, lambda _: n),
        )


def _dynamics():
    def change(tensors, index):
        key = next(key for key in tensors if key.endswith("neuron_constants"))
        tensors[key][index] += 0.125

    for index in range(7):
        yield _tensors(
            "other dynamics", f"number {index}", "weights-dynamics", lambda t, k=index: change(t, k)
        )


def _bytes(kind, name, code, make):
    return Case(kind, name, code, lambda t, folder: t.with_weights(make(t), seed=1).write(folder))


def _cut_and_padded():
    kind, code = "truncated file", "weights-truncated"
    for length in (0, 1, 7, 8, 9, 100, 600):
        yield _bytes(kind, f"{length} bytes", code, lambda t, n=length: t.weights[:n])
    for missing in (1, 4, 1000):
        yield _bytes(kind, f"{missing} missing", code, lambda t, n=missing: t.weights[:-n])
    yield _bytes(kind, "one byte more", code, lambda t: t.weights + b"\0")
    yield _bytes(kind, "zip at the end", code, lambda t: t.weights + _zip({"x": b"x"}))


def _formats():
    kind = "pickle or zip"
    for protocol in range(6):
        code = "pickle" if protocol >= 2 else "not-safetensors"
        yield _bytes(
            kind,
            f"pickle {protocol}",
            code,
            lambda _, p=protocol: pickle.dumps(Payload(), protocol=p),
        )
    for zipped, code in ((True, "zip"), (False, "pickle")):
        yield _bytes(kind, f"torch.save, zip {zipped}", code, lambda _, z=zipped: _torch_save(z))
    yield _bytes(
        kind,
        "Stable-Baselines3 zip",
        "zip",
        lambda _: _zip(
            {
                "data": json.dumps({"policy_class": {":serialized:": "gASV"}}).encode(),
                "policy.pth": _torch_save(True),
            }
        ),
    )
    yield _bytes(kind, "empty zip", "zip", lambda _: _zip({}))
    yield _bytes(
        kind,
        "numpy object array",
        "not-safetensors",
        lambda _: b"\x93NUMPY\x01\x00" + pickle.dumps(Payload()),
    )
    yield _bytes(
        kind,
        "header, then pickle",
        "not-safetensors",
        lambda _: raw_safetensors(b"{" + pickle.dumps(Payload())),
    )


def _malformed():
    kind = "malformed safetensors"
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    for name, header, code in (
        ("not JSON", b"{x}", "not-safetensors"),
        ("deep", b'{"a":' * 100_000, "not-safetensors"),
        ("key twice", b'{"a":1,"a":2}', "not-safetensors"),
        ("negative shape", {"a": {**entry, "shape": [-1]}}, "not-safetensors"),
        ("overlap", {"a": entry, "b": entry}, "not-safetensors"),
        ("hole", {"a": {**entry, "data_offsets": [4, 8]}}, "not-safetensors"),
        ("object type", {"a": {**entry, "dtype": "O"}}, "not-safetensors"),
        (
            "8-bit floats",
            {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}},
            "weights-dtype",
        ),
        ("32 dimensions", {"a": {**entry, "shape": [1] * 32}}, "weights-shape"),
        (
            "huge empty",
            {"a": {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]}},
            "weights-shape",
        ),
    ):
        data = b"" if name == "huge empty" else bytes(4)
        yield _bytes(kind, name, code, lambda _, h=header, d=data: raw_safetensors(h, d))
    yield _bytes(
        kind,
        "header of 2**60",
        "not-safetensors",
        lambda t: (1 << 60).to_bytes(8, "little") + t.weights[8:],
    )


def _zip(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _torch_save(zipped):
    buffer = io.BytesIO()
    torch.save(Payload(), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _duplicates():
    kind, code = "same weights twice", "duplicate-weights"
    yield Case(kind, "other seed", code, lambda t, folder: t.with_manifest(seed=1).write(folder))
    yield Case(
        kind,
        "other steps and date",
        code,
        lambda t, folder: t.with_manifest(
            seed=2,
            steps=600,
            recipe={**t.manifest["recipe"], "steps": 600},
            created="2027-01-01T00:00:00Z",
        ).write(folder),
    )
    yield _bytes(
        kind,
        "text in the header",
        code,
        lambda t: dump_tensors(t.tensors(), {"author": "somebody else"}),
    )
    yield _bytes(kind, "padded header", code, lambda t: _rewrite(t, padding=64))
    yield _bytes(kind, "other order of tensors", code, lambda t: _rewrite(t, reverse=True))
    yield _tensors(
        kind,
        "negative zeros",
        code,
        lambda t: t.update(
            {
                key: torch.where(value == 0, -value, value)
                for key, value in t.items()
                if not key.endswith("neuron_constants")
            }
        ),
    )
    yield _tensors(
        kind,
        "other observation statistics",
        code,
        lambda t: t.update({key: value + 0.25 for key, value in t.items() if "normaliser" in key}),
    )


def _rewrite(template, padding=0, reverse=False):
    """Write the same tensors with spaces after the header, or in another order of data."""
    tensors = template.tensors()
    header, data = {}, b""
    for name in sorted(tensors, reverse=reverse):
        values = tensors[name].numpy().tobytes()
        dtype = {torch.float32: "F32", torch.float64: "F64"}[tensors[name].dtype]
        offsets = [len(data), len(data) + len(values)]
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": offsets}
        data += values
    return raw_safetensors(json.dumps(header).encode() + b" " * padding, data)


def weights_cases():
    parts = (
        _forms(),
        _counts_and_names(),
        _dynamics(),
        _cut_and_padded(),
        _formats(),
        _malformed(),
        _duplicates(),
    )
    return [case for part in parts for case in part]
