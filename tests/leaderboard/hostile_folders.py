"""Hostile folders: links, pipes, sizes and files."""

import os
import pickle
import socket
from pathlib import Path

from snn_gym.leaderboard.manifest import MANIFEST_NAME, MAX_WEIGHTS_BYTES, WEIGHTS_NAME
from tests.leaderboard.hostile_manifests import Case
from tests.leaderboard.hostile_weights import Payload


def folder_cases():
    yield Case(
        "oversized file",
        "weights one byte too large",
        "file-too-large",
        lambda t, folder: _sparse(t, folder, WEIGHTS_NAME, MAX_WEIGHTS_BYTES + 1),
    )
    yield Case(
        "oversized file",
        "weights of 1 TiB",
        "file-too-large",
        lambda t, folder: _sparse(t, folder, WEIGHTS_NAME, 1 << 40),
    )
    yield Case(
        "oversized file",
        "manifest of 1 TiB",
        "file-too-large",
        lambda t, folder: _sparse(t, folder, MANIFEST_NAME, 1 << 40),
    )
    for name in (MANIFEST_NAME, WEIGHTS_NAME):
        for target, what in (
            ("../kept", "to a copy"),
            ("nowhere", "dangling"),
            ("/etc/passwd", "to /etc/passwd"),
            ("/dev/zero", "to /dev/zero"),
            (name, "to itself"),
        ):
            yield Case(
                "link",
                f"{name} {what}",
                "link",
                lambda t, folder, n=name, to=target: _link(t, folder, n, to),
            )
        yield Case(
            "link", f"{name} hard", "link", lambda t, folder, n=name: _hard_link(t, folder, n)
        )
        for what, make in (("pipe", os.mkfifo), ("socket", _bind), ("folder", os.mkdir)):
            code = "not-a-file"
            yield Case(
                "pipe, socket or folder",
                f"{name} {what}",
                code,
                lambda t, folder, n=name, m=make: _replace(t, folder, n, m),
            )
        yield Case(
            "missing file",
            name,
            "missing-file",
            lambda t, folder, n=name: _replace(t, folder, n, lambda _: None),
        )
    yield Case("link", "the folder", "link", _folder_link)
    for name in ("policy.pth", "__init__.py", ".hidden", "Manifest.json", "weights.pkl", "sub/x"):
        yield Case("extra file", name, "extra-file", lambda t, folder, n=name: _extra(t, folder, n))
    yield Case("missing file", "no folder", "not-a-folder", lambda _, folder: None)
    yield Case(
        "missing file",
        "a file for a folder",
        "not-a-folder",
        lambda _, folder: folder.write_text("x"),
    )
    yield Case("missing file", "empty folder", "missing-file", lambda _, folder: folder.mkdir())


def _sparse(template, folder, name, size):
    template.with_manifest(seed=1).write(folder)
    os.truncate(folder / name, size)


def _replace(template, folder, name, make):
    template.with_manifest(seed=1).write(folder)
    (folder / name).unlink()
    make(folder / name)


def _link(template, folder, name, target):
    template.with_manifest(seed=1).write(folder)
    (folder.parent / "kept").write_bytes((folder / name).read_bytes())
    _relink(folder / name, target)


def _relink(path, target):
    path.unlink()
    path.symlink_to(target)


def _hard_link(template, folder, name):
    template.with_manifest(seed=1).write(folder)
    os.link(folder / name, folder.parent / "hard")


def _folder_link(template, folder):
    template.with_manifest(seed=1).write(folder.parent / "real")
    folder.symlink_to("real")


def _bind(path):
    # A socket's path may hold 107 bytes only, hence the detour over the current folder.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def _extra(template, folder, name):
    template.with_manifest(seed=1).write(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(Payload()))
