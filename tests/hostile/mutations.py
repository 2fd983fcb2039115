"""Ways to damage a file at random: its bytes, and the kind of file at its path.

A change of a place gets the path, a folder beside with targets for links, and a generator.
"""

import os
import pickle
import shutil
import socket

from tests.leaderboard.hostile_weights import Payload

HEADER_BYTES = 2000
"""About where headers and most of what a file says of itself are."""


def _place(data, generator):
    # Half of them in the first part, where headers are.
    limit = min(len(data), HEADER_BYTES) if generator.random() < 0.5 else len(data)
    return int(generator.integers(limit)) if limit else 0


def _block(data, generator):
    begin = _place(data, generator)
    return slice(begin, begin + int(generator.integers(1, 65)))


def flip(data, generator):
    place, bit = _place(data, generator), int(generator.integers(8))
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def flip_many(data, generator):
    for _ in range(int(generator.integers(2, 101))):
        data = flip(data, generator)
    return data


def cut(data, generator):
    return data[: _place(data, generator)]


def behead(data, generator):
    return data[1 + _place(data, generator) :]


def extend(data, generator):
    size = int(generator.integers(1, 300))
    more = (b"\0" * size, generator.bytes(size), data, b"\n" * size, b" " * size)
    return data + more[int(generator.integers(len(more)))]


def swap(data, generator):
    size = int(generator.integers(1, max(2, min(65, len(data) // 2))))
    one, other = sorted(int(generator.integers(len(data) - size)) for _ in range(2))
    if other < one + size:
        return data[::-1]
    middle = data[one + size : other]
    end = data[other + size :]
    return data[:one] + data[other : other + size] + middle + data[one : one + size] + end


def leave_out(data, generator):
    block = _block(data, generator)
    return data[: block.start] + data[block.stop :]


def repeat(data, generator):
    block = _block(data, generator)
    return data[: block.stop] + data[block] + data[block.stop :]


def overwrite(data, generator):
    block = _block(data, generator)
    size = len(data[block])
    what = (b"\0" * size, b"\xff" * size, generator.bytes(size))[int(generator.integers(3))]
    return data[: block.start] + what + data[block.stop :]


def other_format(data, generator):
    kinds = (
        b"", b"null", b"[]", b"{}", b"\xef\xbb\xbf" + data, data.decode("latin-1").encode("utf-16"),
        pickle.dumps(Payload()), b"PK\x03\x04" + data, b"import payload\n", b"[" * 50_000,
        b'{"a":' * 50_000, b"a=[" + b"[" * 50_000, b"\0" * 10_000, generator.bytes(1000),
    )  # fmt: skip
    return kinds[int(generator.integers(len(kinds)))]


BYTES = (
    flip, flip, flip, flip_many, cut, behead, extend, swap, leave_out, repeat, overwrite,
    other_format,
)  # fmt: skip


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def missing(path, beside, generator):
    remove(path)


def link(path, beside, generator):
    targets = (str(beside / "kept"), "nowhere", path.name, "/dev/zero", "/etc/passwd", str(beside))
    remove(path)
    path.symlink_to(targets[int(generator.integers(len(targets)))])


def hard_link(path, beside, generator):
    remove(path)
    os.link(beside / "kept", path)


def pipe(path, beside, generator):
    remove(path)
    os.mkfifo(path)


def bound_socket(path, beside, generator):
    remove(path)
    # A socket's path may hold 107 bytes only, hence the detour over a descriptor.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def folder(path, beside, generator):
    remove(path)
    path.mkdir()
    if generator.random() < 0.5:
        (path / "x").touch()


def huge(path, beside, generator):
    """Make it a TiB long, without the disk's having to hold that."""
    os.truncate(path, 1 << 40)


def exchanged(path, beside, generator):
    others = sorted(x for x in path.parent.iterdir() if x != path and x.is_file())
    if not others:
        return missing(path, beside, generator)
    other = others[int(generator.integers(len(others)))]
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return None


def replaced(path, beside, generator):
    """Put the file of that name of another folder in its place."""
    path.write_bytes((beside / "other" / path.name).read_bytes())


NAMES = ("x", ".hidden", "__init__.py", "a\nb.json", "9.json", "\udcff.json", "\x1b[2J.txt", "ü ")


def stranger(path, beside, generator):
    name = NAMES[int(generator.integers(len(NAMES)))]
    (path.parent / name).write_bytes(pickle.dumps(Payload()))


PLACES = (
    missing, link, link, hard_link, pipe, bound_socket, folder, huge, exchanged, replaced, replaced,
    stranger,
)  # fmt: skip
