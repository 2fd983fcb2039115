"""Agents of the Hugging Face hub: addresses, and downloads that are data and are checked.

Only the names in ``FILES`` are fetched, up to their sizes. Each file must have the digest that the
hub lists, the weights that of the manifest too, and the manifest must fit its schema.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_gym._base.folders import make_writable
from snn_gym._base.lazy import import_extra
from snn_gym._base.names import printable
from snn_gym._base.storage import parse_json, write_bytes_atomic
from snn_gym.zoo.files import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_WEIGHTS_BYTES,
    WEIGHTS,
    read_manifest,
    read_weights,
)

PREFIX = "hf:"
FILES = {
    "run.json": 1 << 20,
    "episodes.csv": 1 << 26,
    WEIGHTS: MAX_WEIGHTS_BYTES,
    MANIFEST: MAX_MANIFEST_BYTES,
}
"""Files of a run that are shared, and the largest size of each (bytes); the manifest comes last."""

_ADDRESS = re.compile(
    r"(?:hf:)?(?P<name>[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*)(?:@(?P<revision>\w[\w./-]*))?",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATIENCE_S = 60.0
_LEAST_SPEED = 10_000.0  # bytes a second, after that time


@dataclass(frozen=True)
class Address:
    """Place of an agent on the hub: USER/NAME, and a branch, tag or commit, or the newest one."""

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse_address(text: str) -> Address:
    """Return the address in a text such as ``hf:USER/NAME@REVISION``; ValueError for others."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no agent on the hub; expected USER/NAME or USER/NAME@REVISION, such as "
            "hf:ada/pole"
        )
    return Address(**match.groupdict())


def open_hub() -> Any:
    """Return the API of the hub at HF_ENDPOINT; ImportError without huggingface_hub."""
    huggingface_hub: Any = import_extra(
        "huggingface_hub", "agents on the hub need huggingface_hub", "hub"
    )
    # The library reads HF_ENDPOINT only when it is imported.
    return huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="snn_gym")


