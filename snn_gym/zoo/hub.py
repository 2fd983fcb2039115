"""Agents of the Hugging Face hub: addresses, and downloads that are data and are checked.

Only the names in ``FILES`` are fetched, up to their sizes. Each file must have the digest that the
hub lists, the weights that of the manifest too, and the manifest must fit its schema.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from snn_gym._base.checksums import parse_json
from snn_gym._base.config import Config, Natural
from snn_gym._base.folders import make_writable
from snn_gym._base.names import without_controls
from snn_gym._base.storage import write_bytes_atomic
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
_TIMEOUT_S = 30.0
_MAX_LIST_BYTES = 1 << 24
_MAX_ERROR_BYTES = 1 << 16


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
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise ImportError(
            "agents on the hub need huggingface_hub, which is not installed: "
            'pip install "snn-gym[hub]"'
        ) from error
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
        said = _in_one_line(f"{error.response.status_code} {error.server_message or ''}")
        raise ValueError(
            f"{hub.endpoint} refused {address} ({said}); set HF_TOKEN to a token that may do "
            "this, or try again later"
        ) from error
    # HTTPError is the base of the network's errors; hf_xet raises RuntimeError.
    except (errors.HTTPError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{address}: the connection to {hub.endpoint} failed ({_in_one_line(error)}); check the network, "
            "or name the folder of an agent that was pulled before"
        ) from error


def _in_one_line(said: object) -> str:
    return without_controls(" ".join(str(said).split()))[:300]


def _fetch(hub: Any, address: Address, url: str, max_bytes: int) -> bytes:
    """Return a response's body; ValueError for an error, or for more than ``max_bytes``."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    data, headers = bytearray(), {**build_hf_headers(), "Accept-Encoding": "identity"}
    with (
        asking(hub, address),
        get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT_S) as response,
    ):
        most = max_bytes if response.is_success else _MAX_ERROR_BYTES
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > most:
                break
        if not response.is_success:  # with as much of its text as was read
            said = {"headers": response.headers, "request": response.request}
            hf_raise_for_status(type(response)(response.status_code, content=bytes(data), **said))
    if len(data) > max_bytes:
        raise ValueError(
            f"{address}: {hub.endpoint} sends more than the {max_bytes:,} bytes expected of {url}; "
            "check HF_ENDPOINT"
        )
    return bytes(data)


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


def pull(name: str, out: str | os.PathLike[str] | None = None) -> Path:
    """Download an agent from the Hugging Face hub into a folder.

    Nothing of it is executed: only weights, manifest, settings and the log of episodes are fetched,
    of limited size, and their digests are checked.

    Args:
        name: ``USER/NAME``, or ``USER/NAME@REVISION`` for a branch, a tag or a commit; ``hf:`` may
            stand before it.
        out: Folder to create; ``runs/NAME`` if None.

    Returns:
        The folder, as ``load_agent`` and the commands take it.

    Raises:
        ValueError: The hub has no such agent or can't be reached, a file is too large, damaged or
            of another format, or the folder is not empty.
        ImportError: The extra ``hub`` is not installed.
    """
    address = parse_address(name)
    folder = Path("runs", address.name.split("/")[1]) if out is None else Path(out)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder")
    _download(address, folder, *_list_files(address))
    return folder


@dataclass(frozen=True)
class _Listed(Config):
    """A file as the hub lists it."""

    size: Natural
    digest: str
    is_large: bool
    """Whether the digest is a SHA-256, as of large files, or git's of a blob."""


def _list_files(address: Address) -> tuple[Any, str, dict[str, _Listed]]:
    """Return the hub, an address's commit, and its shared files by name as the hub describes them.

    Raises ValueError for no agent.
    """
    hub = open_hub()
    revision = f"/revision/{quote(address.revision, safe='')}" if address.revision else ""
    url = f"{hub.endpoint}/api/models/{address.name}{revision}?blobs=true"
    try:
        info = parse_json(_fetch(hub, address, url, _MAX_LIST_BYTES), f"{hub.endpoint}'s answer")
        found = {x["rfilename"]: x for x in info["siblings"] if x["rfilename"] in FILES}
        listed = {
            name: _Listed(x["size"], lfs["sha256"] if lfs else x["blobId"], lfs is not None)
            for name, x in found.items()
            for lfs in [x.get("lfs")]
        }
        commit = info["sha"]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{hub.endpoint} describes {address} otherwise than the hub does "
            f"({type(error).__name__}: {_in_one_line(error)}); check HF_ENDPOINT"
        ) from error
    for name in (MANIFEST, WEIGHTS):
        if name not in listed:
            raise ValueError(
                f"{address} holds no saved agent: there is no {name} in it; expected a repository "
                "that `snn-gym push` wrote"
            )
    if _COMMIT.fullmatch(str(commit)) is None:
        raise ValueError(f"{hub.endpoint} names no commit of {address}; check HF_ENDPOINT")
    return hub, commit, {name: listed[name] for name in FILES if name in listed}


def _download(
    address: Address, folder: Path, hub: Any, commit: str, listed: dict[str, _Listed]
) -> None:
    """Download the files of a commit, check them, and write them into a folder."""
    from huggingface_hub import hf_hub_url

    contents = {}
    for name, file in listed.items():
        if file.size > FILES[name]:
            raise ValueError(
                f"{address}: {name} has {file.size} bytes; expected at most {FILES[name]}"
            )
        url = hf_hub_url(address.name, name, revision=commit, endpoint=hub.endpoint)
        contents[name] = _fetch(hub, address, url, file.size)
        if _digest(contents[name], file) != file.digest:
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


def _digest(data: bytes, file: _Listed) -> str:
    """Return a file's digest as the hub lists it: SHA-256 of large files, else git's of a blob."""
    if file.is_large:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