@contextmanager
def asking(hub: Any, address: Address) -> Iterator[None]:
    """Turn errors of the hub and of the network into a ValueError of one line."""
    import huggingface_hub.errors

    errors: Any = huggingface_hub.errors
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise ValueError(
            f"{PREFIX}{address.name} has no revision {address.revision!r}; name a branch, a tag or "
            "a whole commit, or leave out @REVISION"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ValueError(
            f"{hub.endpoint} has no {address.name}, or it is private; check the name, or set "
            "HF_TOKEN to a token that may read it"
        ) from error
    except errors.HfHubHTTPError as error:
        said = printable(f"{error.response.status_code} {error.server_message or ''}", 300)
        raise ValueError(
            f"{hub.endpoint} refused {address} ({said}); set HF_TOKEN to a token that may do "
            "this, or try again later"
        ) from error
    # HTTPError is the base of the network's errors; hf_xet raises RuntimeError.
    except (errors.HTTPError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{address}: the connection to {hub.endpoint} failed ({printable(str(error), 300)}); "
            "check the network; the folder of an agent that was pulled before needs none"
        ) from error


def _fetch(hub: Any, address: Address, url: str, max_bytes: int) -> bytes:
    """Return a response's body; ValueError for an error, a stall, or more than ``max_bytes``."""
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    data, headers = bytearray(), {**utils.build_hf_headers(), "Accept-Encoding": "identity"}
    began = time.monotonic()
    with (
        asking(hub, address),
        _hanging_up(utils) as timer,
        utils.get_session().stream("GET", url, headers=headers, timeout=30.0) as response,
    ):
        timer.cancel()
        if not response.is_success:  # without its body, which may have no end
            utils.hf_raise_for_status(
                type(response)(
                    response.status_code, headers=response.headers, request=response.request
                )
            )
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > max_bytes:
                raise RuntimeError(f"{url} has more than the {max_bytes:,} bytes expected")
            if len(data) < (time.monotonic() - began - _PATIENCE_S) * _LEAST_SPEED:
                raise RuntimeError(f"{url} sends less than {_LEAST_SPEED:,.0f} bytes a second")
    return bytes(data)


@contextmanager
def _hanging_up(utils: Any) -> Iterator[threading.Timer]:
    """Close the connections of the hub's library when the yielded timer ends before the block."""
    # Time limits of sockets are for each byte, so the head of an answer may drip without end.
    timer = threading.Timer(_PATIENCE_S, utils.close_session)
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


def run_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder of a run; of an address ``hf:USER/NAME`` the copy in the user's cache.

    A whole commit that was downloaded before needs no network.
    """
    text = os.fspath(path)
    if not text.startswith(PREFIX):
        return Path(path)
    address = parse_address(text)
    place = cache_folder() / address.name
    commit = address.revision or ""
    if _COMMIT.fullmatch(commit) is None or not (place / commit / MANIFEST).exists():
        hub, commit, listed = _list_files(address)
        if not (place / commit / MANIFEST).exists():
            _download(address, place / commit, hub, commit, listed)
    return place / commit


def cache_folder() -> Path:
    """Return the folder of the copies that addresses were downloaded to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snn_gym" / "hub"


def _list_files(address: Address) -> tuple[Any, str, dict[str, tuple[int, str, bool]]]:
    """Return the hub, an address's commit, and size and digest of its shared files by name.

    The last value tells whether the digest is a SHA-256, as of large files, or git's of a blob.

    Raises ValueError for no agent.
    """
    hub = open_hub()
    revision = f"/revision/{address.revision.replace('/', '%2F')}" if address.revision else ""
    url = f"{hub.endpoint}/api/models/{address.name}{revision}?blobs=true"
    info = parse_json(_fetch(hub, address, url, 1 << 24), hub.endpoint)
    try:
        commit, found = info["sha"], [x for x in info["siblings"] if x["rfilename"] in FILES]
        listed = {
            x["rfilename"]: (int(x["size"]), lfs["sha256"] if lfs else x["blobId"], bool(lfs))
            for x, lfs in ((x, x.get("lfs")) for x in found)
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{hub.endpoint} describes {address} otherwise than the hub does ({error}); check "
            "HF_ENDPOINT"
        ) from error
    for name in (MANIFEST, WEIGHTS):
        if name not in listed:
            raise ValueError(
                f"{address} holds no saved agent: there is no {name} in it; expected a repository "
                "that snn_gym.push wrote"
            )
    if _COMMIT.fullmatch(str(commit)) is None:
        raise ValueError(f"{hub.endpoint} names no commit of {address}; check HF_ENDPOINT")
    return hub, commit, {name: listed[name] for name in FILES if name in listed}


def _download(
    address: Address, folder: Path, hub: Any, commit: str, listed: dict[str, tuple[int, str, bool]]
) -> None:
    """Download the files of a commit, check them, and write them into a folder."""
    from huggingface_hub import hf_hub_url

    contents = {}
    for name, (size, digest, is_large) in listed.items():
        if size > FILES[name]:
            raise ValueError(f"{address}: {name} has {size} bytes; expected at most {FILES[name]}")
        url = hf_hub_url(address.name, name, revision=commit, endpoint=hub.endpoint)
        contents[name] = _fetch(hub, address, url, size)
        if _digest(contents[name], is_large) != digest:
            raise ValueError(
                f"{address}: {name} is not the file that the hub lists: their digests differ; "
                "download it again"
            )
    with tempfile.TemporaryDirectory() as work:
        for name, data in contents.items():
            write_bytes_atomic(Path(work, name), data)
        try:
            read_weights(Path(work), read_manifest(work))
        except ValueError as error:
            raise ValueError(str(error).replace(work, str(address))) from error
    make_writable(folder)
    for name, data in contents.items():
        write_bytes_atomic(folder / name, data)


def _digest(data: bytes, is_large: bool) -> str:
    """Return a file's digest as the hub lists it: SHA-256 of large files, else git's of a blob."""
    if is_large:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
